#pragma once
// What every route of the sandbox API reads from a request, beside what all planes read.

#include <string_view>

#include "base/api/request_parts.h"
#include "sphere/sphere.h"

namespace sphere {

using base::api::body_of;
using base::api::json_answer;
using base::api::number_of;
using base::api::query_all;
using base::api::query_flag;
using base::api::tenant_of;

/// The box that `{id}` of the path names, if it is the caller's: another tenant's does not exist.
base::Result<SandboxInfo> find_box(const Sphere& sphere, const base::http::Request& request);

/// `{exec}` of the path. Errors: invalid_argument.
base::Result<ExecId> exec_of(const base::http::Request& request);

/// "TERM" or "SIGTERM". Errors: invalid_argument naming those there are.
base::Result<int> signal_of(std::string_view name);

}  // namespace sphere
