#pragma once
// The time a question is about, where its words say one: "in May 2023", "on 7 May", "yesterday",
// "last week", "two days ago", "2023-05-07", "2023年5月". Days are UTC.

#include <optional>
#include <string_view>

#include "memory/filter.h"

namespace memory::recall {

/// The first one named; a day or month without its year is the last one before `now`.
std::optional<TimeRange> time_asked(std::string_view text, UnixMs now);

}  // namespace memory::recall
