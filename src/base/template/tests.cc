// What may follow "is": tests by name.

#include <algorithm>
#include <iterator>

#include "base/template/machine.h"
#include "base/template/text_functions.h"

namespace base::tmpl {
namespace {

Result<const Value*> operand(const Arguments& arguments, std::string_view test) {
    if (arguments.positional.size() == 1) return &arguments.positional[0];
    return fail(Code::invalid_argument, "the test \"{}\" takes one argument", test);
}

Result<std::int64_t> integer_input(const Value& input, std::string_view test) {
    if (const auto integer = as_integer(input)) return *integer;
    if (is_undefined(input)) return fail_undefined(input);
    return fail(Code::invalid_argument, "the test \"{}\" needs an integer, found a {}", test,
                kind_name(input));
}

Result<bool> is_defined(Machine&, const Value& v, Arguments&) {
    return !is_undefined(v);
}
Result<bool> is_not_defined(Machine&, const Value& v, Arguments&) {
    return is_undefined(v);
}
Result<bool> is_none_test(Machine&, const Value& v, Arguments&) {
    return is_none(v);
}
Result<bool> is_boolean(Machine&, const Value& v, Arguments&) {
    return std::holds_alternative<bool>(v);
}
Result<bool> is_true_constant(Machine&, const Value& v, Arguments&) {
    const bool* boolean = std::get_if<bool>(&v);
    return boolean != nullptr && *boolean;
}
Result<bool> is_false_constant(Machine&, const Value& v, Arguments&) {
    const bool* boolean = std::get_if<bool>(&v);
    return boolean != nullptr && !*boolean;
}
Result<bool> is_integer(Machine&, const Value& v, Arguments&) {
    return std::holds_alternative<std::int64_t>(v);
}
Result<bool> is_float(Machine&, const Value& v, Arguments&) {
    return std::holds_alternative<double>(v);
}
Result<bool> is_number(Machine&, const Value& v, Arguments&) {
    return as_number(v).has_value();
}
Result<bool> is_string(Machine&, const Value& v, Arguments&) {
    return is_text(v);
}
Result<bool> is_mapping(Machine&, const Value& v, Arguments&) {
    const Dict* dict = as_dict(v);
    return dict != nullptr && !dict->is_namespace;
}
// An undefined value goes through as an empty sequence does.
Result<bool> is_sequence(Machine&, const Value& v, Arguments&) {
    const Dict* dict = as_dict(v);
    return is_text(v) || as_list(v) != nullptr || is_undefined(v) ||
           (dict != nullptr && !dict->is_namespace);
}
Result<bool> is_callable(Machine&, const Value& v, Arguments&) {
    return std::holds_alternative<Function*>(v);
}
Result<bool> is_lower(Machine& machine, const Value& v, Arguments&) {
    const std::string text = DG_TRY(machine.print(v));
    return to_lower(text) == text && to_upper(text) != text;
}
Result<bool> is_upper(Machine& machine, const Value& v, Arguments&) {
    const std::string text = DG_TRY(machine.print(v));
    return to_upper(text) == text && to_lower(text) != text;
}
Result<bool> is_odd(Machine&, const Value& v, Arguments&) {
    return DG_TRY(integer_input(v, "odd")) % 2 != 0;
}
Result<bool> is_even(Machine&, const Value& v, Arguments&) {
    return DG_TRY(integer_input(v, "even")) % 2 == 0;
}
Result<bool> is_divisible(Machine& machine, const Value& v, Arguments& arguments) {
    const Value* by = DG_TRY(operand(arguments, "divisibleby"));
    const Value rest = DG_TRY(machine.arithmetic(Operator::modulo, v, *by));
    return !is_true(rest);
}
Result<bool> is_equal(Machine& machine, const Value& v, Arguments& arguments) {
    return equal(machine.meter(), v, *DG_TRY(operand(arguments, "eq")));
}
Result<bool> is_not_equal(Machine& machine, const Value& v, Arguments& arguments) {
    return !DG_TRY(is_equal(machine, v, arguments));
}
Result<bool> is_less(Machine& machine, const Value& v, Arguments& arguments) {
    return DG_TRY(order(machine.meter(), v, *DG_TRY(operand(arguments, "lt")))) < 0;
}
Result<bool> is_less_or_equal(Machine& machine, const Value& v, Arguments& arguments) {
    return DG_TRY(order(machine.meter(), v, *DG_TRY(operand(arguments, "le")))) <= 0;
}
Result<bool> is_greater(Machine& machine, const Value& v, Arguments& arguments) {
    return DG_TRY(order(machine.meter(), v, *DG_TRY(operand(arguments, "gt")))) > 0;
}
Result<bool> is_greater_or_equal(Machine& machine, const Value& v, Arguments& arguments) {
    return DG_TRY(order(machine.meter(), v, *DG_TRY(operand(arguments, "ge")))) >= 0;
}
Result<bool> is_in(Machine& machine, const Value& v, Arguments& arguments) {
    return machine.contains(*DG_TRY(operand(arguments, "in")), v);
}
Result<bool> is_same(Machine& machine, const Value& v, Arguments& arguments) {
    const Value* other = DG_TRY(operand(arguments, "sameas"));
    if (v.index() != other->index()) return false;
    if (as_list(v) != nullptr) return as_list(v) == as_list(*other);
    if (as_dict(v) != nullptr) return as_dict(v) == as_dict(*other);
    return equal(machine.meter(), v, *other);
}
Result<bool> is_filter(Machine&, const Value& v, Arguments&) {
    const auto name = as_text(v);
    return name && find_filter(*name) != nullptr;
}
Result<bool> is_test(Machine&, const Value& v, Arguments&) {
    const auto name = as_text(v);
    return name && find_test(*name) != nullptr;
}
Result<bool> is_escaped(Machine&, const Value&, Arguments&) {
    return false;
}

constexpr std::pair<std::string_view, TestFunction> kTests[] = {
    {"defined", is_defined},
    {"undefined", is_not_defined},
    {"none", is_none_test},
    {"boolean", is_boolean},
    {"true", is_true_constant},
    {"false", is_false_constant},
    {"integer", is_integer},
    {"float", is_float},
    {"number", is_number},
    {"string", is_string},
    {"mapping", is_mapping},
    {"iterable", is_sequence},
    {"sequence", is_sequence},
    {"callable", is_callable},
    {"lower", is_lower},
    {"upper", is_upper},
    {"odd", is_odd},
    {"even", is_even},
    {"divisibleby", is_divisible},
    {"eq", is_equal},
    {"equalto", is_equal},
    {"==", is_equal},
    {"ne", is_not_equal},
    {"!=", is_not_equal},
    {"lt", is_less},
    {"lessthan", is_less},
    {"<", is_less},
    {"le", is_less_or_equal},
    {"<=", is_less_or_equal},
    {"gt", is_greater},
    {"greaterthan", is_greater},
    {">", is_greater},
    {"ge", is_greater_or_equal},
    {">=", is_greater_or_equal},
    {"in", is_in},
    {"sameas", is_same},
    {"filter", is_filter},
    {"test", is_test},
    {"escaped", is_escaped},
};

}  // namespace

TestFunction find_test(std::string_view name) {
    const auto* found = std::find_if(std::begin(kTests), std::end(kTests),
                                     [&](auto& test) { return test.first == name; });
    return found == std::end(kTests) ? nullptr : found->second;
}

}  // namespace base::tmpl
