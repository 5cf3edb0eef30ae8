#include "agent/mcp/http_endpoint.h"

#include <fmt/format.h>

#include <atomic>
#include <charconv>
#include <utility>

#include "agent/mcp/header_check.h"
#include "base/api/request_parts.h"
#include "base/files/aead.h"
#include "base/files/sha256.h"

namespace agent::mcp {
namespace {

using base::http::Response;

constexpr std::string_view kVersionField = "io.modelcontextprotocol/protocolVersion";
constexpr std::size_t kStreamsKept = 64;  // of one session

Response json_response(int status, const json::object& body) {
    return base::api::json_answer(status, body);
}

Response refusal(int status, const json::value& id, int code, std::string message) {
    return json_response(status, error_of(id, {code, std::move(message), nullptr}));
}

Response without_body(int status) {
    Response response;
    response.status = status;
    return response;
}

const json::object* meta_of(const Message& message) {
    const json::value* meta = message.params.if_contains("_meta");
    return meta != nullptr ? meta->if_object() : nullptr;
}

bool says_version(const Message& message) {
    const json::object* meta = meta_of(message);
    return meta != nullptr && meta->contains(kVersionField);
}

std::string new_session_id() {
    return base::sha256_hex(base::SecretKey::random().bytes()).substr(0, 32);
}

std::string client_name(const json::object& info) {
    const json::value* name = info.if_contains("name");
    return name != nullptr && name->is_string() ? std::string(name->get_string()) : "";
}

bool known_version(std::string_view version) {
    const auto all = session_versions();
    return std::ranges::find(all, version) != all.end();
}

}  // namespace

HttpEndpoint::HttpEndpoint(const Server& server, HttpOptions options)
    : server_(server),
      options_(std::move(options)),
      calls_(options_.threads, options_.waiting_max) {
    if (server_.features().tasks == nullptr) return;
    server_.features().tasks->on_change([this](const std::string& id, const json::object& task) {
        listeners_.tell_task(id, task);
    });
}

void HttpEndpoint::register_routes(base::http::Router& router) {
    const auto route = [&](const char* method, auto member) {
        router.add(method, options_.path,
                   [this, member](const Request& request, const ResponderPtr& responder) {
                       (this->*member)(request, responder);
                   });
    };
    route("POST", &HttpEndpoint::post);
    route("GET", &HttpEndpoint::get);
    route("DELETE", &HttpEndpoint::remove);
}

void HttpEndpoint::post(const Request& request, const ResponderPtr& responder) {
    const auto body = base::parse_json(request.body);
    if (!body) return responder->send(refusal(400, nullptr, kParseError, body.error().message));
    auto message = read_message(*body);
    if (!message) {
        return responder->send(refusal(400, nullptr, kInvalidRequest, message.error().message));
    }
    const auto tenant = base::api::tenant_of(request);
    if (!tenant) {
        return responder->send(refusal(400, message->id, kInvalidRequest, tenant.error().message));
    }
    Caller caller{.tenant = *tenant, .client = {}, .session = {}};
    const bool stateless =
        says_version(*message) || request.headers.get("MCP-Protocol-Version") == kStatelessVersion;
    if (stateless) return answer_stateless(request, *message, caller, responder);
    if (message->method == "initialize") {
        return begin_session(*message, std::move(caller), responder);
    }
    answer_in_session(request, *message, *tenant, responder);
}

void HttpEndpoint::answer_stateless(const Request& request, const Message& message,
                                    const Caller& known, const ResponderPtr& responder) {
    if (message.kind == Message::Kind::response) {
        return responder->send(refusal(400, nullptr, kInvalidRequest,
                                       "answers come as 'inputResponses' of the next request"));
    }
    if (message.kind == Message::Kind::notification) {
        return responder->send(without_body(202));
    }
    const auto refuse = [&](const RpcError& error) {
        responder->send(json_response(400, error_of(message.id, error)));
    };
    if (const auto wrong = check_standard_headers(request.headers, message)) return refuse(*wrong);
    if (says_version(message)) {
        if (const auto wrong = check_version_header(request.headers, message)) {
            return refuse(*wrong);
        }
    }
    auto client = server_.client_of(message.params);
    if (const auto* wrong = std::get_if<RpcError>(&client)) return refuse(*wrong);
    auto& known_client = std::get<Server::Client>(client);
    if (message.method == "subscriptions/listen" && server_.has_changes()) {
        return listen(message, known_client, known.tenant, responder);
    }
    Caller caller = known;
    caller.client = client_name(known_client.info);
    auto out = std::make_shared<EventStream>(responder);
    auto call = std::make_shared<Call>(
        Call::Start{.caller = std::move(caller),
                    .capabilities = std::move(known_client.capabilities),
                    .progress_token = std::move(known_client.progress_token),
                    .log_level = known_client.log_level,
                    .send = [out](const json::object& said) { out->send(said); }});
    // Whoever got an answer may go away: a task goes on.
    const auto answered = std::make_shared<std::atomic<bool>>(false);
    responder->on_closed([call, answered] {
        if (!*answered) call->cancel();
    });
    const auto send = [out, answered](const Server::Reply& reply) {
        *answered = true;
        out->finish(reply.message, reply.status);
    };
    if (Server::is_brief(message)) return server_.answer(message, call, send);
    calls_.post(responder, [this, message, call, out, send, headers = request.headers] {
        if (message.method == "tools/call") {
            const json::value* name = message.params.if_contains("name");
            const auto tool = name != nullptr && name->is_string()
                                  ? server_.tool(name->get_string(), call->caller())
                                  : std::nullopt;
            if (tool) {
                const auto wrong =
                    check_parameter_headers(headers, message, tool->at("inputSchema").as_object());
                if (wrong) return out->finish(error_of(message.id, *wrong), 400);
            }
        }
        server_.answer(message, call, send);
    });
}

void HttpEndpoint::listen(const Message& message, const Server::Client& client,
                          const std::string& tenant, const ResponderPtr& responder) {
    auto filter = server_.filter_of(message, client, tenant);
    if (const auto* wrong = std::get_if<RpcError>(&filter)) {
        const int status = wrong->code == kMissingCapability ? 400 : 200;
        return responder->send(json_response(status, error_of(message.id, *wrong)));
    }
    const Listeners::Id id = listeners_.add(message.id, std::move(std::get<ChangeFilter>(filter)),
                                            std::make_shared<EventStream>(responder));
    responder->on_closed([this, id] { listeners_.remove(id); });
}

void HttpEndpoint::begin_session(const Message& message, Caller caller,
                                 const ResponderPtr& responder) {
    if (message.kind != Message::Kind::request) {
        return responder->send(refusal(400, nullptr, kInvalidRequest, "'initialize' needs an id"));
    }
    const std::string id = new_session_id();
    caller.session = id;
    if (const json::value* info = message.params.if_contains("clientInfo");
        info != nullptr && info->is_object()) {
        caller.client = client_name(info->get_object());
    }
    auto session = std::make_shared<Session>(
        server_, [this](std::function<void()> call) { return calls_.post(std::move(call)); },
        std::move(caller), message);
    Response response = json_response(200, result_of(message.id, session->welcome()));
    response.headers.set("Mcp-Session-Id", id);
    std::shared_ptr<Session> oldest;
    {
        const std::lock_guard lock(mutex_);
        if (sessions_.size() >= options_.sessions_max) {
            const auto found = sessions_.find(by_use_.front());
            oldest = found->second.session;
            sessions_.erase(found);
            by_use_.pop_front();
        }
        Held& held = sessions_[id];
        held.session = std::move(session);
        held.used = by_use_.insert(by_use_.end(), id);
    }
    if (oldest) oldest->end();
    responder->send(std::move(response));
}

HttpEndpoint::Held* HttpEndpoint::held(const Request& request, const std::string& tenant,
                                       const json::value& id, const ResponderPtr& responder) {
    const std::string name(request.headers.get("Mcp-Session-Id"));
    if (name.empty()) {
        responder->send(refusal(400, id, kInvalidRequest,
                                "begin with 'initialize' and send its Mcp-Session-Id, or send "
                                "requests of revision 2026-07-28"));
        return nullptr;
    }
    const auto found = sessions_.find(name);
    if (found == sessions_.end() || found->second.session->tenant() != tenant) {
        responder->send(refusal(404, id, kInvalidRequest,
                                "this session has ended; begin a new one with 'initialize'"));
        return nullptr;
    }
    const std::string_view version = request.headers.get("MCP-Protocol-Version");
    if (!version.empty() && !known_version(version)) {
        responder->send(
            refusal(400, id, kInvalidRequest,
                    fmt::format("MCP-Protocol-Version '{}' is not supported", version)));
        return nullptr;
    }
    by_use_.splice(by_use_.end(), by_use_, found->second.used);
    return &found->second;
}

void HttpEndpoint::answer_in_session(const Request& request, const Message& message,
                                     const std::string& tenant, const ResponderPtr& responder) {
    std::shared_ptr<Session> session;
    std::shared_ptr<EventStream> out;
    {
        const std::lock_guard lock(mutex_);
        Held* held = this->held(request, tenant, message.id, responder);
        if (held == nullptr) return;
        session = held->session;
        if (message.kind == Message::Kind::request) {
            const std::uint64_t stream = held->next_stream++;
            // Resumption from the start of a stream came with that revision.
            const bool primed = session->version() >= "2025-11-25";
            out = std::make_shared<EventStream>(responder, fmt::format("{}", stream), primed);
            if (held->streams.size() >= kStreamsKept) held->streams.erase(held->streams.begin());
            held->streams.emplace(stream, out);
        }
    }
    if (out) return session->take(message, std::move(out));
    if (!session->hear(message)) {
        return responder->send(refusal(400, nullptr, kInvalidRequest, "nobody asked for that"));
    }
    responder->send(without_body(202));
}

void HttpEndpoint::get(const Request& request, const ResponderPtr& responder) {
    const auto tenant = base::api::tenant_of(request);
    if (!tenant ||
        request.headers.get("Accept").find("text/event-stream") == std::string_view::npos) {
        Response response = refusal(405, nullptr, kInvalidRequest,
                                    "POST requests here; GET is for event streams of sessions");
        response.headers.set("Allow", "POST, GET, DELETE");
        return responder->send(std::move(response));
    }
    const std::lock_guard lock(mutex_);
    Held* held = this->held(request, *tenant, nullptr, responder);
    if (held == nullptr) return;
    const std::string_view last = request.headers.get("Last-Event-ID");
    if (last.empty()) {
        if (held->standing) held->standing->close();
        held->standing = std::make_shared<EventStream>(responder);
        return held->standing->open();
    }
    const std::size_t cut = last.find('_');
    std::uint64_t stream = 0, after = 0;
    if (cut != std::string_view::npos) {
        std::from_chars(last.data(), last.data() + cut, stream);
        std::from_chars(last.data() + cut + 1, last.data() + last.size(), after);
    }
    const auto found = held->streams.find(stream);
    if (found == held->streams.end() || !found->second->resume(after, responder)) {
        responder->send(
            refusal(400, nullptr, kInvalidRequest, "nothing is kept after this Last-Event-ID"));
    }
}

void HttpEndpoint::remove(const Request& request, const ResponderPtr& responder) {
    const auto tenant = base::api::tenant_of(request);
    if (!tenant) {
        return responder->send(refusal(400, nullptr, kInvalidRequest, tenant.error().message));
    }
    Held ended;
    {
        const std::lock_guard lock(mutex_);
        Held* held = this->held(request, *tenant, nullptr, responder);
        if (held == nullptr) return;
        by_use_.erase(held->used);
        ended = std::move(*held);
        sessions_.erase(std::string(request.headers.get("Mcp-Session-Id")));
    }
    ended.session->end();
    if (ended.standing) ended.standing->close();
    responder->send(without_body(204));
}

void HttpEndpoint::changed(const Change& change) {
    listeners_.tell(change);
    const std::lock_guard lock(mutex_);
    for (auto& [id, held] : sessions_) {
        if (held.standing) held.session->tell(change, *held.standing);
    }
}

void HttpEndpoint::stop() {
    if (server_.features().tasks != nullptr) server_.features().tasks->stop();
    listeners_.stop();
    {
        const std::lock_guard lock(mutex_);
        for (auto& [id, held] : sessions_) {
            held.session->end();
            if (held.standing) held.standing->close();
        }
    }
    calls_.stop();
}

}  // namespace agent::mcp
