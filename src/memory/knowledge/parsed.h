#pragma once
// What a parser makes of a document: one text, and what stands where in it. Crosses the border
// between the parser's process and ours, so it is checked on the way in like any stranger's bytes.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace memory::knowledge {

enum class BlockKind : std::uint8_t {
    heading,
    paragraph,
    item,  ///< of a list
    code,
    header,  ///< a table's row of column names
    row,     ///< of a table; cells are parted by kCellBreak
    note,    ///< of a slide's speaker, a footnote
};

/// Between the cells of a row.
inline constexpr std::string_view kCellBreak = " | ";

/// Bytes of the text, half open; blocks are in order, do not overlap and are never empty.
struct Block {
    BlockKind kind = BlockKind::paragraph;
    std::uint32_t level = 0;  ///< of a heading, from 1; of a sheet's row, its number
    std::uint64_t begin = 0, end = 0;
    bool operator==(const Block&) const = default;
};

struct PageStart {
    std::uint64_t begin = 0;
    std::string name = {};  ///< a sheet's, a slide's
    bool operator==(const PageStart&) const = default;
};

struct Parsed {
    std::string title = {};
    std::string media_type = {};  ///< what it turned out to be
    std::string text = {};        ///< UTF-8 without NUL
    std::vector<Block> blocks = {};
    std::vector<PageStart> pages = {};  ///< ascending; empty: no pages
    std::vector<std::string> warnings = {};
    bool operator==(const Parsed&) const = default;
};

struct ParseRequest {
    std::string media_type = {};  ///< empty: told from the bytes and the name
    std::string name = {};
    std::uint64_t text_bytes_max = 16u << 20;
    std::uint64_t unpacked_bytes_max = 256u << 20;  ///< of a package, all its files
    std::uint32_t pages_max = 5'000;
};

/// Errors: data_loss, naming what does not hold.
base::Result<void> check_parsed(const Parsed& parsed, std::uint64_t text_bytes_max);

// What goes through the pipe: one line of JSON, then the text.
std::string encode_request(const ParseRequest& request);
base::Result<ParseRequest> decode_request(std::string_view line);
std::string encode_answer(const base::Result<Parsed>& parsed);
/// The parser's error, or data_loss for an answer that is none.
base::Result<Parsed> decode_answer(std::string_view answer);

}  // namespace memory::knowledge
