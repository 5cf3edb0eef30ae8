#pragma once
// What every route of the sandbox API reads from a request, and how it answers.

#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/http/message.h"
#include "base/json/json.h"
#include "sphere/sphere.h"

namespace sphere {

base::http::Response json_answer(int status, const base::json::object& body);

/// An empty body is an empty object: every field has a default. Errors: invalid_argument.
base::Result<base::json::object> body_of(const base::http::Request& request);

/// Header X-Dougong-Tenant, "default" without it. Errors: invalid_argument.
base::Result<std::string> tenant_of(const base::http::Request& request);

/// The box that `{id}` of the path names, if it is the caller's: another tenant's does not exist.
base::Result<SandboxInfo> find_box(const Sphere& sphere, const base::http::Request& request);

/// `{exec}` of the path. Errors: invalid_argument.
base::Result<ExecId> exec_of(const base::http::Request& request);

/// "TERM" or "SIGTERM". Errors: invalid_argument naming those there are.
base::Result<int> signal_of(std::string_view name);

/// Every query parameter of that name, decoded, in order.
std::vector<std::string> query_all(const base::http::Request& request, std::string_view name);

/// True for "1" and "true"; false when absent. Errors: invalid_argument for any other text.
base::Result<bool> query_flag(const base::http::Request& request, std::string_view name);

}  // namespace sphere
