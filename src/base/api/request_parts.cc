#include "base/api/request_parts.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace base::api {
namespace {

template <class Integer>
std::optional<Integer> whole(std::string_view text) {
    Integer number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

}  // namespace

http::Response json_answer(int status, const json::object& body) {
    return http::text_response(status, "application/json", to_text(body));
}

Result<json::object> body_of(const http::Request& request) {
    if (request.body.empty()) return json::object();
    json::value value = DG_TRY(parse_json(request.body));
    if (!value.is_object()) return fail(Code::invalid_argument, "the body must be a JSON object");
    return std::move(value.get_object());
}

Result<std::string> tenant_of(const http::Request& request) {
    const std::string_view tenant = request.headers.get("X-Dougong-Tenant");
    const bool plain = std::ranges::all_of(tenant, [](char c) { return c > 0x20 && c < 0x7f; });
    if (!plain || tenant.size() > 128) {
        return fail_on("X-Dougong-Tenant", Code::invalid_argument,
                       "the header X-Dougong-Tenant must be up to 128 printable ASCII characters "
                       "without spaces");
    }
    return std::string(tenant.empty() ? "default" : tenant);
}

Result<std::uint64_t> number_of(const http::Request& request, std::string_view name,
                                std::string_view what) {
    const std::string_view text = request.param(name);
    if (const auto number = whole<std::uint64_t>(text)) return *number;
    return fail_on(std::string(name), Code::invalid_argument, "'{}' is not the number of {}",
                   text.substr(0, 32), what);
}

std::vector<std::string> query_all(const http::Request& request, std::string_view name) {
    std::vector<std::string> all;
    for (std::string_view rest = request.query; !rest.empty();) {
        const std::string_view pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
        http::Request one;
        one.query = std::string(pair);
        if (auto value = one.query_param(name)) all.push_back(std::move(*value));
    }
    return all;
}

Result<bool> query_flag(const http::Request& request, std::string_view name) {
    const std::string value = request.query_param(name).value_or("false");
    if (value == "1" || value == "true") return true;
    if (value == "0" || value == "false") return false;
    return fail_on(std::string(name), Code::invalid_argument,
                   "'{}' is '{}', expected true or false", name, value.substr(0, 32));
}

Result<std::int64_t> query_number(const http::Request& request, std::string_view name,
                                  std::int64_t min, std::int64_t max, std::int64_t otherwise) {
    const auto text = request.query_param(name);
    if (!text) return otherwise;
    const auto number = whole<std::int64_t>(*text);
    if (number && *number >= min && *number <= max) return *number;
    return fail_on(std::string(name), Code::invalid_argument,
                   "'{}' is '{}', expected a whole number from {} to {}", name,
                   std::string_view(*text).substr(0, 32), min, max);
}

}  // namespace base::api
