// Python's arithmetic: integers stay integers, division floors or makes floats, strings and lists
// join and repeat.

#include <cmath>

#include "base/template/machine.h"

namespace base::tmpl {
namespace {

std::unexpected<Error> overflow() {
    return fail(Code::invalid_argument, "the result does not fit a 64-bit integer");
}

std::unexpected<Error> division_by_zero() {
    return fail(Code::invalid_argument, "division by zero");
}

Result<Value> integer_power(std::int64_t base, std::int64_t exponent) {
    if (exponent < 0)
        return Value(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
    std::int64_t result = 1;
    for (;;) {
        if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) return overflow();
        exponent >>= 1;
        if (exponent == 0) return Value(result);
        if (__builtin_mul_overflow(base, base, &base)) return overflow();
    }
}

Result<Value> on_integers(Operator op, std::int64_t a, std::int64_t b) {
    std::int64_t result = 0;
    switch (op) {
        case Operator::add:
            if (__builtin_add_overflow(a, b, &result)) return overflow();
            return Value(result);
        case Operator::subtract:
            if (__builtin_sub_overflow(a, b, &result)) return overflow();
            return Value(result);
        case Operator::multiply:
            if (__builtin_mul_overflow(a, b, &result)) return overflow();
            return Value(result);
        case Operator::divide:
            if (b == 0) return division_by_zero();
            return Value(static_cast<double>(a) / static_cast<double>(b));
        case Operator::floor_divide:
        case Operator::modulo: {
            if (b == 0) return division_by_zero();
            if (b == -1) {  // the one quotient that can overflow, and no remainder
                if (op == Operator::modulo) return Value(std::int64_t{0});
                return on_integers(Operator::subtract, 0, a);
            }
            const bool inexact = a % b != 0 && (a % b < 0) != (b < 0);
            if (op == Operator::modulo) return Value(inexact ? a % b + b : a % b);
            return Value(inexact ? a / b - 1 : a / b);
        }
        default:
            return integer_power(a, b);
    }
}

Result<Value> on_numbers(Operator op, double a, double b) {
    switch (op) {
        case Operator::add:
            return Value(a + b);
        case Operator::subtract:
            return Value(a - b);
        case Operator::multiply:
            return Value(a * b);
        case Operator::divide:
            if (b == 0) return division_by_zero();
            return Value(a / b);
        case Operator::floor_divide:
            if (b == 0) return division_by_zero();
            return Value(std::floor(a / b));
        case Operator::modulo: {
            if (b == 0) return division_by_zero();
            const double rest = std::fmod(a, b);
            return Value(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
        }
        default:
            return Value(std::pow(a, b));
    }
}

Result<Value> repeat(Machine& machine, const Value& what, std::int64_t times) {
    times = std::max<std::int64_t>(times, 0);
    const List* list = as_list(what);
    const std::size_t size = list != nullptr ? list->items.size() * 64 : text_of(what).size();
    std::size_t bytes = 0;
    if (__builtin_mul_overflow(size, static_cast<std::size_t>(times), &bytes)) bytes = SIZE_MAX / 2;
    DG_TRY(machine.meter().fits(bytes));
    if (list != nullptr) {
        std::vector<Value> items;
        for (std::int64_t i = 0; !list->items.empty() && i < times; ++i) {
            items.insert(items.end(), list->items.begin(), list->items.end());
        }
        return Value(DG_TRY(machine.heap().list(std::move(items), list->tuple)));
    }
    std::string text;
    text.reserve(bytes);
    for (std::int64_t i = 0; bytes > 0 && i < times; ++i) text.append(text_of(what));
    return machine.heap().text(std::move(text));
}

Result<Value> join(Machine& machine, const Value& a, const Value& b) {
    if (is_text(a)) {
        DG_TRY(machine.meter().fits(text_of(a).size() + text_of(b).size()));
        return machine.heap().text(std::string(text_of(a)).append(text_of(b)));
    }
    const List* left = as_list(a);
    const List* right = as_list(b);
    std::vector<Value> items = left->items;
    items.insert(items.end(), right->items.begin(), right->items.end());
    return Value(DG_TRY(machine.heap().list(std::move(items), left->tuple)));
}

bool is_sequence(const Value& v) {
    return is_text(v) || as_list(v) != nullptr;
}

}  // namespace

Result<Value> Machine::arithmetic(Operator op, const Value& a, const Value& b) {
    const auto left_integer = as_integer(a);
    const auto right_integer = as_integer(b);
    if (left_integer && right_integer) return on_integers(op, *left_integer, *right_integer);
    const auto left_number = as_number(a);
    const auto right_number = as_number(b);
    if (left_number && right_number) return on_numbers(op, *left_number, *right_number);
    if (op == Operator::add && is_sequence(a) && a.index() == b.index()) return join(*this, a, b);
    if (op == Operator::multiply && is_sequence(a) && right_integer) {
        return repeat(*this, a, *right_integer);
    }
    if (op == Operator::multiply && is_sequence(b) && left_integer) {
        return repeat(*this, b, *left_integer);
    }
    if (op == Operator::modulo && is_text(a)) {
        Arguments arguments;
        const List* list = as_list(b);
        if (list != nullptr && list->tuple) {
            arguments.positional = list->items;
        } else {
            arguments.positional.push_back(b);
        }
        return heap_.text(DG_TRY(format_percent(*this, text_of(a), arguments)));
    }
    if (is_undefined(a)) return fail_undefined(a);
    if (is_undefined(b)) return fail_undefined(b);
    constexpr std::string_view kSymbols[] = {"+", "-", "*", "/", "//", "%", "**"};
    return fail(Code::invalid_argument, "a {} {} a {} is not possible; use ~ to join texts",
                kind_name(a), kSymbols[static_cast<std::size_t>(op)], kind_name(b));
}

}  // namespace base::tmpl
