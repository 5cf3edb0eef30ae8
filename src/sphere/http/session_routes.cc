#include "sphere/http/session_routes.h"

#include <utility>

#include "base/api/error_answer.h"
#include "base/json/json.h"
#include "base/json/object_reader.h"
#include "sphere/http/cell_answer.h"
#include "sphere/http/request_parts.h"

namespace sphere {
namespace {

namespace json = base::json;
using base::Code;
using base::ObjectReader;
using base::Result;
using base::http::Request;
using base::http::ResponderPtr;
using base::http::Response;

constexpr std::uint64_t kOutputMax = 64ull << 20;
constexpr std::chrono::hours kTimeoutMax{24};

/// What a caller may rely on.
constexpr std::string_view kForkConsistency =
    "memory as it was between two cells, copied when written; open files and the workspace are "
    "shared; child processes stay with the first; random generators are seeded anew";

Result<SessionId> session_of(const Request& request) {
    return number_of(request, "session", "a session");
}

struct WantedCell {
    SandboxId box;
    SessionId session = 0;
    CellSpec cell;
    bool stream = false;
};

Result<WantedCell> read_cell(const Sphere& sphere, const Request& request) {
    WantedCell wanted;
    wanted.box = DG_TRY(find_box(sphere, request)).id;
    wanted.session = DG_TRY(session_of(request));
    wanted.cell.wall_timeout = std::chrono::minutes(1);
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    if (!in.has("code")) in.fault("code", "is missing: the source of the cell");
    in.text("code", wanted.cell.code, SessionManager::kCodeMax);
    in.milliseconds("wall_timeout_ms", wanted.cell.wall_timeout, kTimeoutMax);
    in.integer<std::uint64_t>("output_bytes_max", wanted.cell.output_bytes_max, 0, kOutputMax);
    in.flag("stream", wanted.stream);
    DG_TRY(in.done());
    return wanted;
}

}  // namespace

SessionApi::SessionApi(Sphere& sphere, SessionManager& sessions)
    : sphere_(sphere), sessions_(sessions), calls_(2, 64) {}

void SessionApi::route(base::http::Router& router, std::string_view method,
                       std::string_view pattern, Call call) {
    calls_.route(router, method, pattern,
                 [this, call](const Request& request) { return (this->*call)(request); });
}

void SessionApi::register_routes(base::http::Router& router) {
    route(router, "POST", "/v1/sandboxes/{id}/sessions", &SessionApi::open);
    route(router, "GET", "/v1/sandboxes/{id}/sessions", &SessionApi::list);
    route(router, "GET", "/v1/sandboxes/{id}/sessions/{session}", &SessionApi::show);
    route(router, "DELETE", "/v1/sandboxes/{id}/sessions/{session}", &SessionApi::close);
    route(router, "POST", "/v1/sandboxes/{id}/sessions/{session}/interrupt",
          &SessionApi::interrupt);
    route(router, "POST", "/v1/sandboxes/{id}/sessions/{session}/fork", &SessionApi::fork);
    router.add("POST", "/v1/sandboxes/{id}/sessions/{session}/cells",
               [this](const Request& request, const ResponderPtr& responder) {
                   calls_.post(responder,
                               [this, request, responder] { run_cell(request, responder); });
               });
}

void SessionApi::run_cell(const Request& request, const ResponderPtr& responder) {
    auto wanted = read_cell(sphere_, request);
    if (!wanted) return responder->send(base::api::error_response(wanted.error()));
    std::make_shared<CellAnswer>(sessions_, wanted->box, wanted->session, responder, wanted->stream)
        ->begin(wanted->cell);
}

Result<Response> SessionApi::open(const Request& request) {
    const SandboxInfo box = DG_TRY(find_box(sphere_, request));
    Language language = Language::python;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.choice("language", language, kLanguages);
    DG_TRY(in.done());
    return json_answer(201, to_json(DG_TRY(sessions_.open(box.id, language))));
}

Result<Response> SessionApi::list(const Request& request) {
    json::array data;
    for (const SessionInfo& info : sessions_.list(DG_TRY(find_box(sphere_, request)).id)) {
        data.push_back(to_json(info));
    }
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

Result<Response> SessionApi::show(const Request& request) {
    const SandboxInfo box = DG_TRY(find_box(sphere_, request));
    return json_answer(200, to_json(DG_TRY(sessions_.info(box.id, DG_TRY(session_of(request))))));
}

Result<Response> SessionApi::fork(const Request& request) {
    const SandboxInfo box = DG_TRY(find_box(sphere_, request));
    const SessionId id = DG_TRY(session_of(request));
    json::object body = to_json(DG_TRY(sessions_.fork(box.id, id)));
    body["consistency"] = kForkConsistency;
    return json_answer(201, std::move(body));
}

Result<Response> SessionApi::interrupt(const Request& request) {
    const SandboxInfo box = DG_TRY(find_box(sphere_, request));
    const SessionId id = DG_TRY(session_of(request));
    DG_TRY(sessions_.interrupt(box.id, id));
    return json_answer(200, to_json(DG_TRY(sessions_.info(box.id, id))));
}

Result<Response> SessionApi::close(const Request& request) {
    const SandboxInfo box = DG_TRY(find_box(sphere_, request));
    const SessionId id = DG_TRY(session_of(request));
    DG_TRY(sessions_.close(box.id, id));
    return json_answer(200, {{"id", std::to_string(id)}, {"object", "session"}, {"deleted", true}});
}

}  // namespace sphere
