#include "memory/truth/list_cursor.h"

#include <fmt/format.h>

#include <charconv>

namespace memory::truth {

using base::Code;
using base::Result;

Result<Cursor> parse_cursor(std::string_view text, Order order) {
    const bool up = order == Order::created_ascending;
    Cursor cursor{up ? INT64_MIN : INT64_MAX, up ? INT64_MIN : INT64_MAX};
    if (text.empty()) return cursor;
    const char* const end = text.data() + text.size();
    const auto wrong =
        base::fail_on("cursor", Code::invalid_argument,
                      "cursor \"{}\" is none of this list's; give back what the page "
                      "before said, with the same order",
                      text);
    if (text[0] != (up ? '>' : '<')) return wrong;
    const auto time = std::from_chars(text.data() + 1, end, cursor.created);
    if (time.ec != std::errc() || time.ptr == end || *time.ptr != '.') return wrong;
    const auto row = std::from_chars(time.ptr + 1, end, cursor.row);
    if (row.ec != std::errc() || row.ptr != end) return wrong;
    return cursor;
}

std::string cursor_text(const Cursor& at, Order order) {
    const char way = order == Order::created_ascending ? '>' : '<';
    return fmt::format("{}{}.{}", way, at.created, at.row);
}

}  // namespace memory::truth
