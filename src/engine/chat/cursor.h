#pragma once
// Reading a text of which more may come. Every read answers yes, no, or more: "the text so far
// allows both". An answer of yes or no never changes when the text grows, which is what makes the
// parser's events independent of how a text was cut into pieces.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace engine::chat {

enum class Scan : std::uint8_t { more, yes, no };

bool is_space(char c);

/// Where it stands after an answer other than yes is unspecified.
class Cursor {
public:
    explicit Cursor(std::string_view text, std::size_t at = 0) : text_(text), at_(at) {}

    std::size_t at() const { return at_; }
    bool ended() const { return at_ >= text_.size(); }
    char peek() const { return text_[at_]; }  ///< Pre: !ended()
    std::string_view rest() const { return text_.substr(at_); }
    void skip() { ++at_; }
    Cursor back_at(std::size_t at) const { return Cursor(text_, at); }
    void space();  ///< over the white space that is there

    Scan literal(std::string_view text);
    /// The first of them that is here.
    Scan any_literal(const std::vector<std::string>& texts);
    /// White space in `pattern` stands for any or none, also before it; what ends the pattern is
    /// not taken. kAnyId takes an id.
    Scan loose(std::string_view pattern);
    Scan any_loose(const std::vector<std::string>& patterns, std::size_t* which = nullptr);
    Scan take(char c);              ///< after white space
    Scan name(std::string& out);    ///< of a function, and one character of what follows is known
    Scan string(std::string& out);  ///< a JSON string, decoded
    Scan value(std::string_view& raw);                    ///< any JSON value, its text
    Scan python_value(std::string& json, int depth = 0);  ///< a Python literal, as JSON

private:
    Scan python_string(std::string& json);
    Scan python_list(std::string& json, char close, int depth);
    Scan python_dict(std::string& json, int depth);
    Scan word(std::string_view& out);

    std::string_view text_;
    std::size_t at_;
};

/// Finds the end of a JSON object that arrives in pieces, whatever is inside: braces outside of
/// strings are counted, nothing else is checked.
class ObjectSpan {
public:
    /// How many bytes of `text` belong to the object; ended() tells whether it is complete.
    std::size_t feed(std::string_view text);
    bool ended() const { return ended_; }

private:
    std::size_t depth_ = 0;
    bool in_string_ = false, escaped_ = false, ended_ = false;
};

}  // namespace engine::chat
