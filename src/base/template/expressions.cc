// Expressions: what each operator, access and call does.

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "base/core/utf8.h"
#include "base/template/machine.h"
#include "base/template/object_methods.h"

namespace base::tmpl {
namespace {

constexpr std::size_t kPathMax = 16;

}  // namespace

std::unexpected<Error> located(Position at, Error error) {
    if (error.subject.empty()) {
        error.subject = fmt::format("line {}, column {}", at.line, at.column);
        error.message = fmt::format("{}: {}", error.subject, error.message);
    }
    return std::unexpected(std::move(error));
}

Result<Value> Machine::eval(const Expr& expr, Scope& scope) {
    DG_TRY(meter().step());
    DG_TRY(meter().enter());
    Result<Value> value = eval_kind(expr, scope);
    meter().leave();
    if (!value) return located(expr.at, std::move(value).error());
    return value;
}

Result<Value> Machine::eval_kind(const Expr& expr, Scope& scope) {
    switch (expr.kind) {
        case ExprKind::none:
            return Value(None{});
        case ExprKind::boolean:
            return Value(expr.integer != 0);
        case ExprKind::integer:
            return Value(expr.integer);
        case ExprKind::number:
            return Value(expr.number);
        case ExprKind::text:
            return heap_.text(expr.text);
        case ExprKind::name:
            return eval_name(expr, scope);
        case ExprKind::list:
        case ExprKind::tuple:
            return eval_list(expr, scope);
        case ExprKind::dict:
            return eval_dict(expr, scope);
        case ExprKind::attribute:
            return eval_attribute(expr, scope);
        case ExprKind::subscript:
            return eval_subscript(expr, scope);
        case ExprKind::slice:
            return fail(Code::invalid_argument, "a slice stands only inside brackets");
        case ExprKind::call:
            return eval_call(expr, scope);
        case ExprKind::filter:
            return eval_filter(expr, scope);
        case ExprKind::test:
            return eval_test(expr, scope);
        case ExprKind::negate:
        case ExprKind::plus:
            return eval_sign(expr, scope);
        case ExprKind::logical_not:
            return Value(!is_true(DG_TRY(eval(*expr.items[0], scope))));
        case ExprKind::logical_and:
        case ExprKind::logical_or:
            return eval_logical(expr, scope);
        case ExprKind::concat:
            return eval_concat(expr, scope);
        case ExprKind::arithmetic:
            return eval_arithmetic(expr, scope);
        case ExprKind::compare:
            return eval_compare(expr, scope);
        case ExprKind::conditional:
            return eval_conditional(expr, scope);
    }
    return Value(None{});
}

// The caller's variables are converted when first used, and then kept.
Result<Value> Machine::eval_name(const Expr& expr, Scope& scope) {
    if (const Value* known = scope.find(expr.text)) return *known;
    const std::string_view name = expr.text;
    std::size_t used = 1;
    if (const json::value* given = variables_.find(std::span(&name, 1), used)) {
        Value value = DG_TRY(heap_.from_json(*given));
        globals_.set(expr.text, value);
        return value;
    }
    if (const GlobalFunction global = find_global(expr.text)) {
        return Value(
            DG_TRY(heap_.function(expr.text, [global](Machine& machine, Arguments& arguments) {
                return global(machine, arguments);
            })));
    }
    return Value(Undefined{expr.text});
}

}  // namespace base::tmpl

bool base::is_object_method(std::string_view name) {
    static tmpl::Dict any;
    return tmpl::find_method(tmpl::Value(&any), name) != nullptr;
}

namespace base::tmpl {

bool Machine::is_variable(std::string_view name) const {
    std::size_t used = 1;
    return variables_.find(std::span(&name, 1), used) != nullptr;
}

// A chain of names from a variable on is offered to the caller's variables as a whole: of much that
// a workflow knows, only what an expression asks for is converted.
Result<Value> Machine::eval_attribute(const Expr& expr, Scope& scope) {
    const Expr* root = &expr;
    std::size_t names = 1;
    while (root->kind == ExprKind::attribute) {
        root = root->items[0].get();
        ++names;
    }
    if (root->kind != ExprKind::name || names > kPathMax || scope.find(root->text) != nullptr) {
        return attribute(DG_TRY(eval(*expr.items[0], scope)), expr.text);
    }
    std::array<std::string_view, kPathMax> path;
    std::size_t at = names;
    for (const Expr* link = &expr; link->kind == ExprKind::attribute; link = link->items[0].get()) {
        path[--at] = link->text;
    }
    path[0] = root->text;
    std::size_t used = 1;
    const json::value* given = variables_.find(std::span(path).first(names), used);
    if (given == nullptr && used > 1) {
        Value value = Undefined{path[used - 1]};
        for (; used < names; ++used) value = DG_TRY(attribute(value, path[used]));
        return value;
    }
    if (given == nullptr || used <= 1) {
        return attribute(DG_TRY(eval(*expr.items[0], scope)), expr.text);
    }
    Value value = DG_TRY(heap_.from_json(*given));
    for (; used < names; ++used) value = DG_TRY(attribute(value, path[used]));
    return value;
}

Result<Value> Machine::eval_list(const Expr& expr, Scope& scope) {
    std::vector<Value> items;
    for (const ExprPtr& item : expr.items) items.push_back(DG_TRY(eval(*item, scope)));
    return Value(DG_TRY(heap_.list(std::move(items), expr.kind == ExprKind::tuple)));
}

Result<Value> Machine::eval_dict(const Expr& expr, Scope& scope) {
    Dict* dict = DG_TRY(heap_.dict());
    for (std::size_t i = 0; i + 1 < expr.items.size(); i += 2) {
        Value key = DG_TRY(eval(*expr.items[i], scope));
        DG_TRY(heap_.set(*dict, std::move(key), DG_TRY(eval(*expr.items[i + 1], scope))));
    }
    return Value(dict);
}

Result<Value> Machine::attribute(const Value& object, std::string_view name) {
    if (is_undefined(object)) return fail_undefined(object);
    if (const auto* loop = std::get_if<LoopState*>(&object)) {
        auto found = DG_TRY(loop_attribute(*this, **loop, name));
        return found ? *std::move(found) : Value(Undefined{name});
    }
    const Dict* dict = as_dict(object);
    const bool plain = dict == nullptr || !dict->is_namespace;
    if (const MethodFunction method = plain ? find_method(object, name) : nullptr) {
        return Value(DG_TRY(heap_.function(
            std::string(name),
            [method, object](Machine& machine, Arguments& arguments) -> Result<Value> {
                DG_TRY(machine.meter().read(text_bytes(object)));
                return method(machine, object, arguments);
            })));
    }
    const Value* found = dict != nullptr ? dict->find(name) : nullptr;
    return found != nullptr ? *found : Value(Undefined{name});
}

Result<Value> Machine::item(const Value& object, const Value& key) {
    if (is_undefined(object)) return fail_undefined(object);
    DG_TRY(meter().read(text_bytes(key)));
    if (const Dict* dict = as_dict(object)) {
        if (const Value* found = dict->find(key)) return *found;
    }
    DG_TRY(meter().read(text_bytes(object)));
    if (const auto place = as_integer(key)) {
        const List* list = as_list(object);
        const auto text = as_text(object);
        const auto size = static_cast<std::int64_t>(list != nullptr ? list->items.size()
                                                    : text          ? utf8_length(*text)
                                                                    : 0);
        const std::int64_t at = *place < 0 ? *place + size : *place;
        if (at < 0 || at >= size) return Value(Undefined{"an item out of range"});
        if (list != nullptr) return list->items[static_cast<std::size_t>(at)];
        DG_TRY(meter().step(text->size() / 8));
        std::size_t byte = 0;
        for (std::int64_t i = 0; i < at; ++i) byte += utf8_at(*text, byte).bytes;
        return heap_.text(std::string(text->substr(byte, utf8_at(*text, byte).bytes)));
    }
    if (!is_text(key)) return Value(Undefined{"an item"});
    // Names in values outlive the key only when they are in the tree or a table.
    Value found = DG_TRY(attribute(object, text_of(key)));
    return is_undefined(found) ? Value(Undefined{"an item"}) : found;
}

Result<Value> Machine::eval_subscript(const Expr& expr, Scope& scope) {
    const Value object = DG_TRY(eval(*expr.items[0], scope));
    const Expr& key = *expr.items[1];
    if (key.kind == ExprKind::slice) return eval_slice(object, key, scope);
    Value found = DG_TRY(item(object, DG_TRY(eval(key, scope))));
    if (is_undefined(found) && key.kind == ExprKind::text) return Value(Undefined{key.text});
    return found;
}

namespace {

/// The places a Python slice visits. Pre: step != 0.
std::vector<std::size_t> slice_places(std::int64_t size, std::optional<std::int64_t> begin,
                                      std::optional<std::int64_t> end, std::int64_t step) {
    const auto clamp = [&](std::int64_t at, std::int64_t low, std::int64_t high) {
        if (at < 0) at += size;
        return std::clamp(at, low, high);
    };
    std::vector<std::size_t> places;
    if (step > 0) {
        const std::int64_t first = begin ? clamp(*begin, 0, size) : 0;
        const std::int64_t last = end ? clamp(*end, 0, size) : size;
        for (std::int64_t at = first; at < last; at += std::min(step, size + 1)) {
            places.push_back(static_cast<std::size_t>(at));
        }
    } else {
        const std::int64_t first = begin ? clamp(*begin, -1, size - 1) : size - 1;
        const std::int64_t last = end ? clamp(*end, -1, size - 1) : -1;
        for (std::int64_t at = first; at > last; at += std::max(step, -size - 1)) {
            places.push_back(static_cast<std::size_t>(at));
        }
    }
    return places;
}

}  // namespace

Result<Value> Machine::eval_slice(const Value& object, const Expr& slice, Scope& scope) {
    std::optional<std::int64_t> bounds[3];
    for (std::size_t i = 0; i < 3; ++i) {
        if (slice.items[i] == nullptr) continue;
        const Value bound = DG_TRY(eval(*slice.items[i], scope));
        if (is_none(bound)) continue;
        bounds[i] = as_integer(bound);
        if (!bounds[i]) {
            return fail(Code::invalid_argument, "a slice needs integers, found a {}",
                        kind_name(bound));
        }
    }
    const std::int64_t step = bounds[2].value_or(1);
    if (step == 0) return fail(Code::invalid_argument, "a slice cannot step by zero");
    if (const List* list = as_list(object)) {
        DG_TRY(meter().step(list->items.size() / 8));
        std::vector<Value> items;
        for (const std::size_t at : slice_places(static_cast<std::int64_t>(list->items.size()),
                                                 bounds[0], bounds[1], step)) {
            items.push_back(list->items[at]);
        }
        return Value(DG_TRY(heap_.list(std::move(items), list->tuple)));
    }
    const auto text = as_text(object);
    if (!text) {
        if (is_undefined(object)) return fail_undefined(object);
        return fail(Code::invalid_argument, "a {} cannot be sliced", kind_name(object));
    }
    DG_TRY(meter().step(text->size() / 4));
    std::vector<std::size_t> starts;
    for (std::size_t at = 0; at < text->size(); at += utf8_at(*text, at).bytes)
        starts.push_back(at);
    std::string out;
    for (const std::size_t at :
         slice_places(static_cast<std::int64_t>(starts.size()), bounds[0], bounds[1], step)) {
        out.append(text->substr(starts[at], utf8_at(*text, starts[at]).bytes));
    }
    return heap_.text(std::move(out));
}

Result<Arguments> Machine::eval_arguments(const Expr& expr, Scope& scope) {
    Arguments arguments;
    for (const Argument& argument : expr.arguments) {
        Value value = DG_TRY(eval(*argument.value, scope));
        switch (argument.kind) {
            case Argument::Kind::positional:
                arguments.positional.push_back(std::move(value));
                break;
            case Argument::Kind::named:
                arguments.named.emplace_back(argument.name, std::move(value));
                break;
            case Argument::Kind::spread:
                for (Value& item : DG_TRY(iterate(value))) {
                    arguments.positional.push_back(std::move(item));
                }
                break;
            case Argument::Kind::spread_named: {
                const Dict* dict = as_dict(value);
                if (dict == nullptr) {
                    return fail(Code::invalid_argument, "** needs a dict, found a {}",
                                kind_name(value));
                }
                for (const auto& [key, item] : dict->entries) {
                    arguments.named.emplace_back(DG_TRY(print(key)), item);
                }
                break;
            }
        }
    }
    return arguments;
}

Result<Value> Machine::call(const Value& callee, Arguments& arguments) {
    DG_TRY(meter().step());
    if (const auto* function = std::get_if<Function*>(&callee)) {
        return (*function)->call(*this, arguments);
    }
    if (const auto* loop = std::get_if<LoopState*>(&callee);
        loop != nullptr && (*loop)->recurse != nullptr) {
        return (*loop)->recurse->call(*this, arguments);
    }
    if (is_undefined(callee)) return fail_undefined(callee);
    return fail(Code::invalid_argument, "a {} cannot be called", kind_name(callee));
}

Result<Value> Machine::eval_call(const Expr& expr, Scope& scope) {
    const Expr& callee = *expr.items[0];
    // Methods are the common case: call them without making a function value first.
    if (callee.kind == ExprKind::attribute) {
        const Value self = DG_TRY(eval(*callee.items[0], scope));
        const Dict* dict = as_dict(self);
        const bool plain = dict == nullptr || !dict->is_namespace;
        if (const MethodFunction method = plain ? find_method(self, callee.text) : nullptr) {
            Arguments arguments = DG_TRY(eval_arguments(expr, scope));
            DG_TRY(meter().read(text_bytes(self)));
            return method(*this, self, arguments);
        }
        const Value function = DG_TRY(attribute(self, callee.text));
        if (is_undefined(function)) {
            return fail(Code::invalid_argument, "a {} has no method \"{}\"", kind_name(self),
                        callee.text);
        }
        Arguments arguments = DG_TRY(eval_arguments(expr, scope));
        return call(function, arguments);
    }
    if (callee.kind == ExprKind::name && scope.find(callee.text) == nullptr &&
        !is_variable(callee.text)) {
        if (const GlobalFunction global = find_global(callee.text)) {
            Arguments arguments = DG_TRY(eval_arguments(expr, scope));
            return global(*this, arguments);
        }
    }
    const Value function = DG_TRY(eval(callee, scope));
    Arguments arguments = DG_TRY(eval_arguments(expr, scope));
    return call(function, arguments);
}

Result<Value> Machine::apply_filter(std::string_view name, const Value& input,
                                    Arguments& arguments) {
    const FilterFunction filter = find_filter(name);
    if (filter == nullptr) return fail(Code::invalid_argument, "unknown filter \"{}\"", name);
    DG_TRY(meter().read(text_bytes(input)));
    return filter(*this, input, arguments);
}

Result<bool> Machine::apply_test(std::string_view name, const Value& input, Arguments& arguments) {
    const TestFunction test = find_test(name);
    if (test == nullptr) return fail(Code::invalid_argument, "unknown test \"{}\"", name);
    DG_TRY(meter().read(text_bytes(input)));
    return test(*this, input, arguments);
}

Result<Value> Machine::eval_filter(const Expr& expr, Scope& scope) {
    const Value input = DG_TRY(eval(*expr.items[0], scope));
    Arguments arguments = DG_TRY(eval_arguments(expr, scope));
    return apply_filter(expr.text, input, arguments);
}

Result<Value> Machine::eval_filter_on(const Expr& expr, const Value& input, Scope& scope) {
    if (expr.kind != ExprKind::filter) {
        return fail(Code::invalid_argument, "only filters may stand here");
    }
    const Value inner =
        expr.items[0] == nullptr ? input : DG_TRY(eval_filter_on(*expr.items[0], input, scope));
    Arguments arguments = DG_TRY(eval_arguments(expr, scope));
    auto value = apply_filter(expr.text, inner, arguments);
    if (!value) return located(expr.at, std::move(value).error());
    return value;
}

Result<Value> Machine::eval_test(const Expr& expr, Scope& scope) {
    const Value input = DG_TRY(eval(*expr.items[0], scope));
    Arguments arguments = DG_TRY(eval_arguments(expr, scope));
    return Value(DG_TRY(apply_test(expr.text, input, arguments)));
}

Result<Value> Machine::eval_sign(const Expr& expr, Scope& scope) {
    const Value value = DG_TRY(eval(*expr.items[0], scope));
    const bool negate = expr.kind == ExprKind::negate;
    if (const auto integer = as_integer(value)) {
        if (!negate) return Value(*integer);
        return arithmetic(Operator::subtract, Value(std::int64_t{0}), Value(*integer));
    }
    if (const auto number = as_number(value)) return Value(negate ? -*number : *number);
    if (is_undefined(value)) return fail_undefined(value);
    return fail(Code::invalid_argument, "a {} has no sign", kind_name(value));
}

Result<Value> Machine::eval_logical(const Expr& expr, Scope& scope) {
    const bool stops_at = expr.kind == ExprKind::logical_or;
    Value value = None{};
    for (const ExprPtr& item : expr.items) {
        value = DG_TRY(eval(*item, scope));
        if (is_true(value) == stops_at) break;
    }
    return value;
}

Result<Value> Machine::eval_concat(const Expr& expr, Scope& scope) {
    std::string out;
    for (const ExprPtr& item : expr.items) {
        out.append(DG_TRY(print(DG_TRY(eval(*item, scope)))));
        DG_TRY(meter().fits(out.size()));
    }
    return heap_.text(std::move(out));
}

Result<Value> Machine::eval_arithmetic(const Expr& expr, Scope& scope) {
    Value value = DG_TRY(eval(*expr.items[0], scope));
    for (std::size_t i = 0; i < expr.operators.size(); ++i) {
        const Value next = DG_TRY(eval(*expr.items[i + 1], scope));
        value = DG_TRY(arithmetic(expr.operators[i], value, next));
    }
    return value;
}

Result<Value> Machine::eval_compare(const Expr& expr, Scope& scope) {
    Value left = DG_TRY(eval(*expr.items[0], scope));
    for (std::size_t i = 0; i < expr.operators.size(); ++i) {
        Value right = DG_TRY(eval(*expr.items[i + 1], scope));
        if (!DG_TRY(compare(expr.operators[i], left, right))) return Value(false);
        left = std::move(right);
    }
    return Value(true);
}

Result<bool> Machine::compare(Operator op, const Value& a, const Value& b) {
    switch (op) {
        case Operator::equal:
            return equal(meter(), a, b);
        case Operator::not_equal:
            return !DG_TRY(equal(meter(), a, b));
        case Operator::less:
            return DG_TRY(order(meter(), a, b)) < 0;
        case Operator::less_equal:
            return DG_TRY(order(meter(), a, b)) <= 0;
        case Operator::greater:
            return DG_TRY(order(meter(), a, b)) > 0;
        case Operator::greater_equal:
            return DG_TRY(order(meter(), a, b)) >= 0;
        case Operator::in:
            return contains(b, a);
        case Operator::not_in:
            return !DG_TRY(contains(b, a));
        default:
            return false;
    }
}

Result<bool> Machine::contains(const Value& container, const Value& element) {
    if (const auto text = as_text(container)) {
        const auto part = as_text(element);
        if (!part) {
            if (is_undefined(element)) return fail_undefined(element);
            return fail(Code::invalid_argument, "a string cannot contain a {}", kind_name(element));
        }
        DG_TRY(meter().search(text->size(), part->size()));
        return text->find(*part) != std::string_view::npos;
    }
    DG_TRY(meter().read(text_bytes(element)));
    if (const Dict* dict = as_dict(container)) return dict->find(element) != nullptr;
    for (const Value& item : DG_TRY(iterate(container))) {
        DG_TRY(meter().step());
        if (DG_TRY(equal(meter(), item, element))) return true;
    }
    return false;
}

Result<Value> Machine::eval_conditional(const Expr& expr, Scope& scope) {
    if (is_true(DG_TRY(eval(*expr.items[1], scope)))) return eval(*expr.items[0], scope);
    if (expr.items[2] == nullptr) return Value(Undefined{"an inline if without else"});
    return eval(*expr.items[2], scope);
}

Result<std::vector<Value>> Machine::iterate(const Value& value) {
    std::vector<Value> items;
    if (const List* list = as_list(value)) {
        DG_TRY(meter().step(list->items.size()));
        return list->items;
    }
    if (const Dict* dict = as_dict(value); dict != nullptr && !dict->is_namespace) {
        DG_TRY(meter().step(dict->entries.size()));
        for (const auto& [key, item] : dict->entries) items.push_back(key);
        return items;
    }
    if (const auto text = as_text(value)) {
        for (std::size_t at = 0; at < text->size();) {
            const std::size_t bytes = utf8_at(*text, at).bytes;
            DG_TRY(meter().allocate(sizeof(TextBody)));
            DG_TRY(meter().step());
            items.push_back(DG_TRY(heap_.text(std::string(text->substr(at, bytes)))));
            at += bytes;
        }
        meter().release(items.size() * sizeof(TextBody));
        return items;
    }
    if (is_undefined(value)) return items;
    return fail(Code::invalid_argument, "a {} cannot be gone through", kind_name(value));
}

}  // namespace base::tmpl
