#include "agent/mcp/client/client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <thread>

#include "agent/mcp/call.h"
#include "agent/mcp/client/form.h"

namespace agent::mcp {
namespace {

using base::Code;
using base::Result;

constexpr std::string_view kVersion = "io.modelcontextprotocol/protocolVersion";
constexpr std::string_view kInfo = "io.modelcontextprotocol/clientInfo";
constexpr std::string_view kCapabilities = "io.modelcontextprotocol/clientCapabilities";
constexpr std::string_view kLogLevel = "io.modelcontextprotocol/logLevel";
constexpr std::string_view kServerInfo = "io.modelcontextprotocol/serverInfo";
constexpr std::array<std::string_view, 4> kWithSessions = {"2025-11-25", "2025-06-18", "2025-03-26",
                                                           "2024-11-05"};

const json::object* object_in(const json::object& from, std::string_view name) {
    const json::value* found = from.if_contains(name);
    return found != nullptr ? found->if_object() : nullptr;
}

std::string text_in(const json::object& from, std::string_view name) {
    const json::value* found = from.if_contains(name);
    return found != nullptr && found->is_string() ? std::string(found->get_string())
                                                  : std::string();
}

std::int64_t code_of(const json::object& outcome) {
    const json::object* error = object_in(outcome, "error");
    const json::value* code = error != nullptr ? error->if_contains("code") : nullptr;
    return code != nullptr && code->is_int64() ? code->get_int64() : 0;
}

std::vector<std::string> texts_in(const json::object& from, std::string_view name) {
    std::vector<std::string> out;
    const json::value* found = from.if_contains(name);
    if (found == nullptr || !found->is_array()) return out;
    for (const json::value& one : found->get_array()) {
        if (one.is_string()) out.emplace_back(one.get_string());
    }
    return out;
}

std::string listed(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
    return out;
}

bool among(const std::vector<std::string>& all, std::string_view one) {
    return std::ranges::find(all, one) != all.end();
}

}  // namespace

base::Error error_from(const json::object& outcome, int status) {
    const std::int64_t code = code_of(outcome);
    const json::object* error = object_in(outcome, "error");
    std::string said = error != nullptr ? text_in(*error, "message") : "";
    if (said.empty()) said = fmt::format("error {} without a word", code);
    const auto code_for = [&] {
        switch (code) {
            case kParseError:
            case kInvalidRequest:
            case kInvalidParams:
                return Code::invalid_argument;
            case kMethodNotFound:
                return Code::unimplemented;
            case -32002:  // revisions with sessions: no such resource
                return Code::not_found;
            case kMissingCapability:
            case kUnsupportedVersion:
                return Code::failed_precondition;
            default:
                break;
        }
        if (code != 0) return Code::internal;
        if (status == 404) return Code::not_found;
        if (status == 401) return Code::unauthenticated;
        if (status == 403) return Code::permission_denied;
        if (status == 429) return Code::resource_exhausted;
        return status >= 500 ? Code::unavailable : Code::invalid_argument;
    };
    return {code_for(), code == 0 ? said : fmt::format("the server says: {} ({})", said, code),
            std::to_string(code)};
}

Client::Client(std::unique_ptr<Transport> transport, Host& host, ClientOptions options,
               const base::Clock& clock)
    : transport_(std::move(transport)),
      host_(host),
      options_(std::move(options)),
      clock_(clock),
      asked_(1, 64) {
    transport_->set_hear([this](const Message& message) { hear(message); });
    transport_->set_warn([this](const std::string& what) { host_.warn(what); });
}

Client::~Client() {
    close();
}

void Client::close() {
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        closed_ = true;
    }
    transport_->close();
    asked_.stop();
}

Result<std::unique_ptr<Client>> Client::connect(std::unique_ptr<Transport> transport, Host& host,
                                                ClientOptions options, const base::Clock& clock) {
    const std::string& only = options.revision;
    if (!only.empty() && only != kNewest &&
        std::ranges::find(kWithSessions, only) == kWithSessions.end()) {
        return base::fail(Code::invalid_argument, "revision '{}' is not known; known are {}, {}",
                          only, kNewest, fmt::join(kWithSessions, ", "));
    }
    std::unique_ptr<Client> client(
        new Client(std::move(transport), host, std::move(options), clock));
    DG_TRY(client->greet());
    return client;
}

Result<void> Client::greet() {
    if (!options_.revision.empty() && options_.revision != kNewest) {
        return initialize(options_.revision, false);
    }
    facts_.revision = kNewest;
    if (DG_TRY(discover())) return {};
    if (!options_.revision.empty()) {
        return base::fail(Code::failed_precondition,
                          "the server does not speak {}{}; leave the revision open to use what it "
                          "speaks",
                          options_.revision,
                          facts_.revisions.empty() ? "" : ", but " + listed(facts_.revisions));
    }
    for (const std::string_view revision : kWithSessions) {
        if (facts_.revisions.empty() || among(facts_.revisions, revision)) {
            return initialize(std::string(revision), false);
        }
    }
    return base::fail(Code::failed_precondition, "the server speaks {}, this client {} and {}",
                      listed(facts_.revisions), kNewest, fmt::join(kWithSessions, ", "));
}

/// False: a server of the revisions with sessions.
Result<bool> Client::discover() {
    CallOptions options;
    if (!transport_->over_http()) options.timeout = options_.probe_timeout;
    for (int tried = 0; tried < 2; ++tried) {
        auto answer = send("server/discover", {}, options);
        if (!answer) {
            // A child process that does not know the question may be silent.
            const bool silent =
                !transport_->over_http() && answer.error().code == Code::deadline_exceeded;
            if (silent) return false;
            return std::unexpected(std::move(answer).error());
        }
        if (const json::object* result = object_in(answer->outcome, "result")) {
            facts_.revisions = texts_in(*result, "supportedVersions");
            if (!among(facts_.revisions, kNewest)) return false;
            if (const json::object* found = object_in(*result, "capabilities")) {
                facts_.capabilities = *found;
            }
            const json::object* meta = object_in(*result, "_meta");
            const json::object* info = meta != nullptr ? object_in(*meta, kServerInfo) : nullptr;
            if (info == nullptr) info = object_in(*result, "serverInfo");
            if (info != nullptr) facts_.info = *info;
            facts_.instructions = text_in(*result, "instructions");
            return true;
        }
        switch (code_of(answer->outcome)) {
            case kUnsupportedVersion: {
                const json::object* error = object_in(answer->outcome, "error");
                const json::object* data = object_in(*error, "data");
                if (data != nullptr) facts_.revisions = texts_in(*data, "supported");
                if (!among(facts_.revisions, kNewest)) return false;
                continue;  // it speaks our revision after all
            }
            case kHeaderMismatch:
            case kMissingCapability:
                return std::unexpected(error_from(answer->outcome, answer->status));
            default:
                break;
        }
        if (answer->status >= 500)
            return std::unexpected(error_from(answer->outcome, answer->status));
        return false;
    }
    return base::fail(Code::failed_precondition,
                      "the server refuses revision {} and says that it speaks it", kNewest);
}

Result<void> Client::initialize(const std::string& revision, bool again) {
    if (!again) {
        facts_ = {};
        facts_.revision = revision;
    }
    auto answer = send(
        "initialize",
        {{"protocolVersion", revision},
         {"capabilities", host_.capabilities()},
         {"clientInfo",
          {{"name", options_.name}, {"title", options_.title}, {"version", options_.version}}}},
        {});
    if (!answer) return std::unexpected(std::move(answer).error());
    const json::object* result = object_in(answer->outcome, "result");
    if (result == nullptr) {
        auto error = error_from(answer->outcome, answer->status);
        if (answer->status == 404 || answer->status == 405) {
            error.message +=
                "; is this the address of its MCP endpoint? The older transport with "
                "two addresses (HTTP+SSE) is not supported";
        }
        return std::unexpected(std::move(error).with_context("greeting the server"));
    }
    const std::string chosen = text_in(*result, "protocolVersion");
    if (std::ranges::find(kWithSessions, chosen) == kWithSessions.end() ||
        (again && chosen != facts_.revision)) {
        return base::fail(Code::failed_precondition,
                          "the server wants to speak revision '{}', which is none of {}", chosen,
                          fmt::join(kWithSessions, ", "));
    }
    if (!again) {
        facts_.revision = chosen;
        const json::object* found = object_in(*result, "capabilities");
        if (found != nullptr) facts_.capabilities = *found;
        found = object_in(*result, "serverInfo");
        if (found != nullptr) facts_.info = *found;
        facts_.instructions = text_in(*result, "instructions");
    }
    Outgoing ready = outgoing("notifications/initialized", {}, nullptr);
    DG_TRY(transport_->tell(ready));
    // Where a server asks what belongs to no call.
    if (!host_.capabilities().empty()) transport_->open_standing(outgoing("ping", {}, nullptr));
    if (!options_.log_level.empty() && facts_.has("logging")) {
        DG_TRY(request("logging/setLevel", {{"level", options_.log_level}}, {}));
    }
    return {};
}

Outgoing Client::outgoing(std::string_view method, json::object params,
                          const json::value& id) const {
    Outgoing out;
    if (stateless()) {
        out.headers = standard_headers(method, params);
        out.headers.emplace_back("MCP-Protocol-Version", facts_.revision);
        json::object meta;
        if (const json::object* given = object_in(params, "_meta")) meta = *given;
        meta[kVersion] = facts_.revision;
        meta[kInfo] = {
            {"name", options_.name}, {"title", options_.title}, {"version", options_.version}};
        meta[kCapabilities] = host_.capabilities();
        if (!options_.log_level.empty()) meta[kLogLevel] = options_.log_level;
        params["_meta"] = std::move(meta);
    } else if (method != "initialize") {
        out.headers.emplace_back("MCP-Protocol-Version", facts_.revision);
    }
    out.resumable = !stateless();
    if (id.is_null()) {
        out.message = {{"jsonrpc", "2.0"}, {"method", method}};
        if (!params.empty()) out.message["params"] = std::move(params);
    } else {
        out.message = request_of(id, method, std::move(params));
    }
    return out;
}

Result<Answer> Client::send(std::string_view method, json::object params,
                            const CallOptions& options, const HeaderList& headers) {
    auto running = std::make_shared<Running>(Running{options.progress, clock_.now()});
    const base::Instant begun = running->since;
    json::value id;
    std::string token;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return base::fail(Code::cancelled, "the client is closed");
        id = next_id_++;
        token = json::serialize(id);
        running_[token] = running;
    }
    if (options.progress) {
        const json::object* given = object_in(params, "_meta");
        json::object meta = given != nullptr ? *given : json::object();
        meta["progressToken"] = id;
        params["_meta"] = std::move(meta);
    }
    Outgoing out = outgoing(method, std::move(params), id);
    out.headers.insert(out.headers.end(), headers.begin(), headers.end());
    const auto timeout = options.timeout.count() > 0 ? options.timeout : options_.timeout;
    const Stop stop = [&]() -> std::optional<base::Error> {
        if (options.cancelled && options.cancelled()) {
            return base::Error{Code::cancelled, fmt::format("{}: cancelled", method), ""};
        }
        const base::Instant now = clock_.now();
        base::Instant since;
        {
            const std::lock_guard lock(mutex_);
            since = running->since;
        }
        if (now - since > timeout || now - begun > options_.time_max) {
            return base::Error{
                Code::deadline_exceeded,
                fmt::format("{}: no answer within {:.1f} s", method, base::to_seconds(now - begun)),
                ""};
        }
        return std::nullopt;
    };
    auto answer = transport_->ask(out, stop);
    {
        const std::lock_guard lock(mutex_);
        running_.erase(token);
    }
    if (answer) return answer;
    const Code code = answer.error().code;
    const bool left = code == Code::cancelled || code == Code::deadline_exceeded;
    // Hanging up says it where that is how the protocol does it. The first request is not to be
    // cancelled.
    if (left && method != "initialize" && !(stateless() && transport_->over_http())) {
        static_cast<void>(transport_->tell(
            outgoing("notifications/cancelled",
                     {{"requestId", id}, {"reason", answer.error().message}}, nullptr)));
    }
    return answer;
}

Result<json::object> Client::request(std::string_view method, json::object params,
                                     const CallOptions& options, const HeaderList& headers) {
    auto answer = send(method, params, options, headers);
    if (!answer && answer.error().subject == kSessionGone && !stateless()) {
        // Forgotten, or restarted: a new session, and once more.
        DG_TRY(initialize(facts_.revision, true));
        answer = send(method, std::move(params), options, headers);
    }
    if (!answer) return std::unexpected(std::move(answer).error());
    if (const json::object* result = object_in(answer->outcome, "result")) return *result;
    return std::unexpected(error_from(answer->outcome, answer->status));
}

Result<json::object> Client::request_in_rounds(std::string_view method, json::object params,
                                               const CallOptions& options,
                                               const HeaderList& headers) {
    const Stop stop = [&]() -> std::optional<base::Error> {
        if (!options.cancelled || !options.cancelled()) return std::nullopt;
        return base::Error{Code::cancelled, fmt::format("{}: cancelled", method), ""};
    };
    json::object asked = params;
    for (unsigned round = 0; round < options_.rounds_max; ++round) {
        json::object result = DG_TRY(request(method, asked, options, headers));
        const std::string type = text_in(result, "resultType");
        if (type.empty() || type == "complete") return result;
        if (type != "input_required") {
            return base::fail(
                Code::unimplemented,
                "{}: the server answers with a result of type '{}', which this client "
                "does not know",
                method, type);
        }
        const json::object* inputs = object_in(result, "inputRequests");
        const json::value* state = result.if_contains("requestState");
        if (inputs == nullptr && state == nullptr) {
            return base::fail(Code::data_loss, "{}: the server wants input and says not which",
                              method);
        }
        asked = params;  // nothing of an earlier round but its own
        if (inputs != nullptr) asked["inputResponses"] = DG_TRY(answers_to(*inputs, stop));
        if (state != nullptr) asked["requestState"] = *state;
    }
    return base::fail(Code::resource_exhausted, "{}: the server asked back {} times in a row",
                      method, options_.rounds_max);
}

Result<json::object> Client::answers_to(const json::object& inputs, const Stop& stop) {
    constexpr std::size_t kInputsMax = 100;
    if (inputs.size() > kInputsMax) {
        return base::fail(Code::resource_exhausted,
                          "the server asks {} things at once; {} are "
                          "the most",
                          inputs.size(), kInputsMax);
    }
    json::object out;
    for (const auto& [name, value] : inputs) {
        const json::object* input = value.if_object();
        if (input == nullptr) {
            return base::fail(Code::data_loss, "the server's question '{}' is no object",
                              std::string(name));
        }
        const json::object* given = object_in(*input, "params");
        out[name] = DG_TRY(answer_of_host(text_in(*input, "method"),
                                          given != nullptr ? *given : json::object(), stop));
    }
    return out;
}

Result<json::object> Client::answer_of_host(std::string_view method, const json::object& params,
                                            const Stop& stop) {
    const std::string_view capability = capability_of(method);
    if (capability.empty() || !host_.capabilities().contains(capability)) {
        return base::fail(Code::unimplemented,
                          "the server asks for {}, which nobody here offered it", method);
    }
    json::object answer = DG_TRY(host_.answer(method, params, stop));
    if (method == "elicitation/create") return complete_form(params, std::move(answer));
    return answer;
}

Result<std::vector<json::object>> Client::all_pages(Kind kind, const CallOptions& options,
                                                    std::chrono::milliseconds& ttl) {
    struct Names {
        std::string_view method, field;
    };
    static constexpr std::array<Names, 4> kNames = {
        {{"tools/list", "tools"},
         {"resources/list", "resources"},
         {"resources/templates/list", "resourceTemplates"},
         {"prompts/list", "prompts"}}};
    const auto [method, field] = kNames[static_cast<std::size_t>(kind)];
    std::vector<json::object> items;
    std::set<std::string> seen;
    std::string cursor;
    bool first = true;
    for (std::size_t page = 0; page < options_.pages_max; ++page) {
        json::object params;
        if (!first) params["cursor"] = cursor;
        const json::object result = DG_TRY(request(method, std::move(params), options));
        const json::value* found = result.if_contains(field);
        if (found == nullptr || !found->is_array()) {
            return base::fail(Code::data_loss, "{}: the server's answer has no list '{}'", method,
                              field);
        }
        for (const json::value& item : found->get_array()) {
            if (item.is_object()) {
                items.push_back(item.get_object());
            } else {
                host_.warn(fmt::format("{}: left out an entry that is no object", method));
            }
        }
        const json::value* keep = result.if_contains("ttlMs");
        const auto ms = keep != nullptr && keep->is_int64() ? keep->get_int64() : 0;
        const std::chrono::milliseconds here(std::clamp<std::int64_t>(ms, 0, 86'400'000));
        ttl = first ? here : std::min(ttl, here);
        first = false;
        cursor = text_in(result, "nextCursor");
        if (!result.contains("nextCursor") || result.at("nextCursor").is_null()) return items;
        if (!seen.insert(cursor).second) {
            return base::fail(Code::resource_exhausted,
                              "{}: the server gives the same next page again; its list has no end",
                              method);
        }
        if (items.size() > options_.items_max) break;
    }
    return base::fail(Code::resource_exhausted, "{}: the list is over {} entries or {} pages",
                      method, options_.items_max, options_.pages_max);
}

void Client::check_tools(std::vector<json::object>& tools) {
    std::map<std::string, ToolHeaders, std::less<>> headers;
    std::erase_if(tools, [&](const json::object& tool) {
        const std::string name = text_in(tool, "name");
        if (name.empty()) {
            host_.warn("left out a tool without a name");
            return true;
        }
        const json::object* schema = object_in(tool, "inputSchema");
        if (!stateless() || !transport_->over_http() || schema == nullptr) return false;
        auto read = ToolHeaders::read(*schema);
        if (read) {
            headers.insert_or_assign(name, *std::move(read));
            return false;
        }
        host_.warn(fmt::format("left out tool '{}': {}", name, read.error().message));
        return true;
    });
    const std::lock_guard lock(mutex_);
    tool_headers_ = std::move(headers);
}

Result<std::vector<json::object>> Client::list(Kind kind, const CallOptions& options) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = kept_.find(kind);
        if (found != kept_.end() && clock_.now() < found->second.until) {
            return found->second.items;
        }
    }
    std::chrono::milliseconds ttl{0};
    std::vector<json::object> items = DG_TRY(all_pages(kind, options, ttl));
    if (kind == Kind::tools) check_tools(items);
    const std::lock_guard lock(mutex_);
    kept_.erase(kind);
    if (ttl.count() > 0) kept_[kind] = {items, clock_.now() + ttl};
    return items;
}

HeaderList Client::headers_of(std::string_view tool, const json::object& arguments) {
    const std::lock_guard lock(mutex_);
    const auto found = tool_headers_.find(tool);
    return found != tool_headers_.end() ? found->second.of(arguments) : HeaderList();
}

Result<json::object> Client::call_tool(std::string_view name, json::object arguments,
                                       const CallOptions& options) {
    const json::object params{{"name", name}, {"arguments", arguments}};
    auto result = request_in_rounds("tools/call", params, options, headers_of(name, arguments));
    if (result || result.error().subject != std::to_string(kHeaderMismatch)) return result;
    // What its schema marks is new to us, or has changed.
    {
        const std::lock_guard lock(mutex_);
        kept_.erase(Kind::tools);
    }
    DG_TRY(list(Kind::tools, options));
    return request_in_rounds("tools/call", params, options, headers_of(name, arguments));
}

Result<json::object> Client::read_resource(std::string_view uri, const CallOptions& options) {
    return request_in_rounds("resources/read", {{"uri", uri}}, options);
}

Result<json::object> Client::get_prompt(std::string_view name, json::object arguments,
                                        const CallOptions& options) {
    return request_in_rounds("prompts/get", {{"name", name}, {"arguments", std::move(arguments)}},
                             options);
}

Result<json::object> Client::complete(json::object reference, std::string_view argument,
                                      std::string_view value, const CallOptions& options) {
    const json::object result = DG_TRY(request(
        "completion/complete",
        {{"ref", std::move(reference)}, {"argument", {{"name", argument}, {"value", value}}}},
        options));
    const json::object* completion = object_in(result, "completion");
    if (completion == nullptr) {
        return base::fail(Code::data_loss, "the server's answer has no 'completion'");
    }
    return *completion;
}

void Client::forget_lists(std::string_view notification) {
    const std::lock_guard lock(mutex_);
    if (notification == "notifications/tools/list_changed") kept_.erase(Kind::tools);
    if (notification == "notifications/prompts/list_changed") kept_.erase(Kind::prompts);
    if (notification == "notifications/resources/list_changed") {
        kept_.erase(Kind::resources);
        kept_.erase(Kind::templates);
    }
}

void Client::hear(const Message& message) {
    if (message.kind == Message::Kind::request) {
        const bool taken = asked_.post([this, message] { answer_server(message); });
        if (!taken) host_.warn("left out a question of the server's: too many wait");
        return;
    }
    if (message.method == "notifications/progress") {
        const json::value* token = message.params.if_contains("progressToken");
        std::function<void(const json::object&)> progress;
        {
            const std::lock_guard lock(mutex_);
            const auto found =
                token != nullptr ? running_.find(json::serialize(*token)) : running_.end();
            if (found == running_.end()) return;
            found->second->since = clock_.now();
            progress = found->second->progress;
        }
        if (progress) progress(message.params);
        return;
    }
    if (message.method == "notifications/message") return host_.log(message.params);
    if (message.method == "notifications/cancelled") {
        const json::value* which = message.params.if_contains("requestId");
        const std::lock_guard lock(mutex_);
        if (which != nullptr && withdrawn_.size() < 1'000) {
            withdrawn_.insert(json::serialize(*which));
        }
        return;
    }
    forget_lists(message.method);
    const json::object* meta = object_in(message.params, "_meta");
    const json::value* subscription =
        meta != nullptr ? meta->if_contains("io.modelcontextprotocol/subscriptionId") : nullptr;
    std::vector<std::shared_ptr<Listener>> listeners;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, listener] : listeners_) {
            const bool mine = listener->request.is_null() ||
                              (subscription != nullptr && *subscription == listener->request);
            if (mine && message.method == "notifications/subscriptions/acknowledged") {
                listener->acknowledged = true;
            } else if (mine) {
                listeners.push_back(listener);
            }
        }
    }
    for (const auto& listener : listeners) listener->take(message);
}

void Client::answer_server(const Message& message) {
    const std::string id = json::serialize(message.id);
    const Stop stop = [this, id]() -> std::optional<base::Error> {
        const std::lock_guard lock(mutex_);
        if (closed_) return base::Error{Code::cancelled, "the client is closed", ""};
        if (!withdrawn_.contains(id)) return std::nullopt;
        return base::Error{Code::cancelled, "the server wants no answer any more", ""};
    };
    json::object answer;
    if (message.method == "ping") {
        answer = result_of(message.id, {});
    } else if (auto given = answer_of_host(message.method, message.params, stop)) {
        answer = result_of(message.id, *std::move(given));
    } else {
        const bool unknown = given.error().code == Code::unimplemented;
        answer = error_of(message.id, {unknown ? kMethodNotFound : kInternalError,
                                       given.error().message, nullptr});
    }
    {
        const std::lock_guard lock(mutex_);
        if (withdrawn_.erase(id) > 0 || closed_) return;
    }
    Outgoing out;
    out.message = std::move(answer);
    out.headers.emplace_back("MCP-Protocol-Version", facts_.revision);
    if (auto told = transport_->tell(out); !told) {
        host_.warn("an answer did not reach the server: " + told.error().message);
    }
}

Result<std::unique_ptr<Client::Listening>> Client::listen(
    ChangeFilter filter, std::function<void(const Message&)> take) {
    auto listener = std::make_shared<Listener>();
    listener->filter = filter;
    listener->take = std::move(take);
    std::unique_ptr<Listening> listening;
    {
        const std::lock_guard lock(mutex_);
        listening.reset(new Listening(*this, next_listener_));
        if (stateless()) listener->request = next_id_++;
        listeners_[next_listener_++] = listener;
    }
    if (!stateless()) {
        transport_->open_standing(outgoing("ping", {}, nullptr));
        for (const std::string& uri : filter.uris) {
            DG_TRY(request("resources/subscribe", {{"uri", uri}}, {}));
        }
        return listening;
    }
    Listening* self = listening.get();
    self->thread_ = std::thread([this, self, listener] {
        const Stop stop = [self]() -> std::optional<base::Error> {
            if (!self->stopping_) return std::nullopt;
            return base::Error{Code::cancelled, "nobody listens any more", ""};
        };
        const Outgoing out =
            outgoing("subscriptions/listen", {{"notifications", filter_json(listener->filter)}},
                     listener->request);
        auto end = transport_->ask(out, stop);
        self->over_ = true;
        if (self->stopping_) {
            if (!transport_->over_http()) {
                static_cast<void>(transport_->tell(outgoing(
                    "notifications/cancelled", {{"requestId", listener->request}}, nullptr)));
            }
            return;
        }
        if (!end && end.error().code != Code::cancelled) {
            host_.warn("changes are told no more: " + end.error().message);
        } else if (end && end->outcome.contains("error")) {
            host_.warn("changes are not told: " + error_from(end->outcome, end->status).message);
        }
    });
    return listening;
}

void Client::stop_listening(std::uint64_t id) {
    std::shared_ptr<Listener> gone;
    {
        const std::lock_guard lock(mutex_);
        const auto found = listeners_.find(id);
        if (found == listeners_.end()) return;
        gone = found->second;
        listeners_.erase(found);
        if (closed_) return;
    }
    if (stateless()) return;
    for (const std::string& uri : gone->filter.uris) {
        static_cast<void>(request("resources/unsubscribe", {{"uri", uri}}, {}));
    }
}

Client::Listening::~Listening() {
    stopping_ = true;
    client_.stop_listening(id_);
    if (thread_.joinable()) thread_.join();
}

}  // namespace agent::mcp
