#include "base/json/json_text.h"

#include <fmt/format.h>

#include <iterator>

#include "base/core/utf8.h"

namespace base {
namespace {

bool is_plain(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x20 && byte < 0x7f && c != '"' && c != '\\';
}

void append_special(std::string& out, char c) {
    switch (c) {
        case '"':
            out += "\\\"";
            break;
        case '\\':
            out += "\\\\";
            break;
        case '\n':
            out += "\\n";
            break;
        case '\r':
            out += "\\r";
            break;
        case '\t':
            out += "\\t";
            break;
        default:
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
    }
}

}  // namespace

void append_json_escaped(std::string& out, std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        std::size_t plain_end = at;
        while (plain_end < text.size() && is_plain(text[plain_end])) ++plain_end;
        out.append(text.substr(at, plain_end - at));
        at = plain_end;
        if (at >= text.size()) return;
        const Utf8Char next = utf8_at(text, at);
        if (next.bytes == 1 && next.valid) {
            append_special(out, text[at]);
        } else if (next.valid) {
            out.append(text.substr(at, next.bytes));
        } else {
            append_utf8(out, 0xFFFD);
        }
        at += next.bytes;
    }
}

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    append_json_escaped(out, text);
    out += '"';
}

}  // namespace base
