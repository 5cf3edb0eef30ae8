#pragma once
// /openapi.json, printed from the tables that check requests (field_table.h).

#include <string>
#include <string_view>

namespace gate {

/// An OpenAPI 3.1 document as JSON text.
std::string openapi_json(std::string_view version);

}  // namespace gate
