#include "sphere/http/sandbox_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <utility>

#include "base/json/json.h"
#include "base/json/object_reader.h"
#include "sphere/http/caller.h"
#include "sphere/http/error_json.h"
#include "sphere/http/exec_answer.h"
#include "sphere/http/spec_json.h"

namespace sphere {
namespace {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::ObjectReader;
using base::Result;
using base::http::Request;
using base::http::ResponderPtr;
using base::http::Response;

Response answer(int status, const json::object& body) {
    return base::http::text_response(status, "application/json", base::to_text(body));
}

/// An empty body is an empty object: every field has a default.
Result<json::object> body_of(const Request& request) {
    if (request.body.empty()) return json::object();
    json::value value = DG_TRY(base::parse_json(request.body));
    if (!value.is_object()) {
        return base::fail(Code::invalid_argument, "the body must be a JSON object");
    }
    return std::move(value.get_object());
}

Result<ExecId> exec_of(const Request& request) {
    const std::string_view text = request.param("exec");
    ExecId id = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
    if (error == std::errc() && end == text.data() + text.size()) return id;
    return fail_on("exec", Code::invalid_argument, "'{}' is not the number of an exec",
                   text.substr(0, 32));
}

Result<int> signal_number(const json::object& body) {
    static constexpr std::pair<std::string_view, int> kSignals[] = {
        {"TERM", SIGTERM}, {"KILL", SIGKILL}, {"INT", SIGINT},   {"HUP", SIGHUP},
        {"QUIT", SIGQUIT}, {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}};
    std::string name = "TERM";
    ObjectReader in(body);
    in.text("signal", name, 16);
    DG_TRY(in.done());
    const std::string_view plain =
        name.starts_with("SIG") ? std::string_view(name).substr(3) : name;
    for (const auto& [word, number] : kSignals) {
        if (word == plain) return number;
    }
    return fail_on("signal", Code::invalid_argument,
                   "'{}' is not one of TERM, KILL, INT, HUP, QUIT, USR1, USR2, WINCH", name);
}

Result<StopScope> read_scope(const Request& request, bool any_tenant) {
    StopScope scope;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    if (any_tenant) in.text("tenant", scope.tenant, 128);
    in.text("agent", scope.agent, 128);
    in.text("sandbox", scope.sandbox, 64);
    DG_TRY(in.done());
    if (!any_tenant) scope.tenant = DG_TRY(tenant_of(request));
    return scope;
}

json::object deleted(std::string_view id) {
    return {{"id", id}, {"object", "sandbox"}, {"deleted", true}};
}

}  // namespace

SandboxApi::SandboxApi(Sphere& sphere, SandboxApiOptions options)
    : sphere_(sphere), options_(options), workers_(options.threads, options.queue_max) {}

/// Every call may wait for a box's init, so none runs on a network thread.
void SandboxApi::post(const ResponderPtr& responder, std::function<void()> call) {
    if (workers_.post(std::move(call))) return;
    responder->send(error_response(
        {Code::resource_exhausted, "too many sandbox calls are waiting; try again", ""}));
}

void SandboxApi::route(base::http::Router& router, std::string_view method,
                       std::string_view pattern, Call call) {
    const auto handler = [this, call](const Request& request, const ResponderPtr& responder) {
        post(responder, [this, call, request, responder] {
            auto response = (this->*call)(request);
            responder->send(response ? std::move(*response) : error_response(response.error()));
        });
    };
    router.add(method, pattern, handler);
}

void SandboxApi::register_routes(base::http::Router& router) {
    route(router, "POST", "/v1/sandboxes", &SandboxApi::create);
    route(router, "GET", "/v1/sandboxes", &SandboxApi::list);
    route(router, "GET", "/v1/sandboxes/host", &SandboxApi::host);
    route(router, "GET", "/v1/sandboxes/{id}", &SandboxApi::show);
    route(router, "DELETE", "/v1/sandboxes/{id}", &SandboxApi::remove);
    route(router, "POST", "/v1/sandboxes/{id}/pause", &SandboxApi::pause);
    route(router, "POST", "/v1/sandboxes/{id}/resume", &SandboxApi::resume);
    route(router, "PUT", "/v1/sandboxes/{id}/network", &SandboxApi::set_network);
    route(router, "POST", "/v1/sandboxes/{id}/execs/{exec}/stdin", &SandboxApi::write_stdin);
    route(router, "POST", "/v1/sandboxes/{id}/execs/{exec}/signal", &SandboxApi::send_signal);
    route(router, "POST", "/v1/sandboxes/{id}/execs/{exec}/resize", &SandboxApi::resize);
    route(router, "POST", "/v1/emergency_stop", &SandboxApi::stop_tenant);
    route(router, "DELETE", "/v1/emergency_stop", &SandboxApi::lift_tenant);
    route(router, "POST", "/admin/v1/emergency_stop", &SandboxApi::stop_any);
    route(router, "DELETE", "/admin/v1/emergency_stop", &SandboxApi::lift_any);
    router.add("POST", "/v1/sandboxes/{id}/exec",
               [this](const Request& request, const ResponderPtr& responder) {
                   post(responder, [this, request, responder] { run_exec(request, responder); });
               });
}

void SandboxApi::run_exec(const Request& request, const ResponderPtr& responder) {
    bool stream = false;
    OutputEncoding encoding = OutputEncoding::text;
    const auto parsed = [&]() -> Result<std::pair<SandboxId, ExecSpec>> {
        const SandboxInfo info = DG_TRY(find_box(sphere_, request));
        const json::object body = DG_TRY(body_of(request));
        ExecSpec spec = DG_TRY(read_exec(body, [&](ObjectReader& in) {
            in.flag("stream", stream);
            in.choice<OutputEncoding>(
                "encoding", encoding,
                {{"text", OutputEncoding::text}, {"base64", OutputEncoding::base64}});
        }));
        if (spec.output_bytes_max > options_.output_bytes_max) {
            return fail_on("output_bytes_max", Code::invalid_argument,
                           "'output_bytes_max' is {}; this server gathers at most {}",
                           spec.output_bytes_max, options_.output_bytes_max);
        }
        return std::pair(info.id, std::move(spec));
    }();
    if (!parsed) return responder->send(error_response(parsed.error()));
    std::make_shared<ExecAnswer>(sphere_, parsed->first, responder, encoding, stream)
        ->begin(parsed->second);
}

Result<Response> SandboxApi::create(const Request& request) {
    SandboxSpec spec;
    spec.tenant = DG_TRY(tenant_of(request));
    const SandboxId id = DG_TRY(sphere_.create(DG_TRY(read_spec(DG_TRY(body_of(request)), spec))));
    return answer(201, to_json(DG_TRY(sphere_.info(id))));
}

Result<Response> SandboxApi::list(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    json::array data;
    for (const SandboxInfo& info : sphere_.list()) {
        if (info.spec.tenant == tenant) data.push_back(to_json(info));
    }
    return answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> SandboxApi::host(const Request&) {
    return answer(200, to_json(inspect_host()));
}

Result<Response> SandboxApi::show(const Request& request) {
    return answer(200, to_json(DG_TRY(find_box(sphere_, request))));
}

Result<Response> SandboxApi::remove(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    DG_TRY(sphere_.destroy(info.id));
    return answer(200, deleted(info.id));
}

Result<Response> SandboxApi::pause(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    DG_TRY(sphere_.pause(info.id));
    return answer(200, to_json(DG_TRY(sphere_.info(info.id))));
}

Result<Response> SandboxApi::resume(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    DG_TRY(sphere_.resume(info.id));
    return answer(200, to_json(DG_TRY(sphere_.info(info.id))));
}

/// The whole policy, not a change to it.
Result<Response> SandboxApi::set_network(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    const json::object body = DG_TRY(body_of(request));
    const NetworkPolicy network = DG_TRY(read_network(body, info.spec.network.mode));
    DG_TRY(sphere_.set_network(info.id, network));
    return answer(200, to_json(DG_TRY(sphere_.info(info.id))));
}

/// The body is the bytes; "?eof=true" closes the input after them.
Result<Response> SandboxApi::write_stdin(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    const bool end = request.query_param("eof").value_or("false") == "true";
    DG_TRY(sphere_.write_stdin(info.id, DG_TRY(exec_of(request)), request.body, end));
    return answer(200, {{"written", request.body.size()}});
}

Result<Response> SandboxApi::send_signal(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    const int number = DG_TRY(signal_number(DG_TRY(body_of(request))));
    DG_TRY(sphere_.signal(info.id, DG_TRY(exec_of(request)), number));
    return answer(200, {{"signal", number}});
}

Result<Response> SandboxApi::resize(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    std::uint16_t columns = 80, rows = 24;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.integer<std::uint16_t>("columns", columns, 1, 10'000);
    in.integer<std::uint16_t>("rows", rows, 1, 10'000);
    DG_TRY(in.done());
    DG_TRY(sphere_.resize_tty(info.id, DG_TRY(exec_of(request)), columns, rows));
    return answer(200, {{"columns", columns}, {"rows", rows}});
}

Result<Response> SandboxApi::stop_tenant(const Request& request) {
    return answer(200, {{"stopped", sphere_.emergency_stop(DG_TRY(read_scope(request, false)))}});
}
Result<Response> SandboxApi::lift_tenant(const Request& request) {
    sphere_.lift_stop(DG_TRY(read_scope(request, false)));
    return answer(200, {{"lifted", true}});
}
Result<Response> SandboxApi::stop_any(const Request& request) {
    return answer(200, {{"stopped", sphere_.emergency_stop(DG_TRY(read_scope(request, true)))}});
}
Result<Response> SandboxApi::lift_any(const Request& request) {
    sphere_.lift_stop(DG_TRY(read_scope(request, true)));
    return answer(200, {{"lifted", true}});
}

}  // namespace sphere
