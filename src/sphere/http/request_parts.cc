#include "sphere/http/request_parts.h"

#include <algorithm>

namespace sphere {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::Result;
using base::http::Request;
using base::http::Response;

Response answer(int status, const json::object& body) {
    return base::http::text_response(status, "application/json", base::to_text(body));
}

Result<json::object> body_of(const Request& request) {
    if (request.body.empty()) return json::object();
    json::value value = DG_TRY(base::parse_json(request.body));
    if (!value.is_object()) {
        return base::fail(Code::invalid_argument, "the body must be a JSON object");
    }
    return std::move(value.get_object());
}

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

}  // namespace sphere
