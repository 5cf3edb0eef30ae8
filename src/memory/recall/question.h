#pragma once
// What a query's text asks for: words, names of those who spoke, a time.

#include <optional>
#include <string_view>

#include "memory/filter.h"
#include "memory/index/tenant_index.h"

namespace memory::recall {

struct Question {
    index::KeywordQuery words;     ///< each term once; stop words only when there is nothing else
    index::KeywordQuery speakers;  ///< marks (text/marks.h) of the same words
    std::optional<TimeRange> time;
};

/// `now`: what "yesterday" is counted from.
Question read_question(std::string_view text, UnixMs now);

}  // namespace memory::recall
