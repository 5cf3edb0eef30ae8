#pragma once
// JSON Schema (drafts 7 and 2020-12) to a grammar whose texts are exactly JSON that satisfies the
// schema, or fewer. Every keyword is enforced or refused with its place; README.md has the table.

#include <memory>

#include "base/json/json.h"
#include "engine/constrain/grammar.h"

namespace engine::constrain {

struct SchemaOptions {
    /// Known properties in any order, where there are at most 256. Otherwise in the order the
    /// schema lists them, which is what a prompt that shows the schema asks for.
    bool any_order = false;
    /// Up to `whitespace_max` spaces, tabs or line ends between tokens. 0: one spelling only, which
    /// makes long forced spans: a space after each comma and colon (as `{"a": 1, "b": 2}`), or none
    /// when `compact`.
    std::uint32_t whitespace_max = 64;
    bool compact = true;
    std::uint32_t rules_max = 50'000;
    std::uint32_t nesting_max = 200;
    std::uint64_t work_max = 500'000;  ///< schema objects looked at, over all alternatives
};

/// Errors: unimplemented (a keyword that cannot be enforced; subject is its JSON path),
/// invalid_argument (not a schema, or one nothing satisfies), payload_too_large (limits).
base::Result<std::shared_ptr<const Grammar>> compile_schema(const base::json::value& schema,
                                                            const SchemaOptions& options = {});

/// The node of the schema's values in a grammar that is being built: of one tool among many, or of
/// JSON between other texts. `schema` is read during the call only; equal parts of several schemas
/// become the same nodes. Errors: as compile_schema; the builder is then of no further use.
base::Result<NodeId> add_schema(GrammarBuilder& builder, const base::json::value& schema,
                                const SchemaOptions& options = {});

/// Any JSON object, for response_format json_object.
base::Result<std::shared_ptr<const Grammar>> any_object_grammar(const SchemaOptions& options = {});

}  // namespace engine::constrain
