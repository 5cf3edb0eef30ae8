// How values look: Python's str and repr, and json.dumps.

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/core/utf8.h"
#include "base/template/value.h"

namespace base::tmpl {
namespace {

void append_repr_text(std::string& out, std::string_view text) {
    const bool single = text.find('\'') != std::string_view::npos;
    const char quote = single && text.find('"') == std::string_view::npos ? '"' : '\'';
    out.push_back(quote);
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == quote || c == '\\') {
            out.append({'\\', c});
        } else if (c == '\n') {
            out.append("\\n");
        } else if (c == '\r') {
            out.append("\\r");
        } else if (c == '\t') {
            out.append("\\t");
        } else if (byte < 0x20 || byte == 0x7F) {
            out.append(fmt::format("\\x{:02x}", byte));
        } else {
            out.push_back(c);
        }
    }
    out.push_back(quote);
}

Result<void> append_repr_list(Meter& meter, std::string& out, const List& list) {
    out.push_back(list.tuple ? '(' : '[');
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        if (i > 0) out.append(", ");
        DG_TRY(append_repr(meter, out, list.items[i]));
    }
    if (list.tuple && list.items.size() == 1) out.push_back(',');
    out.push_back(list.tuple ? ')' : ']');
    return {};
}

Result<void> append_repr_dict(Meter& meter, std::string& out, const Dict& dict) {
    out.append(dict.is_namespace ? "<Namespace {" : "{");
    for (std::size_t i = 0; i < dict.entries.size(); ++i) {
        if (i > 0) out.append(", ");
        DG_TRY(append_repr(meter, out, dict.entries[i].first));
        out.append(": ");
        DG_TRY(append_repr(meter, out, dict.entries[i].second));
    }
    out.append(dict.is_namespace ? "}>" : "}");
    return {};
}

void append_escaped(std::string& out, char32_t code) {
    out.append(fmt::format("\\u{:04x}", static_cast<std::uint32_t>(code)));
}

void append_json_text(std::string& out, std::string_view text, bool ensure_ascii) {
    constexpr std::string_view kEscaped = "\"\\\n\r\t\b\f";
    constexpr std::string_view kLetters = "\"\\nrtbf";
    out.push_back('"');
    for (std::size_t at = 0; at < text.size();) {
        const char c = text[at];
        const Utf8Char next = utf8_at(text, at);
        if (const std::size_t known = kEscaped.find(c); known != std::string_view::npos) {
            out.append({'\\', kLetters[known]});
        } else if (next.code < 0x20) {
            append_escaped(out, next.code);
        } else if (!ensure_ascii || next.code < 0x7F) {
            out.append(text.substr(at, next.bytes));
        } else if (next.code < 0x10000) {
            append_escaped(out, next.code);
        } else {
            append_escaped(out, 0xD800 + ((next.code - 0x10000) >> 10));
            append_escaped(out, 0xDC00 + ((next.code - 0x10000) & 0x3FF));
        }
        at += next.bytes;
    }
    out.push_back('"');
}

void append_break(std::string& out, const JsonStyle& style, int depth) {
    if (!style.indent) return;
    out.push_back('\n');
    for (int i = 0; i < depth; ++i) out.append(*style.indent);
}

Result<void> append_json_list(Meter& meter, std::string& out, const List& list,
                              const JsonStyle& style, int depth) {
    out.push_back('[');
    for (std::size_t i = 0; i < list.items.size(); ++i) {
        if (i > 0) out.append(style.item_separator);
        append_break(out, style, depth + 1);
        DG_TRY(append_json(meter, out, list.items[i], style, depth + 1));
    }
    if (!list.items.empty()) append_break(out, style, depth);
    out.push_back(']');
    return {};
}

Result<std::string> json_key(Meter& meter, const Value& key) {
    if (is_text(key)) return std::string(text_of(key));
    if (const auto* boolean = std::get_if<bool>(&key))
        return std::string(*boolean ? "true" : "false");
    if (is_none(key)) return std::string("null");
    return print(meter, key);
}

Result<void> append_json_dict(Meter& meter, std::string& out, const Dict& dict,
                              const JsonStyle& style, int depth) {
    std::vector<std::pair<std::string, const Value*>> entries;
    for (const auto& [key, value] : dict.entries) {
        entries.emplace_back(DG_TRY(json_key(meter, key)), &value);
    }
    if (style.sort_keys) {
        std::stable_sort(entries.begin(), entries.end(),
                         [](auto& a, auto& b) { return a.first < b.first; });
    }
    out.push_back('{');
    for (std::size_t i = 0; i < entries.size(); ++i) {
        if (i > 0) out.append(style.item_separator);
        append_break(out, style, depth + 1);
        append_json_text(out, entries[i].first, style.ensure_ascii);
        out.append(style.key_separator);
        DG_TRY(append_json(meter, out, *entries[i].second, style, depth + 1));
    }
    if (!entries.empty()) append_break(out, style, depth);
    out.push_back('}');
    return {};
}

}  // namespace

std::string print_float(double number) {
    if (std::isnan(number)) return "nan";
    if (std::isinf(number)) return number < 0 ? "-inf" : "inf";
    char buffer[64];
    const double size = std::fabs(number);
    const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
    const auto end =
        std::to_chars(std::begin(buffer), std::end(buffer), number,
                      plain ? std::chars_format::fixed : std::chars_format::scientific);
    std::string text(buffer, end.ptr);
    if (plain && text.find('.') == std::string::npos) text.append(".0");
    return text;
}

Result<void> append_repr(Meter& meter, std::string& out, const Value& v) {
    if (const auto text = as_text(v)) {
        DG_TRY(meter.fits(out.size() + text->size()));
        append_repr_text(out, *text);
        return {};
    }
    const List* list = as_list(v);
    const Dict* dict = as_dict(v);
    if (list == nullptr && dict == nullptr) {
        out.append(is_undefined(v) ? "Undefined" : DG_TRY(print(meter, v)));
        return {};
    }
    DG_TRY(meter.step());
    DG_TRY(meter.enter());
    DG_TRY(meter.fits(out.size()));  // lists may hold each other many times over
    Result<void> done =
        list != nullptr ? append_repr_list(meter, out, *list) : append_repr_dict(meter, out, *dict);
    meter.leave();
    return done;
}

Result<std::string> print(Meter& meter, const Value& v) {
    if (const auto text = as_text(v)) return std::string(*text);
    if (is_undefined(v)) return std::string();
    if (is_none(v)) return std::string("None");
    if (const auto* boolean = std::get_if<bool>(&v))
        return std::string(*boolean ? "True" : "False");
    if (const auto* integer = std::get_if<std::int64_t>(&v)) return std::to_string(*integer);
    if (const auto* number = std::get_if<double>(&v)) return print_float(*number);
    if (const auto* function = std::get_if<Function*>(&v)) {
        return fmt::format("<function {}>", (*function)->name);
    }
    if (std::holds_alternative<LoopState*>(v)) return std::string("<loop>");
    std::string out;
    DG_TRY(append_repr(meter, out, v));
    return out;
}

Result<void> append_json(Meter& meter, std::string& out, const Value& v, const JsonStyle& style,
                         int depth) {
    if (const auto text = as_text(v)) {
        DG_TRY(meter.fits(out.size() + text->size()));
        append_json_text(out, *text, style.ensure_ascii);
        return {};
    }
    if (const auto* boolean = std::get_if<bool>(&v)) {
        out.append(*boolean ? "true" : "false");
        return {};
    }
    if (is_undefined(v) || is_none(v)) {
        out.append("null");
        return {};
    }
    if (const auto* number = std::get_if<double>(&v);
        number != nullptr && !std::isfinite(*number)) {
        out.append(std::isnan(*number) ? "NaN" : *number < 0 ? "-Infinity" : "Infinity");
        return {};
    }
    if (as_number(v)) {
        out.append(DG_TRY(print(meter, v)));
        return {};
    }
    const List* list = as_list(v);
    const Dict* dict = as_dict(v);
    if (list == nullptr && dict == nullptr) {
        return fail(Code::invalid_argument, "a {} has no JSON form", kind_name(v));
    }
    DG_TRY(meter.step());
    DG_TRY(meter.enter());
    DG_TRY(meter.fits(out.size()));
    Result<void> done = list != nullptr ? append_json_list(meter, out, *list, style, depth)
                                        : append_json_dict(meter, out, *dict, style, depth);
    meter.leave();
    return done;
}

}  // namespace base::tmpl
