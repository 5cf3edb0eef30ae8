#include "base/template/lexer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

#include "base/core/utf8.h"

namespace base::tmpl {
namespace {

constexpr std::string_view kBlanks = " \t\n\r\v\f";

// Longest first, so that "**" is not read as "*" "*".
constexpr std::array<std::string_view, 27> kSymbols = {
    "**", "//", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<", ">",
    "=",  "(",  ")",  "[",  "]",  "{",  "}", ",", ".", ":", "|", ";", "!"};

bool is_name_start(unsigned char c) {
    return std::isalpha(c) != 0 || c == '_' || c >= 0x80;
}
bool is_name_part(unsigned char c) {
    return is_name_start(c) || std::isdigit(c) != 0;
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

class Lexer {
public:
    Lexer(std::string_view source, const TemplateSyntax& syntax)
        : source_(source), syntax_(syntax) {}

    Result<std::vector<Token>> run_template();
    Result<std::vector<Token>> run_expression();

private:
    std::string_view rest() const { return source_.substr(at_); }
    bool done() const { return at_ >= source_.size(); }
    void advance(std::size_t bytes);
    void put(TokenKind kind, std::string text, Position at);
    void put_text(std::string_view text, Position at);
    void skip_blanks();

    Result<void> lex_text();
    Result<void> lex_comment();
    Result<void> lex_tag(TokenKind open, TokenKind close, std::string_view end);
    bool close_tag(TokenKind close, std::string_view end);
    Result<bool> lex_raw();
    Result<void> lex_token();
    Result<void> lex_number();
    Result<void> lex_string();
    Result<void> lex_escape(std::string& out);
    Result<void> lex_code_point(std::string& out, std::size_t digits, Position at);
    void finish_block(char modifier);

    std::string_view source_;
    TemplateSyntax syntax_;
    std::size_t at_ = 0;
    Position where_;
    bool line_start_ = true;   ///< text here begins a line
    bool strip_next_ = false;  ///< the tag before ended with "-"
    int brackets_ = 0;         ///< open inside the current tag
    std::vector<Token> tokens_;
};

void Lexer::advance(std::size_t bytes) {
    for (const char c : source_.substr(at_, bytes)) {
        if (c == '\n') {
            ++where_.line;
            where_.column = 1;
        } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {
            ++where_.column;
        }
    }
    at_ += std::min(bytes, source_.size() - at_);
}

void Lexer::put(TokenKind kind, std::string text, Position at) {
    tokens_.push_back(Token{kind, std::move(text), at});
}

// Every line end is written as "\n", whatever the source uses.
void Lexer::put_text(std::string_view text, Position at) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\r') {
            out.push_back(text[i]);
        } else {
            out.push_back('\n');
            if (i + 1 < text.size() && text[i + 1] == '\n') ++i;
        }
    }
    if (!out.empty()) put(TokenKind::text, std::move(out), at);
}

void Lexer::skip_blanks() {
    advance(std::min(rest().find_first_not_of(kBlanks), rest().size()));
}

Result<std::vector<Token>> Lexer::run_template() {
    if (!syntax_.keep_trailing_newline && source_.ends_with('\n')) source_.remove_suffix(1);
    while (!done()) DG_TRY(lex_text());
    put(TokenKind::end, "", where_);
    return std::move(tokens_);
}

Result<std::vector<Token>> Lexer::run_expression() {
    for (skip_blanks(); !done(); skip_blanks()) DG_TRY(lex_token());
    put(TokenKind::end, "", where_);
    return std::move(tokens_);
}

/// Reads text up to the next tag, then the tag.
Result<void> Lexer::lex_text() {
    std::size_t length = rest().find('{');
    while (length < rest().size() &&
           (length + 1 == rest().size() ||
            std::string_view("{%#").find(rest()[length + 1]) == std::string_view::npos)) {
        length = rest().find('{', length + 1);
    }
    length = std::min(length, rest().size());
    const Position begin = where_;
    std::string_view text = rest().substr(0, length);
    const std::string_view tag = rest().substr(length);
    const char kind = tag.size() > 1 ? tag[1] : '\0';
    const char modifier = tag.size() > 2 ? tag[2] : '\0';
    advance(length);
    if (strip_next_) text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    strip_next_ = false;
    if (modifier == '-' && !tag.empty()) {
        text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
    } else if (syntax_.lstrip_blocks && modifier != '+' && (kind == '%' || kind == '#')) {
        const std::size_t line = text.rfind('\n') + 1;
        if ((line > 0 || line_start_) &&
            text.find_first_not_of(" \t\r\v\f", line) == std::string_view::npos) {
            text = text.substr(0, line);
        }
    }
    put_text(text, begin);
    line_start_ = false;
    if (tag.empty()) return {};
    if (kind == '#') return lex_comment();
    if (kind == '{') return lex_tag(TokenKind::open_output, TokenKind::close_output, "}}");
    if (DG_TRY(lex_raw())) return {};
    return lex_tag(TokenKind::open_block, TokenKind::close_block, "%}");
}

/// After "%}" or "#}": what its modifier and trim_blocks do to the text that follows.
void Lexer::finish_block(char modifier) {
    strip_next_ = modifier == '-';
    line_start_ = false;
    if (modifier == '-' || modifier == '+' || !syntax_.trim_blocks) return;
    const std::size_t newline = rest().starts_with("\r\n") ? 2 : rest().starts_with('\n') ? 1 : 0;
    advance(newline);
    line_start_ = newline > 0;
}

Result<void> Lexer::lex_comment() {
    const std::size_t end = rest().find("#}", 2);
    if (end == std::string_view::npos) {
        return fail_at(where_, "this comment has no end; close it with #}}");
    }
    const char modifier = end > 2 ? rest()[end - 1] : '\0';
    advance(end + 2);
    finish_block(modifier);
    return {};
}

/// Reads `{% raw %}...{% endraw %}` as text. False when the tag is another one.
Result<bool> Lexer::lex_raw() {
    const auto tag_bytes = [&](std::size_t from, std::string_view name) -> std::size_t {
        std::size_t i = from + 2;
        const auto blanks = [&] {
            i = std::min(rest().find_first_not_of(kBlanks, i), rest().size());
        };
        if (i < rest().size() && (rest()[i] == '-' || rest()[i] == '+')) ++i;
        blanks();
        if (!rest().substr(i).starts_with(name)) return 0;
        i += name.size();
        blanks();
        if (i < rest().size() && (rest()[i] == '-' || rest()[i] == '+')) ++i;
        return rest().substr(i).starts_with("%}") ? i + 2 - from : 0;
    };
    const std::size_t open = tag_bytes(0, "raw");
    if (open == 0) return false;
    const Position begin = where_;
    const char open_modifier = rest()[open - 3];
    std::size_t end = rest().find("{%", open);
    while (end != std::string_view::npos && tag_bytes(end, "endraw") == 0) {
        end = rest().find("{%", end + 2);
    }
    if (end == std::string_view::npos) {
        return fail_at(begin, "this raw block has no end; close it with {{% endraw %}}");
    }
    const std::size_t close = tag_bytes(end, "endraw");
    std::string_view text = rest().substr(open, end - open);
    if (open_modifier == '-') {
        text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
    } else if (syntax_.trim_blocks && text.starts_with('\n')) {
        text.remove_prefix(1);
    }
    if (rest()[end + 2] == '-') text = text.substr(0, text.find_last_not_of(kBlanks) + 1);
    put_text(text, begin);
    const char modifier = rest()[end + close - 3];
    advance(end + close);
    finish_block(modifier);
    return true;
}

Result<void> Lexer::lex_tag(TokenKind open, TokenKind close, std::string_view end) {
    const Position begin = where_;
    put(open, std::string(rest().substr(0, 2)), begin);
    advance(2);
    if (rest().starts_with('-') || rest().starts_with('+')) advance(1);
    brackets_ = 0;
    for (;;) {
        skip_blanks();
        if (done()) return fail_at(begin, "this tag has no end; close it with {}", end);
        if (close_tag(close, end)) return {};
        DG_TRY(lex_token());
    }
}

bool Lexer::close_tag(TokenKind close, std::string_view end) {
    if (brackets_ > 0) return false;
    const char modifier = rest().front();
    const bool modified = modifier == '-' || modifier == '+';
    if (!rest().substr(modified ? 1 : 0).starts_with(end)) return false;
    put(close, std::string(end), where_);
    advance(end.size() + (modified ? 1 : 0));
    if (close == TokenKind::close_block) {
        finish_block(modified ? modifier : '\0');
    } else {
        strip_next_ = modifier == '-';
    }
    return true;
}

Result<void> Lexer::lex_token() {
    const char c = rest().front();
    const Position begin = where_;
    if (is_digit(c)) return lex_number();
    if (c == '"' || c == '\'') return lex_string();
    if (is_name_start(static_cast<unsigned char>(c))) {
        std::size_t length = 1;
        while (length < rest().size() && is_name_part(static_cast<unsigned char>(rest()[length]))) {
            ++length;
        }
        put(TokenKind::name, std::string(rest().substr(0, length)), begin);
        advance(length);
        return {};
    }
    for (const std::string_view symbol : kSymbols) {
        if (!rest().starts_with(symbol)) continue;
        if (symbol == "(" || symbol == "[" || symbol == "{") ++brackets_;
        if (symbol == ")" || symbol == "]" || symbol == "}") --brackets_;
        put(TokenKind::symbol, std::string(symbol), begin);
        advance(symbol.size());
        return {};
    }
    return fail_at(begin, "unexpected character \"{}\"",
                   rest().substr(0, utf8_at(source_, at_).bytes));
}

Result<void> Lexer::lex_number() {
    const Position begin = where_;
    std::string digits;
    std::size_t i = 0;
    const auto take_digits = [&] {
        while (i < rest().size() && (is_digit(rest()[i]) || rest()[i] == '_')) {
            if (rest()[i] != '_') digits.push_back(rest()[i]);
            ++i;
        }
    };
    take_digits();
    // "1.5" is a number, but the dot of "messages.0.role" is an attribute's.
    const bool after_dot =
        !tokens_.empty() && tokens_.back().kind == TokenKind::symbol && tokens_.back().text == ".";
    TokenKind kind = TokenKind::integer;
    if (!after_dot && i + 1 < rest().size() && rest()[i] == '.' && is_digit(rest()[i + 1])) {
        kind = TokenKind::number;
        digits.push_back('.');
        ++i;
        take_digits();
    }
    if (!after_dot && i < rest().size() && (rest()[i] == 'e' || rest()[i] == 'E')) {
        std::size_t sign = i + 1 < rest().size() && (rest()[i + 1] == '+' || rest()[i + 1] == '-');
        if (i + 1 + sign < rest().size() && is_digit(rest()[i + 1 + sign])) {
            kind = TokenKind::number;
            digits.append(rest().substr(i, 1 + sign));
            i += 1 + sign;
            take_digits();
        }
    }
    advance(i);
    put(kind, std::move(digits), begin);
    return {};
}

Result<void> Lexer::lex_string() {
    const Position begin = where_;
    const char quote = rest().front();
    std::string text;
    advance(1);
    while (!done() && rest().front() != quote) {
        if (rest().front() == '\\') {
            DG_TRY(lex_escape(text));
            continue;
        }
        const std::size_t length =
            std::min(rest().find_first_of(quote == '"' ? "\"\\" : "'\\"), rest().size());
        text.append(rest().substr(0, length));
        advance(length);
    }
    if (done()) return fail_at(begin, "this string has no end; close it with {}", quote);
    advance(1);
    put(TokenKind::string, std::move(text), begin);
    return {};
}

// Python's escapes; an unknown one stands for itself, backslash included.
Result<void> Lexer::lex_escape(std::string& out) {
    constexpr std::string_view kNames = "ntrbfva\\'\"";
    constexpr std::string_view kMeanings = "\n\t\r\b\f\v\a\\'\"";
    const Position begin = where_;
    if (rest().size() < 2) return fail_at(begin, "the source ends inside an escape sequence");
    const char c = rest()[1];
    if (const std::size_t known = kNames.find(c); known != std::string_view::npos) {
        out.push_back(kMeanings[known]);
        advance(2);
        return {};
    }
    if (c == 'x' || c == 'u' || c == 'U') {
        advance(2);
        return lex_code_point(out, c == 'x' ? 2 : c == 'u' ? 4 : 8, begin);
    }
    if (c == '\n') {
        advance(2);
        return {};
    }
    if (c >= '0' && c <= '7') {
        std::uint32_t value = 0;
        std::size_t i = 1;
        for (; i < 4 && i < rest().size() && rest()[i] >= '0' && rest()[i] <= '7'; ++i) {
            value = value * 8 + static_cast<std::uint32_t>(rest()[i] - '0');
        }
        append_utf8(out, value);
        advance(i);
        return {};
    }
    out.push_back('\\');
    advance(1);
    return {};
}

std::optional<char32_t> parse_hex(std::string_view digits) {
    char32_t value = 0;
    for (const char c : digits) {
        const int digit = is_digit(c)            ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) return std::nullopt;
        value = value * 16 + static_cast<char32_t>(digit);
    }
    return value;
}

Result<void> Lexer::lex_code_point(std::string& out, std::size_t digits, Position at) {
    const std::string_view text = rest().substr(0, digits);
    const auto value = text.size() == digits ? parse_hex(text) : std::nullopt;
    if (!value) return fail_at(at, "an escape sequence needs {} hexadecimal digits", digits);
    advance(digits);
    char32_t code = *value;
    // Characters past U+FFFF may be written as a pair of surrogates.
    const std::string_view next = rest().substr(0, 6);
    if (code >= 0xD800 && code < 0xDC00 && next.size() == 6 && next.starts_with("\\u")) {
        const auto low = parse_hex(next.substr(2));
        if (low && *low >= 0xDC00 && *low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (*low - 0xDC00);
            advance(6);
        }
    }
    append_utf8(out, code);
    return {};
}

}  // namespace

Result<std::vector<Token>> lex_template(std::string_view source, const TemplateSyntax& syntax) {
    return Lexer(source, syntax).run_template();
}

Result<std::vector<Token>> lex_expression(std::string_view source) {
    return Lexer(source, {}).run_expression();
}

}  // namespace base::tmpl
