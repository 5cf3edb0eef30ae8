#include "agent/mcp/server.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <utility>

#include "base/files/sha256.h"

namespace agent::mcp {
namespace {

using base::Code;
using base::Result;

constexpr std::array<std::string_view, 4> kSessionVersions{"2025-11-25", "2025-06-18", "2025-03-26",
                                                           "2024-11-05"};
constexpr std::size_t kPage = 100;
constexpr std::size_t kCompletionsMax = 100;
constexpr int kListTtlMs = 60'000;
constexpr std::string_view kMeta = "io.modelcontextprotocol/";

std::string meta_name(std::string_view name) {
    return std::string(kMeta) + std::string(name);
}

RpcError bad_params(std::string message) {
    return {kInvalidParams, std::move(message), nullptr};
}

RpcError told(const base::Error& error) {
    switch (error.code) {
        case Code::not_found:
        case Code::invalid_argument:
        case Code::payload_too_large:
        case Code::permission_denied:
        case Code::failed_precondition:
            return {kInvalidParams, error.message, nullptr};
        default:
            return {kInternalError, error.message, nullptr};
    }
}

RpcError lacks_tasks() {
    return {kMissingCapability, "only clients that know tasks may ask this",
            json::object{{"requiredCapabilities", tasks_capability()}}};
}

/// A text among `params`. Empty: absent or none.
std::string_view text_in(const json::object& params, std::string_view name) {
    const json::value* value = params.if_contains(name);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : "";
}

const json::object& object_in(const json::object& params, std::string_view name) {
    static const json::object kNone;
    const json::value* value = params.if_contains(name);
    return value != nullptr && value->is_object() ? value->get_object() : kNone;
}

/// What a state is bound to: nobody may take it to another call.
std::string place_of(const Message& request, const Caller& caller) {
    json::object same = request.params;
    for (const char* name : {"inputResponses", "requestState", "_meta"}) same.erase(name);
    const std::string text =
        json::serialize(json::array{caller.tenant, request.method, json::value(std::move(same))});
    return base::sha256_hex(text);
}

}  // namespace

std::span<const std::string_view> session_versions() {
    return kSessionVersions;
}

Server::Server(ServerInfo info, Features features, const base::SecretKey& key,
               const base::Clock& clock)
    : info_(std::move(info)), features_(features), seal_(key, clock) {}

json::object Server::about() const {
    json::object out{{"name", info_.name}, {"version", info_.version}};
    if (!info_.title.empty()) out["title"] = info_.title;
    return out;
}

json::object Server::capabilities(bool stateless) const {
    json::object out;
    const json::object listed =
        features_.changes ? json::object{{"listChanged", true}} : json::object();
    if (features_.tools != nullptr) out["tools"] = listed;
    if (features_.prompts != nullptr) out["prompts"] = listed;
    if (features_.resources != nullptr) {
        json::object resources = listed;
        if (features_.changes) resources["subscribe"] = true;
        out["resources"] = std::move(resources);
    }
    if (features_.completions != nullptr) out["completions"] = json::object();
    if (!stateless) out["logging"] = json::object();
    if (stateless && features_.tasks != nullptr) {
        out["extensions"] = tasks_capability().at("extensions");
    }
    return out;
}

json::object Server::welcome(std::string_view version) const {
    const bool known = std::ranges::find(kSessionVersions, version) != kSessionVersions.end();
    json::object out{{"protocolVersion", known ? version : kSessionVersions[0]},
                     {"capabilities", capabilities(false)},
                     {"serverInfo", about()}};
    if (!info_.instructions.empty()) out["instructions"] = info_.instructions;
    return out;
}

std::variant<Server::Client, RpcError> Server::client_of(const json::object& params) const {
    const json::object& meta = object_in(params, "_meta");
    const json::value* version = meta.if_contains(meta_name("protocolVersion"));
    const json::value* capabilities = meta.if_contains(meta_name("clientCapabilities"));
    if (version == nullptr || !version->is_string()) {
        return bad_params(fmt::format("'params._meta' must have '{}protocolVersion'", kMeta));
    }
    if (std::string_view(version->get_string()) != kStatelessVersion) {
        json::array supported{kStatelessVersion};
        return RpcError{kUnsupportedVersion, "this version of the protocol is not supported",
                        json::object{{"supported", std::move(supported)}, {"requested", *version}}};
    }
    if (capabilities == nullptr || !capabilities->is_object()) {
        return bad_params(fmt::format("'params._meta' must have '{}clientCapabilities'", kMeta));
    }
    Client client{.capabilities = capabilities->get_object(),
                  .info = object_in(meta, meta_name("clientInfo"))};
    if (const json::value* token = meta.if_contains("progressToken")) {
        client.progress_token = *token;
    }
    if (const json::value* level = meta.if_contains(meta_name("logLevel"))) {
        client.log_level = level->is_string() ? level_of(level->get_string()) : std::nullopt;
        if (!client.log_level) return bad_params("'logLevel' is none of the known levels");
    }
    return client;
}

void Server::answer(const Message& request, const std::shared_ptr<Call>& call,
                    const Send& send) const {
    const std::string place = place_of(request, call->caller());
    json::value state = nullptr;
    if (const std::string_view sealed = text_in(request.params, "requestState"); !sealed.empty()) {
        auto opened = seal_.open(sealed, place);
        if (!opened) return send({error_of(request.id, bad_params(opened.error().message)), 200});
        state = std::move(*opened);
    }
    call->answered(object_in(request.params, "inputResponses"), std::move(state));

    if (features_.tasks != nullptr && is_brief(request)) {
        return send(reply_to(request, run_task(request, *call), place));
    }
    const bool may_go_on = features_.tasks != nullptr && request.method == "tools/call" &&
                           knows_tasks(call->capabilities());
    std::string task;
    if (may_go_on) {
        call->on_let_go([&] {
            if (!task.empty()) return;
            auto handle = features_.tasks->begin(
                call, [this, request](const std::string& id, Call& once_more) {
                    settle(id, run(request, once_more, true));
                });
            if (!handle) return;
            task = std::string(handle->at("taskId").as_string());
            (*handle)["resultType"] = "task";
            send(reply_to(request, std::move(*handle), place));
        });
    }
    Done done = run(request, *call, true);
    call->on_let_go([] {});
    if (task.empty()) return send(reply_to(request, std::move(done), place));
    settle(task, std::move(done));
}

void Server::settle(const std::string& task, Done done) const {
    if (const auto* error = std::get_if<RpcError>(&done)) {
        features_.tasks->failed(task, *error);
    } else if (auto* needed = std::get_if<Needed>(&done)) {
        features_.tasks->needs(task, std::move(*needed));
    } else {
        features_.tasks->completed(task, std::move(std::get<json::object>(done)));
    }
}

Server::Reply Server::reply_to(const Message& request, Done done, std::string_view place) const {
    if (auto* error = std::get_if<RpcError>(&done)) {
        const int status = error->code == kMethodNotFound      ? 404
                           : error->code == kMissingCapability ? 400
                                                               : 200;
        return {error_of(request.id, *error), status};
    }
    json::object result;
    if (auto* needed = std::get_if<Needed>(&done)) {
        result["resultType"] = "input_required";
        if (!needed->inputs.empty()) result["inputRequests"] = std::move(needed->inputs);
        if (!needed->state.is_null() || !result.contains("inputRequests")) {
            result["requestState"] = seal_.close(needed->state, place);
        }
    } else {
        result = std::move(std::get<json::object>(done));
        if (!result.contains("resultType")) result["resultType"] = "complete";
    }
    json::value& meta = result["_meta"];
    if (!meta.is_object()) meta = json::object();
    meta.get_object()[meta_name("serverInfo")] = about();
    return {result_of(request.id, std::move(result)), 200};
}

Server::Done Server::run_task(const Message& request, const Call& call) const {
    if (!knows_tasks(call.capabilities())) return lacks_tasks();
    const std::string id(text_in(request.params, "taskId"));
    if (id.empty()) return bad_params("'taskId' says which task");
    const std::string& tenant = call.caller().tenant;
    if (request.method == "tasks/get") {
        auto task = features_.tasks->get(tenant, id);
        if (!task) return told(task.error());
        return *std::move(task);
    }
    const auto done =
        request.method == "tasks/cancel"
            ? features_.tasks->cancel(tenant, id)
            : features_.tasks->update(tenant, id, object_in(request.params, "inputResponses"));
    if (!done) return told(done.error());
    return json::object();
}

std::variant<ChangeFilter, RpcError> Server::filter_of(const Message& request, const Client& client,
                                                       const std::string& tenant) const {
    const json::value* asked = request.params.if_contains("notifications");
    if (asked == nullptr || !asked->is_object()) {
        return bad_params("'notifications' says what to listen for");
    }
    ChangeFilter filter = read_filter(asked->get_object());
    if (filter.tasks.empty()) return filter;
    if (!knows_tasks(client.capabilities)) return lacks_tasks();
    std::erase_if(filter.tasks, [&](const std::string& id) {
        return features_.tasks == nullptr || !features_.tasks->get(tenant, id);
    });
    return filter;
}

std::variant<json::object, Needed, RpcError> Server::answer_in_session(const Message& request,
                                                                       Call& call) const {
    return run(request, call, false);
}

Server::Done Server::run(const Message& request, Call& call, bool stateless) const {
    const std::string& method = request.method;
    if (stateless && method == "server/discover") {
        json::object out{{"supportedVersions", json::array{kStatelessVersion}},
                         {"capabilities", capabilities(true)},
                         {"ttlMs", kListTtlMs},
                         {"cacheScope", "private"}};
        if (!info_.instructions.empty()) out["instructions"] = info_.instructions;
        return out;
    }
    if (method.ends_with("/list")) {
        Done listed = run_listing(request, call);
        if (auto* page = std::get_if<json::object>(&listed); page != nullptr && stateless) {
            (*page)["ttlMs"] = kListTtlMs;
            (*page)["cacheScope"] = "private";
        }
        return listed;
    }
    if (method == "completion/complete" && features_.completions != nullptr) {
        return complete(request.params, call.caller());
    }
    Done done = run_call(request, call);
    if (auto* out = std::get_if<json::object>(&done);
        out != nullptr && stateless && method == "resources/read") {
        (*out)["ttlMs"] = 0;
        (*out)["cacheScope"] = "private";
    }
    return done;
}

Server::Done Server::run_listing(const Message& request, Call& call) const {
    std::vector<json::object> all;
    std::string_view name;
    if (request.method == "tools/list" && features_.tools != nullptr) {
        name = "tools";
        all = features_.tools->list(call.caller());
    } else if (request.method == "prompts/list" && features_.prompts != nullptr) {
        name = "prompts";
        all = features_.prompts->list(call.caller());
    } else if (request.method == "resources/list" && features_.resources != nullptr) {
        name = "resources";
        all = features_.resources->list(call.caller());
    } else if (request.method == "resources/templates/list" && features_.resources != nullptr) {
        name = "resourceTemplates";
        all = features_.resources->templates(call.caller());
    } else {
        return RpcError{kMethodNotFound, fmt::format("there is no method '{}'", request.method),
                        nullptr};
    }
    std::size_t from = 0;
    if (const json::value* cursor = request.params.if_contains("cursor")) {
        const std::string_view text = text_in(request.params, "cursor");
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), from);
        if (!cursor->is_string() || text.empty() || error != std::errc() ||
            end != text.data() + text.size() || from > all.size()) {
            return bad_params("'cursor' is not one that this server gave");
        }
    }
    const std::size_t to = std::min(all.size(), from + kPage);
    json::array page;
    for (std::size_t i = from; i < to; ++i) page.emplace_back(std::move(all[i]));
    json::object out{{name, std::move(page)}};
    if (to < all.size()) out["nextCursor"] = std::to_string(to);
    return out;
}

Server::Done Server::run_call(const Message& request, Call& call) const {
    const json::object& params = request.params;
    const auto text = [&](const char* name) { return text_in(params, name); };
    if (const json::value* given = params.if_contains("arguments");
        given != nullptr && !given->is_object()) {
        return bad_params("'arguments' must be an object");
    }
    Result<Outcome> outcome = base::fail(Code::unimplemented, "");
    if (request.method == "tools/call" && features_.tools != nullptr) {
        if (text("name").empty()) return bad_params("'name' says which tool");
        if (features_.tools->only_as_task(text("name")) && !knows_tasks(call.capabilities())) {
            return lacks_tasks();
        }
        outcome = features_.tools->call(text("name"), object_in(params, "arguments"), call);
    } else if (request.method == "prompts/get" && features_.prompts != nullptr) {
        if (text("name").empty()) return bad_params("'name' says which prompt");
        outcome = features_.prompts->get(text("name"), object_in(params, "arguments"), call);
    } else if (request.method == "resources/read" && features_.resources != nullptr) {
        if (text("uri").empty()) return bad_params("'uri' says which resource");
        outcome = features_.resources->read(text("uri"), call);
        if (!outcome && outcome.error().code == Code::not_found) {
            return RpcError{kInvalidParams, outcome.error().message,
                            json::object{{"uri", text("uri")}}};
        }
    } else {
        return RpcError{kMethodNotFound, fmt::format("there is no method '{}'", request.method),
                        nullptr};
    }
    if (!outcome) return told(outcome.error());
    if (auto* needed = std::get_if<Needed>(&*outcome)) {
        json::object missing;
        for (const auto& [name, input] : needed->inputs) {
            const std::string_view asked = text_in(input.as_object(), "method");
            if (!call.can(asked)) missing[capability_of(asked)] = json::object();
        }
        if (!missing.empty()) {
            return RpcError{kMissingCapability,
                            "this needs something of the client that it cannot be asked",
                            json::object{{"requiredCapabilities", std::move(missing)}}};
        }
        return std::move(*needed);
    }
    return std::move(std::get<json::object>(*outcome));
}

Server::Done Server::complete(const json::object& params, const Caller& caller) const {
    const json::object& argument = object_in(params, "argument");
    const json::object& reference = object_in(params, "ref");
    if (reference.empty() || text_in(argument, "name").empty()) {
        return bad_params("'ref' and 'argument.name' say what is to be completed");
    }
    auto found = features_.completions->complete(reference, text_in(argument, "name"),
                                                 text_in(argument, "value"), caller);
    if (!found) return told(found.error());
    json::array values;
    for (const std::string& value : *found) {
        if (values.size() == kCompletionsMax) break;
        values.emplace_back(value);
    }
    return json::object{{"completion", json::object{{"values", std::move(values)},
                                                    {"total", found->size()},
                                                    {"hasMore", found->size() > kCompletionsMax}}}};
}

std::optional<json::object> Server::tool(std::string_view name, const Caller& caller) const {
    if (features_.tools == nullptr) return std::nullopt;
    for (json::object& tool : features_.tools->list(caller)) {
        if (text_in(tool, "name") == name) return std::move(tool);
    }
    return std::nullopt;
}

}  // namespace agent::mcp
