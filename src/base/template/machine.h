#pragma once
// Walks a syntax tree over one set of variables. One thread, one render. Internal to this folder.

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/core/result.h"
#include "base/template/syntax.h"
#include "base/template/template.h"
#include "base/template/value.h"

namespace base::tmpl {

/// Names and their values between two tags. Lookups go outward; assignments stay here.
struct Scope {
    Scope* outer = nullptr;
    std::vector<std::pair<std::string_view, Value>> names;

    Value* find(std::string_view name);
    void set(std::string_view name, Value value);
};

class Machine {
public:
    Machine(const Variables& variables, const RenderOptions& options);

    Result<std::string> render(const Body& body);
    Result<Value> evaluate(const Expr& expr) { return eval(expr, globals_); }

    Heap& heap() { return heap_; }
    Meter& meter() { return heap_.meter; }
    const RenderOptions& options() const { return options_; }

    Result<Value> call(const Value& callee, Arguments& arguments);
    Result<Value> apply_filter(std::string_view name, const Value& input, Arguments& arguments);
    Result<bool> apply_test(std::string_view name, const Value& input, Arguments& arguments);
    /// `object.name` as Jinja finds it: a method first, then an entry. Undefined when absent.
    Result<Value> attribute(const Value& object, std::string_view name);
    /// `object[key]`: an entry first, then a method.
    Result<Value> item(const Value& object, const Value& key);
    /// What a for loop or a filter goes through. Errors: not iterable.
    Result<std::vector<Value>> iterate(const Value& value);
    Result<bool> contains(const Value& container, const Value& element);
    Result<Value> arithmetic(Operator op, const Value& a, const Value& b);
    Result<std::string> print(const Value& value) { return tmpl::print(meter(), value); }

private:
    enum class Flow : std::uint8_t { next, break_loop, continue_loop };
    using FlowResult = Result<Flow>;

    FlowResult run(const Body& body, Scope& scope, std::string& out);
    FlowResult run(const Node& node, Scope& scope, std::string& out);
    FlowResult run_branch(const Node& node, Scope& scope, std::string& out);
    FlowResult run_loop(const Node& node, Scope& scope, std::string& out);
    Result<void> run_loop_over(const Node& node, std::vector<Value> items, Scope& scope,
                               std::string& out, int depth);
    Result<std::vector<Value>> chosen(const Node& node, std::vector<Value> items, Scope& scope);
    Result<void> run_assign(const Node& node, Scope& scope);
    FlowResult run_assign_block(const Node& node, Scope& scope);
    Result<void> run_call_block(const Node& node, Scope& scope, std::string& out);
    Result<void> run_filter_block(const Node& node, Scope& scope, std::string& out);
    FlowResult run_with(const Node& node, Scope& scope, std::string& out);
    Result<void> put(std::string_view text, std::string& out);
    Result<void> assign(const Target& target, Value value, Scope& scope);
    Result<Function*> closure(const Node& node, std::string_view name, Scope& scope);
    Result<Value> call_macro(const Node& node, Scope& definition, Arguments& arguments);
    Result<void> bind(const Node& node, Scope& scope, Arguments& arguments);
    Result<Scope*> new_scope(Scope& outer);

    Result<Value> eval(const Expr& expr, Scope& scope);
    Result<Value> eval_kind(const Expr& expr, Scope& scope);
    Result<Value> eval_name(const Expr& expr, Scope& scope);
    bool is_variable(std::string_view name) const;
    Result<Value> eval_attribute(const Expr& expr, Scope& scope);
    Result<Value> eval_list(const Expr& expr, Scope& scope);
    Result<Value> eval_dict(const Expr& expr, Scope& scope);
    Result<Value> eval_subscript(const Expr& expr, Scope& scope);
    Result<Value> eval_slice(const Value& object, const Expr& slice, Scope& scope);
    Result<Value> eval_call(const Expr& expr, Scope& scope);
    Result<Value> eval_filter(const Expr& expr, Scope& scope);
    /// Applies a filter chain whose innermost input is left out to `input`.
    Result<Value> eval_filter_on(const Expr& expr, const Value& input, Scope& scope);
    Result<Value> eval_test(const Expr& expr, Scope& scope);
    Result<Value> eval_sign(const Expr& expr, Scope& scope);
    Result<Value> eval_logical(const Expr& expr, Scope& scope);
    Result<Value> eval_concat(const Expr& expr, Scope& scope);
    Result<Value> eval_arithmetic(const Expr& expr, Scope& scope);
    Result<Value> eval_compare(const Expr& expr, Scope& scope);
    Result<bool> compare(Operator op, const Value& a, const Value& b);
    Result<Value> eval_conditional(const Expr& expr, Scope& scope);
    Result<Arguments> eval_arguments(const Expr& expr, Scope& scope);

    RenderOptions options_;
    const Variables& variables_;
    Heap heap_;
    std::deque<Scope> scopes_;
    Scope globals_;
};

/// Says where in the source an error arose, unless it already does.
std::unexpected<Error> located(Position at, Error error);
inline std::unexpected<Error> fail_at_node(const Node& node, Error error) {
    return located(node.at, std::move(error));
}

/// A built-in by name; nullptr when there is none.
using FilterFunction = Result<Value> (*)(Machine&, const Value& input, Arguments&);
using TestFunction = Result<bool> (*)(Machine&, const Value& input, Arguments&);
using MethodFunction = Result<Value> (*)(Machine&, const Value& self, Arguments&);
using GlobalFunction = Result<Value> (*)(Machine&, Arguments&);
FilterFunction find_filter(std::string_view name);
TestFunction find_test(std::string_view name);
MethodFunction find_method(const Value& self, std::string_view name);
GlobalFunction find_global(std::string_view name);

/// Attributes of `loop`: nullopt when there is no such one.
Result<std::optional<Value>> loop_attribute(Machine& machine, LoopState& loop,
                                            std::string_view name);

/// A string argument. Errors: invalid_argument naming the function and the argument.
Result<std::string_view> text_argument(const Arguments& arguments, std::size_t place,
                                       std::string_view name, std::string_view function);
Result<std::int64_t> integer_argument(const Arguments& arguments, std::size_t place,
                                      std::string_view name, std::int64_t fallback);
bool flag_argument(const Arguments& arguments, std::size_t place, std::string_view name,
                   bool fallback);

/// Python's % formatting and str.format, for the `format` filter, the % operator and the method.
Result<std::string> format_percent(Machine& machine, std::string_view pattern,
                                   const Arguments& arguments);
Result<std::string> format_braces(Machine& machine, std::string_view pattern,
                                  const Arguments& arguments);

}  // namespace base::tmpl
