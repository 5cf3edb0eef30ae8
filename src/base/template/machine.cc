// Statements: what each tag does. Expressions are in expressions.cc.

#include "base/template/machine.h"

#include <algorithm>
#include <utility>

namespace base::tmpl {

Value* Scope::find(std::string_view name) {
    for (Scope* scope = this; scope != nullptr; scope = scope->outer) {
        for (auto& [known, value] : scope->names) {
            if (known == name) return &value;
        }
    }
    return nullptr;
}

void Scope::set(std::string_view name, Value value) {
    for (auto& [known, old] : names) {
        if (known == name) {
            old = std::move(value);
            return;
        }
    }
    names.emplace_back(name, std::move(value));
}

Machine::Machine(const Variables& variables, const RenderOptions& options)
    : options_(options), variables_(variables), heap_(options.limits) {}

Result<std::string> Machine::render(const Body& body) {
    std::string out;
    DG_TRY(run(body, globals_, out));
    return out;
}

Result<void> Machine::put(std::string_view text, std::string& out) {
    DG_TRY(meter().output(text.size()));
    out.append(text);
    return {};
}

Machine::FlowResult Machine::run(const Body& body, Scope& scope, std::string& out) {
    DG_TRY(meter().enter());
    for (const NodePtr& node : body) {
        DG_TRY(meter().step());
        const Flow flow = DG_TRY(run(*node, scope, out));
        if (flow != Flow::next) {
            meter().leave();
            return flow;
        }
    }
    meter().leave();
    return Flow::next;
}

Machine::FlowResult Machine::run(const Node& node, Scope& scope, std::string& out) {
    switch (node.kind) {
        case NodeKind::text:
            DG_TRY(put(node.text, out));
            break;
        case NodeKind::output: {
            const Value value = DG_TRY(eval(*node.value, scope));
            if (const auto text = as_text(value)) {
                DG_TRY(put(*text, out));
            } else {
                DG_TRY(put(DG_TRY(print(value)), out));
            }
            break;
        }
        case NodeKind::branch:
            return run_branch(node, scope, out);
        case NodeKind::loop:
            return run_loop(node, scope, out);
        case NodeKind::assign:
            DG_TRY(run_assign(node, scope));
            break;
        case NodeKind::assign_block:
            return run_assign_block(node, scope);
        case NodeKind::macro:
            scope.set(node.text, Value(DG_TRY(closure(node, node.text, scope))));
            break;
        case NodeKind::call_block:
            DG_TRY(run_call_block(node, scope, out));
            break;
        case NodeKind::filter_block:
            DG_TRY(run_filter_block(node, scope, out));
            break;
        case NodeKind::scope:
            return run_with(node, scope, out);
        case NodeKind::group:
            return run(node.body, scope, out);
        case NodeKind::evaluate:
            DG_TRY(eval(*node.value, scope));
            break;
        case NodeKind::break_loop:
            return Flow::break_loop;
        case NodeKind::continue_loop:
            return Flow::continue_loop;
    }
    return Flow::next;
}

Machine::FlowResult Machine::run_branch(const Node& node, Scope& scope, std::string& out) {
    for (const Branch& branch : node.branches) {
        if (branch.condition == nullptr || is_true(DG_TRY(eval(*branch.condition, scope)))) {
            return run(branch.body, scope, out);
        }
    }
    return Flow::next;
}

Machine::FlowResult Machine::run_loop(const Node& node, Scope& scope, std::string& out) {
    const Value value = DG_TRY(eval(*node.value, scope));
    auto items = iterate(value);
    if (!items) return fail_at_node(node, std::move(items).error());
    DG_TRY(run_loop_over(node, *std::move(items), scope, out, 1));
    return Flow::next;
}

/// The items that the loop's "if" keeps.
Result<std::vector<Value>> Machine::chosen(const Node& node, std::vector<Value> items,
                                           Scope& scope) {
    if (node.condition == nullptr) return items;
    std::vector<Value> kept;
    Scope inner{&scope, {}};
    for (Value& item : items) {
        DG_TRY(meter().step());
        DG_TRY(assign(node.target, item, inner));
        if (is_true(DG_TRY(eval(*node.condition, inner)))) kept.push_back(std::move(item));
    }
    return kept;
}

Result<void> Machine::run_loop_over(const Node& node, std::vector<Value> items, Scope& scope,
                                    std::string& out, int depth) {
    items = DG_TRY(chosen(node, std::move(items), scope));
    if (items.empty()) {
        DG_TRY(run(node.alternative, scope, out));
        return {};
    }
    LoopState* loop = DG_TRY(heap_.loop());
    loop->items = std::move(items);
    loop->depth = depth;
    // On the heap, because a macro defined in the body may outlive the loop.
    Scope* inner = DG_TRY(new_scope(scope));
    if (node.recursive) {
        Scope* outer = &scope;
        loop->recurse = DG_TRY(heap_.function(
            "loop", [&node, outer, depth](Machine& machine, Arguments& arguments) -> Result<Value> {
                if (arguments.positional.size() != 1) {
                    return fail(Code::invalid_argument, "loop() takes the items to go through");
                }
                std::string text;
                DG_TRY(machine.run_loop_over(node, DG_TRY(machine.iterate(arguments.positional[0])),
                                             *outer, text, depth + 1));
                return machine.heap().text(std::move(text));
            }));
    }
    for (loop->index0 = 0; loop->index0 < loop->items.size(); ++loop->index0) {
        DG_TRY(meter().step());
        inner->names.clear();
        inner->set("loop", Value(loop));
        DG_TRY(assign(node.target, loop->items[loop->index0], *inner));
        if (DG_TRY(run(node.body, *inner, out)) == Flow::break_loop) break;
    }
    return {};
}

Result<Scope*> Machine::new_scope(Scope& outer) {
    DG_TRY(meter().allocate(sizeof(Scope) + 256));
    scopes_.push_back(Scope{&outer, {}});
    return &scopes_.back();
}

Result<void> Machine::assign(const Target& target, Value value, Scope& scope) {
    if (!target.tuple.empty()) {
        const std::vector<Value> parts = DG_TRY(iterate(value));
        if (parts.size() != target.tuple.size()) {
            return fail(Code::invalid_argument, "cannot unpack {} values into {} names",
                        parts.size(), target.tuple.size());
        }
        for (std::size_t i = 0; i < parts.size(); ++i) {
            DG_TRY(assign(target.tuple[i], parts[i], scope));
        }
        return {};
    }
    if (target.attribute.empty()) {
        scope.set(target.name, std::move(value));
        return {};
    }
    Value* holder = scope.find(target.name);
    Dict* dict = holder != nullptr ? as_dict(*holder) : nullptr;
    if (dict == nullptr || !dict->is_namespace) {
        return fail(Code::invalid_argument,
                    "{}.{} cannot be set: only attributes of a namespace() can", target.name,
                    target.attribute);
    }
    return heap_.set(*dict, constant_text(target.attribute), std::move(value));
}

Result<void> Machine::run_assign(const Node& node, Scope& scope) {
    Value value = DG_TRY(eval(*node.value, scope));
    auto assigned = assign(node.target, std::move(value), scope);
    if (!assigned) return fail_at_node(node, std::move(assigned).error());
    return {};
}

Machine::FlowResult Machine::run_assign_block(const Node& node, Scope& scope) {
    std::string text;
    const Flow flow = DG_TRY(run(node.body, scope, text));
    if (flow != Flow::next) return flow;
    Value value = DG_TRY(heap_.text(std::move(text)));
    if (node.value != nullptr) value = DG_TRY(eval_filter_on(*node.value, value, scope));
    auto assigned = assign(node.target, std::move(value), scope);
    if (!assigned) return fail_at_node(node, std::move(assigned).error());
    return Flow::next;
}

Result<Function*> Machine::closure(const Node& node, std::string_view name, Scope& scope) {
    Scope* definition = &scope;
    return heap_.function(std::string(name),
                          [&node, definition](Machine& machine, Arguments& arguments) {
                              return machine.call_macro(node, *definition, arguments);
                          });
}

Result<Value> Machine::call_macro(const Node& node, Scope& definition, Arguments& arguments) {
    DG_TRY(meter().enter());
    Scope* scope = DG_TRY(new_scope(definition));
    DG_TRY(bind(node, *scope, arguments));
    std::string text;
    DG_TRY(run(node.body, *scope, text));
    meter().leave();
    return heap_.text(std::move(text));
}

// Arguments that no parameter takes are found in `varargs` and `kwargs`.
Result<void> Machine::bind(const Node& node, Scope& scope, Arguments& arguments) {
    const std::size_t given = arguments.positional.size();
    const std::size_t taken = std::min(given, node.parameters.size());
    for (std::size_t i = 0; i < taken; ++i) {
        scope.set(node.parameters[i].name, std::move(arguments.positional[i]));
    }
    List* more = DG_TRY(heap_.list({}, true));
    for (std::size_t i = taken; i < given; ++i) more->items.push_back(arguments.positional[i]);
    scope.set("varargs", Value(more));
    Dict* named = DG_TRY(heap_.dict());
    scope.set("kwargs", Value(named));
    for (auto& [name, value] : arguments.named) {
        const auto parameter = std::find_if(node.parameters.begin(), node.parameters.end(),
                                            [&](auto& p) { return p.name == name; });
        if (parameter != node.parameters.end()) {
            scope.set(parameter->name, std::move(value));
        } else if (name == "caller") {
            scope.set("caller", std::move(value));
        } else {
            DG_TRY(heap_.set(*named, constant_text(name), std::move(value)));
        }
    }
    const auto is_bound = [&](std::string_view name) {
        return std::any_of(scope.names.begin(), scope.names.end(),
                           [&](auto& entry) { return entry.first == name; });
    };
    for (const Parameter& parameter : node.parameters) {
        if (is_bound(parameter.name)) continue;
        Value value = Undefined{parameter.name};
        if (parameter.fallback != nullptr) value = DG_TRY(eval(*parameter.fallback, scope));
        scope.set(parameter.name, std::move(value));
    }
    return {};
}

Result<void> Machine::run_call_block(const Node& node, Scope& scope, std::string& out) {
    const Expr& call_expr = *node.value;
    const Value callee = DG_TRY(eval(*call_expr.items[0], scope));
    Arguments arguments = DG_TRY(eval_arguments(call_expr, scope));
    arguments.named.emplace_back("caller", Value(DG_TRY(closure(node, "caller", scope))));
    auto result = call(callee, arguments);
    if (!result) return fail_at_node(node, std::move(result).error());
    return put(DG_TRY(print(*result)), out);
}

Result<void> Machine::run_filter_block(const Node& node, Scope& scope, std::string& out) {
    std::string text;
    Scope* inner = DG_TRY(new_scope(scope));
    DG_TRY(run(node.body, *inner, text));
    const Value input = DG_TRY(heap_.text(std::move(text)));
    return put(DG_TRY(print(DG_TRY(eval_filter_on(*node.value, input, scope)))), out);
}

Machine::FlowResult Machine::run_with(const Node& node, Scope& scope, std::string& out) {
    Scope* inner = DG_TRY(new_scope(scope));
    for (const Parameter& variable : node.parameters) {
        inner->set(variable.name, DG_TRY(eval(*variable.fallback, scope)));
    }
    return run(node.body, *inner, out);
}

}  // namespace base::tmpl
