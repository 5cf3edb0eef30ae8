#pragma once
// Puts a document's text together block by block, so that every offset is right by construction.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memory/knowledge/parsed.h"

namespace memory::knowledge::parse {

class TextBuilder {
public:
    explicit TextBuilder(std::uint64_t text_bytes_max) : bytes_max_(text_bytes_max) {}

    /// Any bytes: what is no UTF-8 becomes U+FFFD, control characters go, runs of blanks become
    /// one. A text with nothing in it is no block.
    void add(BlockKind kind, std::string_view text, std::uint32_t level = 0);
    /// The same, and its lines stay lines.
    void add_lines(BlockKind kind, std::string_view text);
    /// As it is, line by line.
    void add_code(std::string_view text);
    /// `number`: which row of its sheet; 0: it has no number.
    void add_row(std::span<const std::string> cells, bool header, std::uint32_t number = 0);
    /// The text from here on is of the next page.
    void begin_page(std::string_view name = "");
    void warn(std::string text);
    void title(std::string_view text);

    bool full() const { return full_; }
    /// Errors: payload_too_large, invalid_argument (no text at all; `what` names the document's
    /// kind).
    base::Result<Parsed> finish(std::string_view media_type, std::string_view what);

private:
    void put(BlockKind kind, std::string text, std::uint32_t level);

    const std::uint64_t bytes_max_;
    bool full_ = false;
    Parsed parsed_;
};

/// Valid UTF-8 without control characters but tab and newline. A byte order mark goes.
std::string clean_utf8(std::string_view bytes);
/// Blanks of every kind become one space; none at the ends.
std::string one_line(std::string_view text);
/// Puts the next line of a paragraph behind it: no space between Han characters, and a word that
/// was parted at the line's end is one again.
void join_line(std::string& paragraph, std::string_view line);

}  // namespace memory::knowledge::parse
