#include "base/template/text_functions.h"

#include <utf8proc.h>

#include <algorithm>
#include <utility>

#include "base/core/utf8.h"

namespace base::tmpl {
namespace {

template <class Map>
std::string mapped(std::string_view text, Map map) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const Utf8Char next = utf8_at(text, at);
        if (next.valid) {
            append_utf8(out, map(next.code));
        } else {
            out.push_back(text[at]);
        }
        at += next.bytes;
    }
    return out;
}

char32_t upper(char32_t code) {
    return static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(code)));
}
char32_t lower(char32_t code) {
    return static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
}

/// Bytes of the character that ends right before `end`.
std::size_t last_bytes(std::string_view text) {
    for (std::size_t bytes = 1; bytes <= 4 && bytes <= text.size(); ++bytes) {
        const Utf8Char last = utf8_at(text, text.size() - bytes);
        if (last.valid && last.bytes == bytes) return bytes;
    }
    return 1;
}

}  // namespace

bool is_space(char32_t code) {
    return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
           code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
           code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

// Sharp s is the one letter whose upper case is two and that is common enough to matter.
std::string to_upper(std::string_view text) {
    const std::string out =
        mapped(text, [](char32_t code) { return code == 0xDF ? code : upper(code); });
    return replaced(out, "\xC3\x9F", "SS", -1);
}
std::string to_lower(std::string_view text) {
    return mapped(text, lower);
}

std::string capitalized(std::string_view text) {
    bool first = true;
    return mapped(text, [&](char32_t code) {
        return std::exchange(first, false) ? upper(code) : lower(code);
    });
}

std::string titled(std::string_view text, bool (*starts_word)(char32_t before)) {
    char32_t before = ' ';
    return mapped(text, [&](char32_t code) {
        const char32_t shown = starts_word(before) ? upper(code) : lower(code);
        before = code;
        return shown;
    });
}

std::string_view stripped(std::string_view text, std::optional<std::string_view> chars, Side side) {
    const auto drops = [&](std::string_view character) {
        if (chars) return chars->find(character) != std::string_view::npos;
        return is_space(utf8_at(character, 0).code);
    };
    while (side != Side::right && !text.empty()) {
        const std::size_t bytes = utf8_at(text, 0).bytes;
        if (!drops(text.substr(0, bytes))) break;
        text.remove_prefix(bytes);
    }
    while (side != Side::left && !text.empty()) {
        const std::size_t bytes = last_bytes(text);
        if (!drops(text.substr(text.size() - bytes))) break;
        text.remove_suffix(bytes);
    }
    return text;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator,
                                    std::int64_t splits_max) {
    std::vector<std::string_view> parts;
    std::size_t at = 0;
    while (splits_max < 0 || static_cast<std::int64_t>(parts.size()) < splits_max) {
        const std::size_t found = text.find(separator, at);
        if (found == std::string_view::npos) break;
        parts.push_back(text.substr(at, found - at));
        at = found + separator.size();
    }
    parts.push_back(text.substr(at));
    return parts;
}

std::vector<std::string_view> split_from_right(std::string_view text, std::string_view separator,
                                               std::int64_t splits_max) {
    std::vector<std::string_view> parts;
    while (splits_max < 0 || static_cast<std::int64_t>(parts.size()) < splits_max) {
        const std::size_t found = text.rfind(separator);
        if (found == std::string_view::npos) break;
        parts.push_back(text.substr(found + separator.size()));
        text = text.substr(0, found);
    }
    parts.push_back(text);
    std::reverse(parts.begin(), parts.end());
    return parts;
}

std::vector<std::string_view> split_spaces(std::string_view text, std::int64_t splits_max) {
    std::vector<std::string_view> parts;
    for (;;) {
        text = stripped(text, std::nullopt, Side::left);
        if (text.empty()) return parts;
        if (splits_max >= 0 && static_cast<std::int64_t>(parts.size()) >= splits_max) {
            parts.push_back(stripped(text, std::nullopt, Side::right));
            return parts;
        }
        std::size_t end = 0;
        while (end < text.size() && !is_space(utf8_at(text, end).code)) {
            end += utf8_at(text, end).bytes;
        }
        parts.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find_first_of("\n\r\v\f"), text.size());
        const std::size_t mark = end == text.size()                     ? 0
                                 : text.substr(end).starts_with("\r\n") ? 2
                                                                        : 1;
        lines.push_back(text.substr(0, end + (keep_ends ? mark : 0)));
        text.remove_prefix(end + mark);
    }
    return lines;
}

std::size_t replaced_bytes_max(std::string_view text, std::string_view from, std::string_view to) {
    const std::size_t matches = from.empty() ? text.size() + 1 : text.size() / from.size();
    return text.size() + matches * to.size();
}

std::string replaced(std::string_view text, std::string_view from, std::string_view to,
                     std::int64_t count_max) {
    std::string out;
    std::int64_t count = 0;
    const auto more = [&] { return count_max < 0 || count < count_max; };
    std::size_t at = 0;
    if (from.empty()) {
        for (; more() && at <= text.size(); ++count) {
            out.append(to);
            if (at == text.size()) return out;
            const std::size_t bytes = utf8_at(text, at).bytes;
            out.append(text.substr(at, bytes));
            at += bytes;
        }
        return out.append(text.substr(std::min(at, text.size())));
    }
    for (; more(); ++count) {
        const std::size_t found = text.find(from, at);
        if (found == std::string_view::npos) break;
        out.append(text.substr(at, found - at)).append(to);
        at = found + from.size();
    }
    return out.append(text.substr(at));
}

std::string html_escaped(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '&':
                out.append("&amp;");
                break;
            case '<':
                out.append("&lt;");
                break;
            case '>':
                out.append("&gt;");
                break;
            case '"':
                out.append("&#34;");
                break;
            case '\'':
                out.append("&#39;");
                break;
            default:
                out.push_back(c);
        }
    }
    return out;
}

}  // namespace base::tmpl
