#pragma once
// What every route of the sandbox APIs reads from a request first.

#include <string>

#include "base/http/message.h"
#include "base/json/json.h"
#include "sphere/sphere.h"

namespace sphere {

/// The header X-Dougong-Tenant, "default" without it. Errors: invalid_argument.
base::Result<std::string> tenant_of(const base::http::Request& request);

/// The box that the path's {id} names, if it is the caller's: another tenant's does not exist.
base::Result<SandboxInfo> find_box(const Sphere& sphere, const base::http::Request& request);

/// An empty body is an empty object: every field has a default.
base::Result<base::json::object> body_of(const base::http::Request& request);

/// The number that the path's {`name`} is. Errors: invalid_argument, about `what`.
base::Result<std::uint64_t> number_of(const base::http::Request& request, std::string_view name,
                                      std::string_view what);

}  // namespace sphere
