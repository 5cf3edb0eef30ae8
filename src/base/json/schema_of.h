#pragma once
// The JSON Schema that an example implies, for documents such as /openapi.json.

#include "base/json/json.h"

namespace base {

/// Types of every member; arrays take their first element's. Null says nothing about the type.
json::value schema_of(const json::value& example);

}  // namespace base
