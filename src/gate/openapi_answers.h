#pragma once
// What routes answer, for /openapi.json: an example each, and the schema that the example implies.

#include <string_view>

#include "base/json/json.h"

namespace gate {

/// JSON text; empty when the answer has no fixed shape.
std::string_view example_answer(std::string_view method, std::string_view path);

/// Types of every member; arrays take their first element's. Null says nothing about the type.
base::json::value schema_of(const base::json::value& example);

}  // namespace gate
