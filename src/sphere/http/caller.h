#pragma once
// Whose request it is, and which boxes it may name.

#include <string>

#include "base/http/message.h"
#include "sphere/sphere.h"

namespace sphere {

/// The header X-Dougong-Tenant, "default" without it. Errors: invalid_argument.
base::Result<std::string> tenant_of(const base::http::Request& request);

/// The box the path's `id` names, if it is the caller's: another tenant's does not exist.
/// Errors: not_found.
base::Result<SandboxInfo> find_box(const Sphere& sphere, const base::http::Request& request);

}  // namespace sphere
