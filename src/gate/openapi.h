#pragma once
// /openapi.json, printed from the tables that check requests (field_table.h).

#include <string>
#include <string_view>

#include "base/json/json.h"

namespace gate {

/// An OpenAPI 3.1 document as JSON text. `more_paths`: GatewayOptions::more_paths.
std::string openapi_json(std::string_view version, const base::json::object& more_paths);

}  // namespace gate
