#pragma once
// The schema of everything that another schema does not allow, as far as one can be written down.

#include <functional>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/json/json.h"

namespace engine::constrain {

/// In a schema made here: strings other than the listed ones. No JSON key of a user begins so.
constexpr std::string_view kOtherStrings = "\x01other strings";
/// Likewise: strings that do not match the pattern.
constexpr std::string_view kOtherPattern = "\x01other pattern";

struct Negation {
    base::json::value schema;  ///< allows nothing that the negated one allows
    bool exact = true;         ///< and everything else; false: less than that
};

/// `resolve` finds what a $ref names. A keyword whose opposite cannot be written as a schema
/// (pattern, items...) makes the result inexact. Errors: unimplemented when nothing is left of it;
/// those of `resolve`.
base::Result<Negation> negated(
    const base::json::value& schema, const std::string& path,
    const std::function<base::Result<const base::json::value*>(std::string_view)>& resolve);

}  // namespace engine::constrain
