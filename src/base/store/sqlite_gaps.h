#pragma once
// Bytes of an SQLite file that belong to nothing any more: what is between and around the cells of
// its b-tree pages, where rows that moved or shrank leave copies of themselves.
// Source: "Database File Format", sections 1.3 to 1.6, sqlite.org/fileformat2.html.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

struct sqlite3;

namespace base::store {

struct PageGap {
    std::uint32_t begin = 0, size = 0;
};
/// One page of a b-tree: where it holds nothing, and the pages below it. Errors: data_loss.
struct PageLayout {
    std::vector<PageGap> gaps;
    std::vector<std::uint32_t> children;
};
/// `is_first`: page 1, which begins with the file's header. Pure.
Result<PageLayout> layout_of(std::string_view page, bool is_first);

/// Writes zeros there, in all b-trees of the file; no page changes otherwise, so that a crash
/// between does no harm. Pre: the log is empty and nobody reads or writes; `roots` are those of
/// all b-trees. The connection's own copies of pages are dropped.
/// Errors: data_loss (a page that cannot be one), unavailable, resource_exhausted.
Result<void> blank_gaps(sqlite3* database, const std::string& path, std::uint32_t page_bytes,
                        std::span<const std::uint32_t> roots);

}  // namespace base::store
