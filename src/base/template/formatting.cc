// Python's two ways to fill values into a text: "%s items" % 3 and "{} items".format(3).

#include <algorithm>
#include <charconv>

#include "base/core/utf8.h"
#include "base/template/machine.h"

namespace base::tmpl {
namespace {

// Wider fields than this are a mistake or an attack.
constexpr int kWidthMax = 10'000;

struct Field {
    bool left = false, zero = false, plus = false, blank = false, center = false, comma = false;
    std::string fill = " ";
    int width = 0;
    int precision = -1;
    char kind = 's';
};

std::string padded(std::string text, const Field& field, bool number) {
    const int length = static_cast<int>(std::min<std::size_t>(utf8_length(text), kWidthMax));
    const int missing = std::max(field.width - length, 0);
    const auto blanks = [&](int count) {
        std::string out;
        for (int i = 0; i < count; ++i) out.append(field.fill);
        return out;
    };
    if (field.zero && number && !field.left) {
        const std::size_t sign = text.starts_with('-') || text.starts_with('+') ? 1 : 0;
        return text.insert(sign, static_cast<std::size_t>(missing), '0');
    }
    if (field.center) return blanks(missing / 2) + text + blanks(missing - missing / 2);
    return field.left ? text + blanks(missing) : blanks(missing) + text;
}

std::string with_commas(std::string digits) {
    const std::size_t begin = digits.starts_with('-') || digits.starts_with('+') ? 1 : 0;
    const std::size_t end = std::min(digits.find('.'), digits.size());
    for (std::size_t at = end; at > begin + 3; at -= 3) digits.insert(at - 3, ",");
    return digits;
}

Result<std::string> number_text(const Value& value, const Field& field) {
    const auto number = as_number(value);
    if (!number) {
        if (is_undefined(value)) return fail_undefined(value);
        return fail(Code::invalid_argument, "%{} needs a number, found a {}", field.kind,
                    kind_name(value));
    }
    const int precision = field.precision < 0 ? 6 : field.precision;
    std::string text;
    switch (field.kind) {
        case 'f':
        case 'F':
            text = fmt::format("{:.{}f}", *number, precision);
            break;
        case 'e':
            text = fmt::format("{:.{}e}", *number, precision);
            break;
        case 'g':
            text = fmt::format("{:.{}g}", *number, precision);
            break;
        case '%':
            text = fmt::format("{:.{}f}%", *number * 100, precision);
            break;
        default: {
            const std::int64_t integer = as_integer(value).value_or(
                std::abs(*number) < 9.2e18 ? static_cast<std::int64_t>(*number) : 0);
            text = field.kind == 'x'   ? fmt::format("{:x}", integer)
                   : field.kind == 'X' ? fmt::format("{:X}", integer)
                   : field.kind == 'o' ? fmt::format("{:o}", integer)
                   : field.kind == 'b' ? fmt::format("{:b}", integer)
                                       : fmt::format("{}", integer);
        }
    }
    if (*number >= 0 && (field.plus || field.blank)) text.insert(0, field.plus ? "+" : " ");
    return field.comma ? with_commas(std::move(text)) : text;
}

Result<std::string> shown(Machine& machine, const Value& value, const Field& field) {
    constexpr std::string_view kNumbers = "dixXobfFeg%";
    if (kNumbers.find(field.kind) != std::string_view::npos) {
        return padded(DG_TRY(number_text(value, field)), field, true);
    }
    if (field.kind != 's' && field.kind != 'r') {
        return fail(Code::invalid_argument, "unknown conversion \"{}\"", field.kind);
    }
    std::string text;
    if (field.kind == 'r') {
        DG_TRY(append_repr(machine.meter(), text, value));
    } else {
        text = DG_TRY(machine.print(value));
    }
    if (field.precision >= 0) {
        std::size_t bytes = 0;
        for (int i = 0; i < field.precision && bytes < text.size(); ++i) {
            bytes += utf8_at(text, bytes).bytes;
        }
        text.resize(std::min(bytes, text.size()));
    }
    return padded(std::move(text), field, false);
}

Result<int> take_number(std::string_view& text, int otherwise) {
    if (text.empty() || text.front() < '0' || text.front() > '9') return otherwise;
    int value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
    if (parsed.ec != std::errc{} || value > kWidthMax) {
        return fail(Code::invalid_argument, "a field is wider than {}", kWidthMax);
    }
    text.remove_prefix(static_cast<std::size_t>(parsed.ptr - text.data()));
    return value;
}

Result<Value> nth(const Arguments& arguments, std::size_t place) {
    if (place < arguments.positional.size()) return arguments.positional[place];
    return fail(Code::invalid_argument, "format: value {} is missing", place + 1);
}

Result<Value> named(const Arguments& arguments, std::string_view name) {
    if (const Value* value = arguments.find(SIZE_MAX, name)) return *value;
    // "%(name)s" % dict hands the names over in one dict.
    const Dict* dict =
        arguments.positional.size() == 1 ? as_dict(arguments.positional[0]) : nullptr;
    if (const Value* value = dict != nullptr ? dict->find(name) : nullptr) return *value;
    return fail(Code::invalid_argument, "format: there is no value named \"{}\"", name);
}

}  // namespace

Result<std::string> format_percent(Machine& machine, std::string_view pattern,
                                   const Arguments& arguments) {
    std::string out;
    std::size_t next = 0;
    while (!pattern.empty()) {
        const std::size_t mark = std::min(pattern.find('%'), pattern.size());
        out.append(pattern.substr(0, mark));
        pattern.remove_prefix(mark);
        if (pattern.empty()) break;
        pattern.remove_prefix(1);
        std::optional<Value> value;
        if (pattern.starts_with('(')) {
            const std::size_t end = pattern.find(')');
            if (end == std::string_view::npos)
                return fail(Code::invalid_argument, "format: \"%(\"");
            value = DG_TRY(named(arguments, pattern.substr(1, end - 1)));
            pattern.remove_prefix(end + 1);
        }
        Field field;
        for (; !pattern.empty(); pattern.remove_prefix(1)) {
            const char flag = pattern.front();
            if (flag == '-')
                field.left = true;
            else if (flag == '0')
                field.zero = true;
            else if (flag == '+')
                field.plus = true;
            else if (flag == ' ')
                field.blank = true;
            else if (flag != '#')
                break;
        }
        field.width = DG_TRY(take_number(pattern, 0));
        if (pattern.starts_with('.')) {
            pattern.remove_prefix(1);
            field.precision = DG_TRY(take_number(pattern, 0));
        }
        if (pattern.empty())
            return fail(Code::invalid_argument, "format: the text ends after \"%\"");
        field.kind = pattern.front();
        pattern.remove_prefix(1);
        if (field.kind == '%') {
            out.push_back('%');
            continue;
        }
        if (!value) value = DG_TRY(nth(arguments, next++));
        out.append(DG_TRY(shown(machine, *value, field)));
        DG_TRY(machine.meter().fits(out.size()));
    }
    return out;
}

namespace {

/// What stands after the colon of "{:...}": [[fill]align][sign][0][width][,][.precision][type].
Result<Field> parse_field(std::string_view spec, bool number) {
    Field field;
    field.left = !number;
    const auto align = [&](char c) {
        if (c != '<' && c != '>' && c != '^') return false;
        field.left = c == '<';
        field.center = c == '^';
        return true;
    };
    const std::size_t fill = spec.empty() ? 0 : utf8_at(spec, 0).bytes;
    if (spec.size() > fill && align(spec[fill])) {
        field.fill = spec.substr(0, fill);
        spec.remove_prefix(fill + 1);
    } else if (!spec.empty() && align(spec.front())) {
        spec.remove_prefix(1);
    }
    const auto take = [&](char c) {
        const bool found = spec.starts_with(c);
        if (found) spec.remove_prefix(1);
        return found;
    };
    field.plus = take('+');
    field.blank = take(' ');
    take('-');
    field.zero = take('0');
    field.width = DG_TRY(take_number(spec, 0));
    field.comma = take(',');
    if (take('.')) field.precision = DG_TRY(take_number(spec, 0));
    field.kind = spec.empty() ? '\0' : spec.front();
    if (spec.size() > 1) return fail(Code::invalid_argument, "format: cannot read \"{}\"", spec);
    return field;
}

/// The value "name.attribute[key]" or "0" or "" stands for.
Result<Value> field_value(Machine& machine, std::string_view path, const Arguments& arguments,
                          std::size_t& next) {
    const std::string_view head = path.substr(0, path.find_first_of(".["));
    Value value = None{};
    std::string_view digits = head;
    const int place = DG_TRY(take_number(digits, -1));
    if (head.empty()) {
        value = DG_TRY(nth(arguments, next++));
    } else if (place >= 0 && digits.empty()) {
        value = DG_TRY(nth(arguments, static_cast<std::size_t>(place)));
    } else {
        value = DG_TRY(named(arguments, head));
    }
    path.remove_prefix(head.size());
    while (!path.empty()) {
        const bool bracket = path.front() == '[';
        path.remove_prefix(1);
        const std::size_t end = std::min(path.find_first_of(bracket ? "]" : ".["), path.size());
        std::string_view name = path.substr(0, end);
        std::string_view rest = name;
        const int index = DG_TRY(take_number(rest, -1));
        value = DG_TRY(machine.item(
            value, index >= 0 && rest.empty() ? Value(std::int64_t{index}) : constant_text(name)));
        path.remove_prefix(std::min(end + (bracket ? 1 : 0), path.size()));
    }
    return value;
}

}  // namespace

Result<std::string> format_braces(Machine& machine, std::string_view pattern,
                                  const Arguments& arguments) {
    std::string out;
    std::size_t next = 0;
    while (!pattern.empty()) {
        const std::size_t mark = std::min(pattern.find_first_of("{}"), pattern.size());
        out.append(pattern.substr(0, mark));
        pattern.remove_prefix(mark);
        if (pattern.empty()) break;
        if (pattern.starts_with("{{") || pattern.starts_with("}}")) {
            out.push_back(pattern.front());
            pattern.remove_prefix(2);
            continue;
        }
        const std::size_t end = pattern.find('}');
        if (pattern.front() == '}' || end == std::string_view::npos) {
            return fail(Code::invalid_argument, "format: a brace stands alone; double it");
        }
        const std::string_view inside = pattern.substr(1, end - 1);
        pattern.remove_prefix(end + 1);
        const std::size_t colon = std::min(inside.find(':'), inside.size());
        std::string_view path = inside.substr(0, colon);
        const bool repr = path.ends_with("!r");
        if (repr || path.ends_with("!s")) path.remove_suffix(2);
        const Value value = DG_TRY(field_value(machine, path, arguments, next));
        const bool number = as_number(value).has_value() && !repr;
        Field field =
            DG_TRY(parse_field(inside.substr(std::min(colon + 1, inside.size())), number));
        if (field.kind == '\0') {
            const bool plain_integer = number && std::holds_alternative<std::int64_t>(value);
            field.kind = repr                             ? 'r'
                         : plain_integer                  ? 'd'
                         : number && field.precision >= 0 ? 'g'
                                                          : 's';
        }
        out.append(DG_TRY(shown(machine, value, field)));
        DG_TRY(machine.meter().fits(out.size()));
    }
    return out;
}

}  // namespace base::tmpl
