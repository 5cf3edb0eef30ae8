#pragma once
// Memories as people read them on a terminal. Pure, for tests.

#include <cstdint>
#include <string>
#include <string_view>

#include "app/terminal/terminal.h"
#include "base/core/result.h"
#include "base/json/json.h"

namespace app {

/// "2026-11-30", "2026-11-30T12:00" or "2026-11-30 12:00:05", in UTC, as milliseconds since 1970.
/// Errors: invalid_argument naming `flag`.
base::Result<std::int64_t> parse_time(std::string_view flag, std::string_view text);
/// "2026-11-30 12:00:05"; "-" for 0.
std::string time_text(std::int64_t unix_ms);

std::string answer_text(const base::json::object& answer, const Terminal& terminal);
std::string list_text(const base::json::object& page, const Terminal& terminal);
std::string entry_text(const base::json::object& entry);
std::string history_text(const base::json::object& versions);
std::string stats_text(const base::json::object& stats);

/// What a forget would take.
std::string forget_text(const base::json::object& preview);
std::string receipt_text(const base::json::object& receipt);
/// What a compression would do, and what one did.
std::string plan_text(const base::json::object& preview);
std::string compression_text(const base::json::object& compression);

}  // namespace app
