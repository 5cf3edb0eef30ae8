#pragma once
// What /openapi.json says of the routes of this plane.

#include "base/json/json.h"

namespace flow {

/// OpenAPI path items by path. A test compares them with the router of the plane.
base::json::object flow_paths();

}  // namespace flow
