#include "sphere/http/request_parts.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <utility>

namespace sphere {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::Result;
using base::http::Request;
using base::http::Response;

Response json_answer(int status, const json::object& body) {
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

Result<SandboxInfo> find_box(const Sphere& sphere, const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const std::string id(request.param("id"));
    auto info = sphere.info(id);
    if (info && info->spec.tenant == tenant) return info;
    return fail_on("id", Code::not_found, "there is no sandbox '{}'; GET /v1/sandboxes lists them",
                   id.substr(0, 64));
}

Result<ExecId> exec_of(const Request& request) {
    const std::string_view text = request.param("exec");
    ExecId id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error == std::errc() && end == text.data() + text.size()) return id;
    return fail_on("exec", Code::invalid_argument, "'{}' is not the number of an exec",
                   text.substr(0, 32));
}

Result<int> signal_of(std::string_view name) {
    static constexpr std::pair<std::string_view, int> kSignals[] = {
        {"TERM", SIGTERM}, {"KILL", SIGKILL}, {"INT", SIGINT},   {"HUP", SIGHUP},
        {"QUIT", SIGQUIT}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}};
    const std::string_view plain = name.starts_with("SIG") ? name.substr(3) : name;
    for (const auto& [word, number] : kSignals) {
        if (word == plain) return number;
    }
    return fail_on("signal", Code::invalid_argument,
                   "'{}' is not one of TERM, KILL, INT, HUP, QUIT, USR1, USR2, WINCH",
                   name.substr(0, 32));
}

std::vector<std::string> query_all(const Request& request, std::string_view name) {
    std::vector<std::string> all;
    for (std::string_view rest = request.query; !rest.empty();) {
        const std::string_view pair = rest.substr(0, rest.find('&'));
        rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
        Request one;
        one.query = std::string(pair);
        if (auto value = one.query_param(name)) all.push_back(std::move(*value));
    }
    return all;
}

Result<bool> query_flag(const Request& request, std::string_view name) {
    const std::string value = request.query_param(name).value_or("false");
    if (value == "1" || value == "true") return true;
    if (value == "0" || value == "false") return false;
    return fail_on(std::string(name), Code::invalid_argument,
                   "'{}' is '{}', expected true or false", name, value.substr(0, 32));
}

}  // namespace sphere
