#include "gate/json_text.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>
#include <iterator>

namespace gate {
namespace {

unsigned byte_at(std::string_view text, std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
}

/// Length of the UTF-8 character at `at`, 0 when there is none.
std::size_t character_length(std::string_view text, std::size_t at) {
    const unsigned lead = byte_at(text, at);
    if (lead < 0x80) return 1;
    const auto continues = [&](std::size_t i) { return (byte_at(text, at + i) & 0xc0) == 0x80; };
    const unsigned second = byte_at(text, at + 1);
    if (lead >= 0xc2 && lead <= 0xdf) return continues(1) ? 2 : 0;
    if (lead >= 0xe0 && lead <= 0xef) {
        if (!continues(1) || !continues(2)) return 0;
        if ((lead == 0xe0 && second < 0xa0) || (lead == 0xed && second > 0x9f)) return 0;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        if (!continues(1) || !continues(2) || !continues(3)) return 0;
        if ((lead == 0xf0 && second < 0x90) || (lead == 0xf4 && second > 0x8f)) return 0;
        return 4;
    }
    return 0;
}

bool is_plain(unsigned byte) {
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

void append_special(std::string& out, unsigned byte) {
    switch (byte) {
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
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    }
}

}  // namespace

std::optional<std::size_t> utf8_error_offset(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = character_length(text, at);
        if (length == 0) return at;
        at += length;
    }
    return std::nullopt;
}

void append_json_escaped(std::string& out, std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        std::size_t plain_end = at;
        while (plain_end < text.size() && is_plain(byte_at(text, plain_end))) ++plain_end;
        out.append(text.substr(at, plain_end - at));
        at = plain_end;
        if (at >= text.size()) return;
        if (byte_at(text, at) < 0x80) {
            append_special(out, byte_at(text, at++));
        } else if (const std::size_t length = character_length(text, at); length > 0) {
            out.append(text.substr(at, length));
            at += length;
        } else {
            out.append("\xef\xbf\xbd");
            ++at;
        }
    }
}

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    append_json_escaped(out, text);
    out += '"';
}

void append_json_float(std::string& out, float value) {
    if (!std::isfinite(value)) {
        out += value > 0 ? "9999.0" : "-9999.0";
    } else {
        fmt::format_to(std::back_inserter(out), "{}", value);
    }
}

void append_json_millis(std::string& out, std::optional<double> value) {
    if (!value || !std::isfinite(*value)) {
        out += "null";
    } else {
        fmt::format_to(std::back_inserter(out), "{:.3f}", *value);
    }
}

}  // namespace gate
