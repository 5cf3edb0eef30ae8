#include "sphere/http/caller.h"

#include <algorithm>

namespace sphere {

using base::Code;
using base::fail_on;
using base::http::Request;

base::Result<std::string> tenant_of(const Request& request) {
    const std::string_view tenant = request.headers.get("X-Dougong-Tenant");
    const bool plain = std::ranges::all_of(tenant, [](char c) { return c > 0x20 && c < 0x7f; });
    if (!plain || tenant.size() > 128) {
        return fail_on("X-Dougong-Tenant", Code::invalid_argument,
                       "the header X-Dougong-Tenant must be up to 128 printable ASCII characters "
                       "without spaces");
    }
    return std::string(tenant.empty() ? "default" : tenant);
}

base::Result<SandboxInfo> find_box(const Sphere& sphere, const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const std::string id(request.param("id"));
    auto info = sphere.info(id);
    if (info && info->spec.tenant == tenant) return info;
    return fail_on("id", Code::not_found, "there is no sandbox '{}'; GET /v1/sandboxes lists them",
                   id.substr(0, 64));
}

}  // namespace sphere
