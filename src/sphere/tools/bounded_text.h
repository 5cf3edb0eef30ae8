#pragma once
// Output as a model reads it: text of bounded size, its beginning and its end kept, what is left
// out between them told.

#include <cstdint>
#include <string>
#include <string_view>

namespace sphere::tools {

/// One thread at a time. Holds little more than `bytes_max`, whatever comes.
class BoundedText {
public:
    explicit BoundedText(std::size_t bytes_max) : bytes_max_(bytes_max) {}

    void append(std::string_view bytes);
    /// What came and is not kept.
    std::uint64_t left_out() const { return total_ - head_.size() - tail_.size(); }
    /// UTF-8: bytes that are none become U+FFFD, characters are not cut. Where something is left
    /// out, a line of its own says how much and what to do.
    std::string text();

private:
    std::size_t head_max() const { return bytes_max_ / 2; }
    std::size_t tail_max() const { return bytes_max_ - head_max(); }
    void trim();

    const std::size_t bytes_max_;
    std::uint64_t total_ = 0;
    std::string head_, tail_;
};

/// `bytes` with U+FFFD for each byte that is not UTF-8.
std::string as_utf8(std::string_view bytes);

}  // namespace sphere::tools
