#pragma once
// Does a value satisfy a JSON Schema (draft 2020-12; draft 7's `definitions`, `items` lists and
// `dependencies` are read, too)? For inputs, outputs, forms, and arguments of tools.

#include <memory>

#include "base/json/json.h"

namespace base {

/// A schema, compiled. Immutable; copies share it; any thread may use it.
class SchemaCheck {
public:
    /// Errors: invalid_argument (not a schema; subject is the JSON pointer), unimplemented (a
    /// reference to somewhere else).
    static Result<SchemaCheck> compile(const json::value& schema);
    /// Errors: invalid_argument: the first thing that is wrong; the subject is its JSON pointer.
    /// resource_exhausted: the schema needs more than a million steps for this value.
    Result<void> check(const json::value& value) const;
    const json::value& source() const;

private:
    struct Tree;
    std::shared_ptr<const Tree> tree_;
};

}  // namespace base
