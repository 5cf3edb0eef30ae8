#include "engine/chat/cursor.h"

#include "base/json/json.h"
#include "base/json/json_text.h"
#include "engine/chat/chat_format.h"

namespace engine::chat {
namespace {

constexpr int kDepthMax = 64;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
           c == '-' || c == '.';
}

/// A complete JSON string with its quotes to text. False when it is none.
bool decode(std::string_view quoted, std::string& out) {
    const auto parsed = base::parse_json(quoted);
    if (!parsed || !parsed->is_string()) return false;
    out = std::string(parsed->get_string());
    return true;
}

}  // namespace

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

void Cursor::space() {
    while (!ended() && is_space(peek())) ++at_;
}

Scan Cursor::literal(std::string_view text) {
    const std::string_view rest = text_.substr(at_);
    if (rest.starts_with(text)) {
        at_ += text.size();
        return Scan::yes;
    }
    return text.starts_with(rest) ? Scan::more : Scan::no;
}

Scan Cursor::any_literal(const std::vector<std::string>& texts) {
    Scan answer = Scan::no;
    for (const std::string& text : texts) {
        const Scan one = literal(text);
        if (one == Scan::yes) return one;
        if (one == Scan::more) answer = one;
    }
    return answer;
}

Scan Cursor::loose(std::string_view pattern) {
    while (!pattern.empty() && is_space(pattern.back())) pattern.remove_suffix(1);
    const std::size_t start = at_;
    space();
    if (pattern.empty()) {
        at_ = start;
        return Scan::yes;
    }
    for (const char c : pattern) {
        if (is_space(c)) {
            space();
            continue;
        }
        if (c == kAnyId) {
            while (!ended() && is_name_char(peek())) ++at_;
        }
        if (ended()) return Scan::more;
        if (c == kAnyId) continue;
        if (peek() != c) {
            at_ = start;
            return Scan::no;
        }
        ++at_;
    }
    return Scan::yes;
}

Scan Cursor::any_loose(const std::vector<std::string>& patterns, std::size_t* which) {
    const std::size_t start = at_;
    Scan answer = Scan::no;
    for (std::size_t i = 0; i < patterns.size(); ++i) {
        at_ = start;
        const Scan one = loose(patterns[i]);
        if (which != nullptr && one == Scan::yes) *which = i;
        if (one == Scan::yes) return one;
        if (one == Scan::more) answer = one;
    }
    at_ = start;
    return answer;
}

Scan Cursor::take(char c) {
    space();
    if (ended()) return Scan::more;
    if (peek() != c) return Scan::no;
    ++at_;
    return Scan::yes;
}

Scan Cursor::name(std::string& out) {
    const std::size_t start = at_;
    while (!ended() && is_name_char(peek())) ++at_;
    if (ended()) return Scan::more;
    if (at_ == start) return Scan::no;
    out = std::string(text_.substr(start, at_ - start));
    return Scan::yes;
}

Scan Cursor::string(std::string& out) {
    const std::size_t start = at_;
    if (ended()) return Scan::more;
    if (peek() != '"') return Scan::no;
    for (++at_; !ended(); ++at_) {
        if (peek() == '\\') {
            if (++at_ >= text_.size()) return Scan::more;
        } else if (peek() == '"') {
            ++at_;
            return decode(text_.substr(start, at_ - start), out) ? Scan::yes : Scan::no;
        }
    }
    return Scan::more;
}

Scan Cursor::value(std::string_view& raw) {
    const std::size_t start = at_;
    if (ended()) return Scan::more;
    if (peek() == '"') {
        std::string unused;
        const Scan answer = string(unused);
        if (answer == Scan::yes) raw = text_.substr(start, at_ - start);
        return answer;
    }
    if (peek() == '{' || peek() == '[') {
        ObjectSpan span;
        at_ += span.feed(text_.substr(start));
        raw = text_.substr(start, at_ - start);
        return span.ended() ? Scan::yes : Scan::more;
    }
    const Scan answer = word(raw);
    return answer == Scan::yes && !base::parse_json(raw) ? Scan::no : answer;
}

Scan Cursor::word(std::string_view& out) {
    const std::size_t start = at_;
    while (!ended() && (is_name_char(peek()) || peek() == '+')) ++at_;
    if (ended()) return Scan::more;
    out = text_.substr(start, at_ - start);
    return out.empty() ? Scan::no : Scan::yes;
}

Scan Cursor::python_string(std::string& json) {
    const char quote = peek();
    std::string text;
    for (++at_; !ended(); ++at_) {
        if (peek() == quote) {
            ++at_;
            base::append_json_string(json, text);
            return Scan::yes;
        }
        if (peek() != '\\') {
            text += peek();
            continue;
        }
        if (++at_ >= text_.size()) return Scan::more;
        std::size_t length = 1;
        if (peek() == 'u' || peek() == 'x') length = peek() == 'u' ? 5 : 3;
        if (at_ + length > text_.size()) return Scan::more;
        if (length > 1) {
            const std::string_view digits = text_.substr(at_ + 1, length - 1);
            std::string decoded;
            const std::string padding(4 - digits.size(), '0');
            if (!decode("\"\\u" + padding + std::string(digits) + "\"", decoded)) return Scan::no;
            text += decoded;
            at_ += length - 1;
            continue;
        }
        const char c = peek();
        text += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
    }
    return Scan::more;
}

Scan Cursor::python_list(std::string& json, char close, int depth) {
    json += '[';
    bool first = true;
    for (++at_;;) {
        space();
        if (ended()) return Scan::more;
        if (peek() == close) break;
        if (!first) {
            if (peek() != ',') return Scan::no;
            ++at_;
            space();
            if (ended()) return Scan::more;
            if (peek() == close) break;
            json += ", ";
        }
        first = false;
        if (const Scan item = python_value(json, depth + 1); item != Scan::yes) return item;
    }
    ++at_;
    json += ']';
    return Scan::yes;
}

Scan Cursor::python_dict(std::string& json, int depth) {
    json += '{';
    bool first = true;
    for (++at_;;) {
        space();
        if (ended()) return Scan::more;
        if (peek() == '}') break;
        if (!first) {
            if (peek() != ',') return Scan::no;
            ++at_;
            space();
            if (ended()) return Scan::more;
            if (peek() == '}') break;
            json += ", ";
        }
        first = false;
        if (peek() != '"' && peek() != '\'') return Scan::no;
        if (const Scan key = python_string(json); key != Scan::yes) return key;
        if (const Scan colon = take(':'); colon != Scan::yes) return colon;
        json += ": ";
        if (const Scan item = python_value(json, depth + 1); item != Scan::yes) return item;
    }
    ++at_;
    json += '}';
    return Scan::yes;
}

Scan Cursor::python_value(std::string& json, int depth) {
    if (depth > kDepthMax) return Scan::no;
    space();
    if (ended()) return Scan::more;
    const char c = peek();
    if (c == '"' || c == '\'') return python_string(json);
    if (c == '[') return python_list(json, ']', depth);
    if (c == '(') return python_list(json, ')', depth);
    if (c == '{') return python_dict(json, depth);
    std::string_view text;
    if (const Scan answer = word(text); answer != Scan::yes) return answer;
    if (text == "True" || text == "False") {
        json += text == "True" ? "true" : "false";
    } else if (text == "None") {
        json += "null";
    } else if (base::parse_json(text)) {
        json += text;
    } else {
        return Scan::no;
    }
    return Scan::yes;
}

std::size_t ObjectSpan::feed(std::string_view text) {
    for (std::size_t i = 0; i < text.size() && !ended_; ++i) {
        const char c = text[i];
        if (escaped_) {
            escaped_ = false;
        } else if (in_string_) {
            if (c == '\\') escaped_ = true;
            if (c == '"') in_string_ = false;
        } else if (c == '"') {
            in_string_ = true;
        } else if (c == '{' || c == '[') {
            ++depth_;
        } else if ((c == '}' || c == ']') && --depth_ == 0) {
            ended_ = true;
            return i + 1;
        }
    }
    return text.size();
}

}  // namespace engine::chat
