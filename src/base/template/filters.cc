// Filters on single values: texts, numbers, conversions. Those on sequences are in
// sequence_filters.cc.

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

#include "base/core/utf8.h"
#include "base/template/filter_tables.h"
#include "base/template/text_functions.h"

namespace base::tmpl {
namespace {

Result<std::string_view> text_input(const Value& input, std::string_view filter) {
    if (const auto text = as_text(input)) return *text;
    if (is_undefined(input)) return std::string_view();
    return fail(Code::invalid_argument, "the filter \"{}\" needs a string, found a {}", filter,
                kind_name(input));
}

Result<Value> trim(Machine& machine, const Value& input, Arguments& arguments) {
    std::optional<std::string_view> chars;
    const Value* given = arguments.find(0, "chars");
    if (given != nullptr && !is_none(*given)) {
        chars = DG_TRY(text_argument(arguments, 0, "chars", "trim"));
    }
    const std::string text = DG_TRY(machine.print(input));
    if (chars) DG_TRY(machine.meter().search(text.size(), chars->size()));
    return machine.heap().text(std::string(stripped(text, chars, Side::both)));
}

/// A filter that is the string method of the same name, applied to the printed value.
template <class Name>
Result<Value> by_method(Machine& machine, const Value& input, Arguments& arguments) {
    const Value text = DG_TRY(machine.heap().text(DG_TRY(machine.print(input))));
    return find_method(text, Name::value)(machine, text, arguments);
}
struct UpperName {
    static constexpr std::string_view value = "upper";
};
struct LowerName {
    static constexpr std::string_view value = "lower";
};
struct CapitalizeName {
    static constexpr std::string_view value = "capitalize";
};
struct ReplaceName {
    static constexpr std::string_view value = "replace";
};
struct CenterName {
    static constexpr std::string_view value = "center";
};

Result<Value> title(Machine& machine, const Value& input, Arguments&) {
    return machine.heap().text(titled(DG_TRY(machine.print(input)), [](char32_t before) {
        return is_space(before) || before == '-' || before == '(' || before == '{' ||
               before == '[' || before == '<';
    }));
}

Result<Value> string(Machine& machine, const Value& input, Arguments&) {
    if (is_text(input)) return input;
    return machine.heap().text(DG_TRY(machine.print(input)));
}

Result<Value> escape(Machine& machine, const Value& input, Arguments&) {
    return machine.heap().text(html_escaped(DG_TRY(machine.print(input))));
}

Result<Value> same(Machine&, const Value& input, Arguments&) {
    return input;
}

Result<Value> fallback(Machine& machine, const Value& input, Arguments& arguments) {
    const bool falsy_too = flag_argument(arguments, 1, "boolean", false);
    if (!is_undefined(input) && (!falsy_too || is_true(input))) return input;
    const Value* value = arguments.find(0, "default_value");
    return value != nullptr ? *value : machine.heap().text("");
}

Result<Value> indent(Machine& machine, const Value& input, Arguments& arguments) {
    const std::string text = DG_TRY(machine.print(input));
    const Value* width = arguments.find(0, "width");
    std::string margin(4, ' ');
    if (width != nullptr && is_text(*width)) {
        margin = text_of(*width);
    } else if (width != nullptr) {
        const std::int64_t blanks = DG_TRY(integer_argument(arguments, 0, "width", 4));
        if (blanks > 10'000) return fail(Code::invalid_argument, "indent: width {}", blanks);
        margin.assign(static_cast<std::size_t>(std::max<std::int64_t>(blanks, 0)), ' ');
    }
    const bool first = flag_argument(arguments, 1, "first", false);
    const bool blank = flag_argument(arguments, 2, "blank", false);
    std::string out;
    const auto lines = split(text, "\n", -1);
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (i > 0) out.push_back('\n');
        if (i > 0 ? blank || !lines[i].empty() : first) out.append(margin);
        out.append(lines[i]);
        DG_TRY(machine.meter().fits(out.size()));
    }
    return machine.heap().text(std::move(out));
}

Result<Value> truncate(Machine& machine, const Value& input, Arguments& arguments) {
    const std::string text = DG_TRY(machine.print(input));
    constexpr std::int64_t kFar = std::int64_t{1} << 40;  // no text is longer; sums cannot overflow
    const std::int64_t length =
        std::clamp(DG_TRY(integer_argument(arguments, 0, "length", 255)), -kFar, kFar);
    const bool kill_words = flag_argument(arguments, 1, "killwords", false);
    const Value* end_given = arguments.find(2, "end");
    const std::string end = end_given != nullptr ? DG_TRY(machine.print(*end_given)) : "...";
    const std::int64_t leeway =
        std::clamp(DG_TRY(integer_argument(arguments, 3, "leeway", 5)), -kFar, kFar);
    if (static_cast<std::int64_t>(utf8_length(text)) <= length + leeway) {
        return machine.heap().text(text);
    }
    const auto kept =
        std::max<std::int64_t>(length - static_cast<std::int64_t>(utf8_length(end)), 0);
    std::size_t bytes = 0;
    for (std::int64_t i = 0; i < kept && bytes < text.size(); ++i)
        bytes += utf8_at(text, bytes).bytes;
    std::string out = text.substr(0, bytes);
    if (!kill_words) out = out.substr(0, std::min(out.rfind(' '), out.size()));
    return machine.heap().text(out + end);
}

Result<Value> word_count(Machine& machine, const Value& input, Arguments&) {
    const std::string text = DG_TRY(machine.print(input));
    std::int64_t words = 0;
    bool in_word = false;
    for (std::size_t at = 0; at < text.size();) {
        const Utf8Char next = utf8_at(text, at);
        const bool part = !is_space(next.code) &&
                          (next.code >= 0x80 || std::isalnum(static_cast<int>(next.code)) != 0 ||
                           next.code == '_');
        words += part && !in_word ? 1 : 0;
        in_word = part;
        at += next.bytes;
    }
    return Value(words);
}

Result<Value> url_encode(Machine& machine, const Value& input, Arguments&) {
    std::string out;
    for (const char c : DG_TRY(machine.print(input))) {
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                           std::string_view("-_.~/").find(c) != std::string_view::npos;
        out.append(plain ? std::string(1, c)
                         : fmt::format("%{:02X}", static_cast<unsigned char>(c)));
    }
    return machine.heap().text(std::move(out));
}

Result<Value> format(Machine& machine, const Value& input, Arguments& arguments) {
    return machine.heap().text(
        DG_TRY(format_percent(machine, DG_TRY(text_input(input, "format")), arguments)));
}

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
    text = stripped(text, std::nullopt, Side::both);
    if (text.starts_with('+')) text.remove_prefix(1);
    Number value{};
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || parsed.ec != std::errc{} || parsed.ptr != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

std::optional<double> to_number(const Value& input) {
    if (const auto text = as_text(input)) return parse_number<double>(*text);
    return as_number(input);
}

Result<Value> to_float(Machine&, const Value& input, Arguments& arguments) {
    if (const auto number = to_number(input)) return Value(*number);
    const Value* otherwise = arguments.find(0, "default");
    return otherwise != nullptr ? *otherwise : Value(0.0);
}

Result<Value> to_integer(Machine&, const Value& input, Arguments& arguments) {
    if (const auto integer = as_integer(input)) return Value(*integer);
    const std::int64_t base = DG_TRY(integer_argument(arguments, 1, "base", 10));
    if (const auto text = as_text(input); text && base >= 2 && base <= 36 && base != 10) {
        std::string_view digits = stripped(*text, std::nullopt, Side::both);
        if (digits.starts_with("0x") || digits.starts_with("0b") || digits.starts_with("0o")) {
            digits.remove_prefix(2);
        }
        std::int64_t value = 0;
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value,
                                            static_cast<int>(base));
        if (!digits.empty() && parsed.ptr == digits.data() + digits.size()) return Value(value);
    } else if (text) {
        if (const auto integer = parse_number<std::int64_t>(*text)) return Value(*integer);
    }
    if (const auto number = to_number(input); number && std::fabs(*number) < 9.2e18) {
        return Value(static_cast<std::int64_t>(*number));
    }
    const Value* otherwise = arguments.find(0, "default");
    return otherwise != nullptr ? *otherwise : Value(std::int64_t{0});
}

Result<double> number_input(const Value& input, std::string_view filter) {
    if (const auto number = as_number(input)) return *number;
    if (is_undefined(input)) return fail_undefined(input);
    return fail(Code::invalid_argument, "the filter \"{}\" needs a number, found a {}", filter,
                kind_name(input));
}

Result<Value> absolute(Machine& machine, const Value& input, Arguments&) {
    const double number = DG_TRY(number_input(input, "abs"));
    if (!as_integer(input)) return Value(std::fabs(number));
    if (*as_integer(input) >= 0) return Value(*as_integer(input));
    return machine.arithmetic(Operator::subtract, Value(std::int64_t{0}), input);
}

Result<Value> round(Machine&, const Value& input, Arguments& arguments) {
    const double number = DG_TRY(number_input(input, "round"));
    const std::int64_t precision = DG_TRY(integer_argument(arguments, 0, "precision", 0));
    if (precision < -300 || precision > 300)
        return fail(Code::invalid_argument, "round: precision {}", precision);
    std::string_view method = "common";
    if (arguments.find(1, "method") != nullptr) {
        method = DG_TRY(text_argument(arguments, 1, "method", "round"));
    }
    const double scale = std::pow(10.0, static_cast<double>(precision));
    if (method == "ceil") return Value(std::ceil(number * scale) / scale);
    if (method == "floor") return Value(std::floor(number * scale) / scale);
    if (as_integer(input) && precision >= 0) return Value(*as_integer(input));
    if (precision < 0) return Value(std::nearbyint(number * scale) / scale);
    // Printing rounds the exact binary value half to even, as Python does.
    const std::string digits = fmt::format("{:.{}f}", number, precision);
    return Value(parse_number<double>(digits).value_or(number));
}

Result<Value> tojson(Machine& machine, const Value& input, Arguments& arguments) {
    JsonStyle style;
    const Value* indent_given = arguments.find(0, "indent");
    if (indent_given != nullptr && is_text(*indent_given)) {
        style.indent = std::string(text_of(*indent_given));
    } else if (indent_given != nullptr && as_integer(*indent_given)) {
        const std::int64_t width = std::clamp<std::int64_t>(*as_integer(*indent_given), 0, 1000);
        style.indent = std::string(static_cast<std::size_t>(width), ' ');
    }
    if (style.indent) style.item_separator = ",";
    const Value* separators = arguments.find(SIZE_MAX, "separators");
    if (const List* pair = separators != nullptr ? as_list(*separators) : nullptr) {
        if (pair->items.size() != 2 || !is_text(pair->items[0]) || !is_text(pair->items[1])) {
            return fail(Code::invalid_argument, "tojson: separators are two strings");
        }
        style.item_separator = text_of(pair->items[0]);
        style.key_separator = text_of(pair->items[1]);
    }
    style.ensure_ascii = flag_argument(arguments, SIZE_MAX, "ensure_ascii", false);
    style.sort_keys = flag_argument(arguments, SIZE_MAX, "sort_keys", false);
    std::string out;
    DG_TRY(append_json(machine.meter(), out, input, style));
    return machine.heap().text(std::move(out));
}

Result<Value> attr(Machine& machine, const Value& input, Arguments& arguments) {
    const std::string_view name = DG_TRY(text_argument(arguments, 0, "name", "attr"));
    Value found = DG_TRY(machine.attribute(input, name));
    return is_undefined(found) ? Value(Undefined{"an attribute"}) : found;
}

constexpr NamedFilter kFilters[] = {
    {"trim", trim},
    {"upper", by_method<UpperName>},
    {"lower", by_method<LowerName>},
    {"capitalize", by_method<CapitalizeName>},
    {"replace", by_method<ReplaceName>},
    {"center", by_method<CenterName>},
    {"title", title},
    {"string", string},
    {"escape", escape},
    {"e", escape},
    {"forceescape", escape},
    {"safe", same},
    {"default", fallback},
    {"d", fallback},
    {"indent", indent},
    {"truncate", truncate},
    {"wordcount", word_count},
    {"urlencode", url_encode},
    {"format", format},
    {"float", to_float},
    {"int", to_integer},
    {"abs", absolute},
    {"round", round},
    {"tojson", tojson},
    {"attr", attr},
};

}  // namespace

std::span<const NamedFilter> value_filters() {
    return kFilters;
}

FilterFunction find_filter(std::string_view name) {
    for (const auto table : {value_filters(), sequence_filters()}) {
        for (const NamedFilter& filter : table) {
            if (filter.name == name) return filter.function;
        }
    }
    return nullptr;
}

}  // namespace base::tmpl
