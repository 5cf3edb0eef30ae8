#pragma once
// What is so, and since when: statements about entities with two time axes. [AInfra 2.2.3] semantic
// memory; the axes as in Snodgrass, "Developing Time-Oriented Database Applications in SQL", 1999.
//
// Only assertions and retractions are kept, each with the moment it was recorded; nothing is ever
// overwritten. What holds is a fold over them (timeline.h): a newer value closes an older one,
// whatever the order they arrived in, and "as known then" folds what was recorded by then.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "memory/entry.h"

namespace memory::facts {

using FactId = std::string;  ///< "fact-" and 26 characters that sort by time of recording

/// How many objects a subject can have at one moment under a predicate.
enum class Cardinality : std::uint8_t {
    one,   ///< lives_in, works_at, favourite_colour: a newer one closes the older
    many,  ///< likes, knows, has_child: each stands until it is retracted or ends
};

struct Assertion {
    FactId id = {};  ///< made by the store when empty
    Scope scope;
    std::string subject, predicate, object;  ///< as written; resolved by the store (entities.h)
    Cardinality cardinality = Cardinality::one;
    float confidence = 1.f;         ///< 0..1
    UnixMs valid_from_unix_ms = 0;  ///< 0: when it was recorded
    UnixMs valid_to_unix_ms = 0;    ///< 0: until something newer closes it
    UnixMs recorded_unix_ms = 0;    ///< filled in by the store
    UnixMs retracted_unix_ms = 0;   ///< recorded time from which it never was; 0: stands
    std::vector<SourceSpan> sources = {};
};

/// A statement as it holds: an assertion with the interval that the fold left it.
struct Fact {
    Assertion said;
    UnixMs from_unix_ms = 0, to_unix_ms = 0;  ///< half open; 0 at the end: still so
    FactId superseded_by = {};                ///< whatever closed it; empty: nothing
    bool operator==(const Fact&) const;
};

/// Two statements that cannot both be so: same subject and predicate of cardinality one, other
/// objects, and each says of itself that it holds at a common moment.
struct Contradiction {
    FactId first, second;  ///< in order of recording; the second one is what counts
    UnixMs from_unix_ms = 0, to_unix_ms = 0;
};

/// What to ask for; empty fields match everything. Times of 0: now.
struct FactQuery {
    Scope scope;
    std::string subject = {}, predicate = {}, object = {};
    UnixMs valid_at_unix_ms = 0;     ///< what was so then
    UnixMs recorded_at_unix_ms = 0;  ///< as it was known then
    bool history = false;            ///< every interval instead of one moment
    float confidence_min = 0;
    std::uint32_t limit = 100;
};

}  // namespace memory::facts
