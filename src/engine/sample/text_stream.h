#pragma once
// Token bytes in, text safe to show out. Two things are held back: the first bytes of a character
// whose rest may come with the next token, and text that may turn out to begin a stop string.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace engine {

/// Makes valid UTF-8 of any bytes. Every maximal invalid part becomes one U+FFFD (Unicode 15,
/// section 3.9, "substitution of maximal subparts").
class Utf8Assembler {
public:
    /// Complete characters freed by `bytes`; the start of an unfinished one waits inside.
    std::string push(std::string_view bytes);
    /// What still waits can no longer be completed: U+FFFD, or nothing.
    std::string finish();

private:
    std::string waiting_;  ///< a valid but incomplete prefix of one character
};

class TextStream {
public:
    explicit TextStream(std::vector<std::string> stops);

    /// Text freed by a token's bytes. Once a stop string has matched, everything from its first
    /// byte on is dropped and later pushes free nothing.
    std::string push(std::string_view bytes);
    /// The end of generation: frees what was held back for stop strings that did not come.
    std::string finish();

    const std::optional<std::string>& matched() const { return matched_; }

private:
    std::string release(std::string_view text);
    std::size_t held_back_bytes() const;

    std::vector<std::string> stops_;
    Utf8Assembler utf8_;
    std::string pending_;  ///< shorter than the longest stop string between pushes
    std::optional<std::string> matched_;
};

}  // namespace engine
