#include "sphere/http/request_box.h"

#include <algorithm>
#include <charconv>

namespace sphere {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::Result;
using base::http::Request;

Result<std::string> tenant_of(const Request& request) {
    const std::string_view tenant = request.headers.get("X-Dougong-Tenant");
    const bool plain = std::ranges::all_of(tenant, [](char c) { return c > 0x20 && c < 0x7f; });
    if (!plain || tenant.size() > 128) {
        return fail_on("X-Dougong-Tenant", Code::invalid_argument,
                       "the header X-Dougong-Tenant must be up to 128 printable ASCII characters "
                       "without spaces");
    }
    return std::string(tenant.empty() ? "default" : tenant);
}

Result<SandboxInfo> find_box(const Sphere& sphere, const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const std::string id(request.param("id"));
    auto info = sphere.info(id);
    if (info && info->spec.tenant == tenant) return info;
    return fail_on("id", Code::not_found, "there is no sandbox '{}'; GET /v1/sandboxes lists them",
                   id.substr(0, 64));
}

Result<json::object> body_of(const Request& request) {
    if (request.body.empty()) return json::object();
    json::value value = DG_TRY(base::parse_json(request.body));
    if (!value.is_object()) {
        return base::fail(Code::invalid_argument, "the body must be a JSON object");
    }
    return std::move(value.get_object());
}

Result<std::uint64_t> number_of(const Request& request, std::string_view name,
                                std::string_view what) {
    const std::string_view text = request.param(name);
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error == std::errc() && end == text.data() + text.size()) return number;
    return fail_on(std::string(name), Code::invalid_argument, "'{}' is not the number of {}",
                   text.substr(0, 32), what);
}

}  // namespace sphere
