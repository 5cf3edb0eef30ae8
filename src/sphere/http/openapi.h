#pragma once
// What /openapi.json says of the routes of this plane.

#include "base/json/json.h"

namespace sphere {

/// OpenAPI path items by path. A test compares them with the routers of the plane.
base::json::object sandbox_paths();

/// The body of POST /v1/sandboxes with every field, each with its default.
base::json::object sandbox_body_example();
/// The body of POST /v1/sandboxes/{id}/exec with every field; `argv` or `code` is given, not both.
base::json::object exec_body_example();

}  // namespace sphere
