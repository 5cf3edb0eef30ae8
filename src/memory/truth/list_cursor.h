#pragma once
// Where a page of a list ended, as its reader gives it back.

#include <string>
#include <string_view>

#include "memory/truth/truth.h"

namespace memory::truth {

/// Where a page ended: "<" or ">" for its order, the last entry's time and row.
struct Cursor {
    UnixMs created = 0;
    RowId row = 0;
};

/// "" begins before everything. Errors: invalid_argument.
base::Result<Cursor> parse_cursor(std::string_view text, Order order);
std::string cursor_text(const Cursor& at, Order order);

}  // namespace memory::truth
