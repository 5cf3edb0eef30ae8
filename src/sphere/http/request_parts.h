#pragma once
// What every route of the plane reads of a request, and how it answers.

#include <string>

#include "base/http/message.h"
#include "base/json/json.h"

namespace sphere {

base::http::Response answer(int status, const base::json::object& body);

/// An empty body is an empty object: every field has a default. Errors: invalid_argument.
base::Result<base::json::object> body_of(const base::http::Request& request);

/// The caller's, by the header X-Dougong-Tenant; "default" without it. Errors: invalid_argument.
base::Result<std::string> tenant_of(const base::http::Request& request);

}  // namespace sphere
