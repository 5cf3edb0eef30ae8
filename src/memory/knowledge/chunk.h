#pragma once
// A document into passages, by its structure: a passage never crosses a heading or a page, ends
// where a sentence, a row or a line of code ends, and knows what stands above it. Pure.

#include <cstdint>
#include <string>
#include <vector>

#include "memory/knowledge/parsed.h"

namespace memory::knowledge {

struct ChunkOptions {
    std::uint32_t tokens_target = 200;  ///< filled up to this
    std::uint32_t tokens_max = 320;     ///< what is whole may go up to this
};

struct Chunk {
    std::uint64_t begin = 0, end = 0;       ///< bytes of the text
    std::uint32_t page = 0;                 ///< from 1; 0: no pages
    std::string place = {};                 ///< the page's name; of a sheet with rows, "Name!2:9"
    std::vector<std::string> section = {};  ///< headings it is under, outermost first
    std::string above = {};   ///< the headings that it does not begin with itself, as one line
    std::string header = {};  ///< the row of names of a table that began before it
    bool operator==(const Chunk&) const = default;
};

/// In order, without overlap; every block is in them, and nothing else but blanks.
std::vector<Chunk> chunk(const Parsed& parsed, const ChunkOptions& options = {});

/// What is searched: headings, a table's header, and the passage.
std::string searched_text(const Chunk& chunk, std::string_view title, std::string_view text);

}  // namespace memory::knowledge
