#include "sphere/http/sandbox_routes.h"

#include <utility>

#include "base/api/error_answer.h"
#include "base/json/json.h"
#include "base/json/object_reader.h"
#include "sphere/http/exec_answer.h"
#include "sphere/http/request_parts.h"
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

SandboxApi::SandboxApi(Sphere& sphere, const base::Clock& clock, SandboxApiOptions options)
    : sphere_(sphere),
      options_(std::move(options)),
      calls_(options_.threads, options_.queue_max),
      book_(clock, options_.logs),
      files_(sphere, calls_, options_.files),
      images_(sphere, calls_, options_.images),
      logs_(sphere, calls_, book_),
      terminals_(sphere, calls_, book_) {}

void SandboxApi::stop() {
    files_.stop();
    logs_.stop();
    images_.stop();
    terminals_.stop();
    calls_.stop();
}

void SandboxApi::route(base::http::Router& router, std::string_view method,
                       std::string_view pattern, Call call) {
    calls_.route(router, method, pattern,
                 [this, call](const Request& request) { return (this->*call)(request); });
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
    route(router, "POST", "/v1/sandboxes/{id}/snapshots", &SandboxApi::snapshot);
    route(router, "POST", "/v1/sandboxes/{id}/fork", &SandboxApi::fork);
    route(router, "GET", "/v1/snapshots", &SandboxApi::list_snapshots);
    route(router, "DELETE", "/v1/snapshots/{id}", &SandboxApi::remove_snapshot);
    route(router, "POST", "/v1/emergency_stop", &SandboxApi::stop_tenant);
    route(router, "DELETE", "/v1/emergency_stop", &SandboxApi::lift_tenant);
    route(router, "POST", "/admin/v1/emergency_stop", &SandboxApi::stop_any);
    route(router, "DELETE", "/admin/v1/emergency_stop", &SandboxApi::lift_any);
    router.add("POST", "/v1/sandboxes/{id}/exec",
               [this](const Request& request, const ResponderPtr& responder) {
                   calls_.post(responder,
                               [this, request, responder] { run_exec(request, responder); });
               });
    files_.register_routes(router);
    images_.register_routes(router);
    logs_.register_routes(router);
    terminals_.register_routes(router);
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
    if (!parsed) return responder->send(base::api::error_response(parsed.error()));
    std::make_shared<ExecAnswer>(sphere_, book_, parsed->first, responder, encoding, stream)
        ->begin(parsed->second);
}

Result<Response> SandboxApi::create(const Request& request) {
    SandboxSpec spec;
    spec.tenant = DG_TRY(tenant_of(request));
    const SandboxId id = DG_TRY(sphere_.create(DG_TRY(read_spec(DG_TRY(body_of(request)), spec))));
    return json_answer(201, to_json(DG_TRY(sphere_.info(id))));
}

Result<Response> SandboxApi::list(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    json::array data;
    for (const SandboxInfo& info : sphere_.list()) {
        if (info.spec.tenant == tenant) data.push_back(to_json(info));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> SandboxApi::host(const Request&) {
    return json_answer(200, to_json(sphere_.host_report()));
}

Result<Response> SandboxApi::show(const Request& request) {
    return json_answer(200, to_json(DG_TRY(find_box(sphere_, request))));
}

Result<Response> SandboxApi::remove(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    DG_TRY(sphere_.destroy(info.id));
    return json_answer(200, deleted(info.id));
}

Result<Response> SandboxApi::pause(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    DG_TRY(sphere_.pause(info.id));
    return json_answer(200, to_json(DG_TRY(sphere_.info(info.id))));
}

Result<Response> SandboxApi::resume(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    DG_TRY(sphere_.resume(info.id));
    return json_answer(200, to_json(DG_TRY(sphere_.info(info.id))));
}

/// The whole policy, not a change to it.
Result<Response> SandboxApi::set_network(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    const json::object body = DG_TRY(body_of(request));
    const NetworkPolicy network = DG_TRY(read_network(body, info.spec.network.mode));
    DG_TRY(sphere_.set_network(info.id, network));
    return json_answer(200, to_json(DG_TRY(sphere_.info(info.id))));
}

/// The body is the bytes; "?eof=true" closes the input after them.
Result<Response> SandboxApi::write_stdin(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    const bool end = request.query_param("eof").value_or("false") == "true";
    DG_TRY(sphere_.write_stdin(info.id, DG_TRY(exec_of(request)), request.body, end));
    return json_answer(200, {{"written", request.body.size()}});
}

Result<Response> SandboxApi::send_signal(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    std::string name = "TERM";
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.text("signal", name, 16);
    DG_TRY(in.done());
    const int number = DG_TRY(signal_of(name));
    DG_TRY(sphere_.signal(info.id, DG_TRY(exec_of(request)), number));
    return json_answer(200, {{"signal", number}});
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
    return json_answer(200, {{"columns", columns}, {"rows", rows}});
}

Result<Response> SandboxApi::snapshot(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    SnapshotRequest wanted;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.text("name", wanted.name, 128);
    in.flag("persist", wanted.persist);
    DG_TRY(in.done());
    return json_answer(201, to_json(DG_TRY(sphere_.snapshot(info.id, wanted))));
}

Result<Response> SandboxApi::fork(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    return json_answer(201, to_json(DG_TRY(sphere_.info(DG_TRY(sphere_.fork(info.id, {}))))));
}

Result<Response> SandboxApi::list_snapshots(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    json::array data;
    for (const SnapshotInfo& info : sphere_.snapshots()) {
        if (info.tenant == tenant) data.push_back(to_json(info));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> SandboxApi::remove_snapshot(const Request& request) {
    const std::string tenant = DG_TRY(tenant_of(request));
    const std::string id(request.param("id"));
    const auto all = sphere_.snapshots();
    const auto own = std::ranges::find(all, id, &SnapshotInfo::id);
    if (own == all.end() || own->tenant != tenant) {
        return fail_on("id", Code::not_found,
                       "there is no snapshot '{}'; GET /v1/snapshots lists them", id.substr(0, 64));
    }
    DG_TRY(sphere_.remove_snapshot(id));
    return json_answer(200, {{"id", id}, {"object", "snapshot"}, {"deleted", true}});
}

Result<Response> SandboxApi::stop_tenant(const Request& request) {
    return json_answer(200,
                       {{"stopped", sphere_.emergency_stop(DG_TRY(read_scope(request, false)))}});
}
Result<Response> SandboxApi::lift_tenant(const Request& request) {
    DG_TRY(sphere_.lift_stop(DG_TRY(read_scope(request, false))));
    return json_answer(200, {{"lifted", true}});
}
Result<Response> SandboxApi::stop_any(const Request& request) {
    return json_answer(200,
                       {{"stopped", sphere_.emergency_stop(DG_TRY(read_scope(request, true)))}});
}
Result<Response> SandboxApi::lift_any(const Request& request) {
    DG_TRY(sphere_.lift_stop(DG_TRY(read_scope(request, true))));
    return json_answer(200, {{"lifted", true}});
}

}  // namespace sphere
