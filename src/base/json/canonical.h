#pragma once
// One text per JSON value, whatever order its members came in and however its numbers were written:
// what hashes and comparisons of values go by.

#include <string>

#include "base/json/json.h"

namespace base {

/// Members sorted by name, no blanks, 1.0 as 1. Equal values give equal texts, others do not.
std::string canonical_text(const json::value& value);

}  // namespace base
