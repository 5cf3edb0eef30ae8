#pragma once
// The rules of extract.h, by language. Each gets a stretch of the text and the bytes before it.

#include <string_view>
#include <vector>

#include "memory/facts/extract.h"

namespace memory::facts {

/// One statement on its way out; `from` and `to` of 0 as in Assertion.
struct Found {
    std::string subject, predicate, object;
    bool retracts = false;
    UnixMs from_unix_ms = 0, to_unix_ms = 0;
    std::size_t begin = 0, end = 0;  ///< bytes of the stretch
    float confidence = .9f;
};

std::vector<Found> english(std::string_view text, const ExtractContext& context);
std::vector<Found> chinese(std::string_view text, const ExtractContext& context);

}  // namespace memory::facts
