#pragma once
// What the graph of facts answers, by names as they were written.

#include <cstdint>
#include <string>
#include <vector>

#include "memory/facts/fact.h"

namespace memory::facts {

/// Who is near whom.
struct Neighbour {
    std::string name;
    std::uint32_t depth = 0;
    bool operator==(const Neighbour&) const = default;
};

/// What is near a name: itself first, then by depth; and the facts that hold among them.
struct Neighbourhood {
    std::vector<Neighbour> names;
    std::vector<Fact> facts;
};

/// One step of a path, as it was stated: the path may go along it either way.
struct Link {
    std::string subject, predicate, object;
    bool operator==(const Link&) const = default;
};
using Path = std::vector<Link>;

/// An entry that says something near what a text names.
struct NearSource {
    std::string source;  ///< the entry's id
    float weight = 0;    ///< 0 to 1, the nearest has 1
};

}  // namespace memory::facts
