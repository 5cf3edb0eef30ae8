#pragma once
// Which entries a call is about. Evaluated inside the search, never on its results.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "memory/entry.h"

namespace memory {

/// Half open; 0 leaves that end open.
struct TimeRange {
    UnixMs from_unix_ms = 0, to_unix_ms = 0;
    bool any() const { return from_unix_ms == 0 && to_unix_ms == 0; }
    bool operator==(const TimeRange&) const = default;
};

/// An expression over metadata, as people write it:
///   topic = "billing" and (priority >= 2 or not exists(owner)) and tag in ["a", "b"]
/// Operators: = != < <= > >= in, contains (arrays and texts), exists(); and, or, not. A field is a
/// path (`a.b`); a missing one makes every comparison false. Numbers compare as numbers.
struct MetadataExpression {
    enum class Op : std::uint8_t {
        all,
        any,
        none,
        equal,
        less,
        less_equal,
        greater,
        greater_equal,
        one_of,
        contains,
        exists
    };
    Op op = Op::all;
    std::string field = {};                         ///< of a comparison
    std::vector<base::json::value> values = {};     ///< one, or several for one_of
    std::vector<MetadataExpression> children = {};  ///< of all, any, none
};
/// Errors: invalid_argument with the column. At most 64 terms, 16 levels.
base::Result<MetadataExpression> parse_metadata_expression(std::string_view text);

struct Filter {
    std::vector<MemoryType> types = {};  ///< empty: every type
    /// The tenant always applies; the others where not empty.
    Scope scope;
    TimeRange created = {};
    /// Valid at some moment of the range.
    TimeRange valid = {};
    std::optional<float> importance_min = {};
    std::optional<bool> pinned = {};
    std::optional<MetadataExpression> metadata = {};
    /// Access labels of the caller: an entry with labels in metadata.labels needs one of them.
    std::vector<std::string> labels = {};
    bool expired_too = false;
};

}  // namespace memory
