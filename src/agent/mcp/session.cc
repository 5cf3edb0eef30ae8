#include "agent/mcp/session.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "agent/mcp/listeners.h"

namespace agent::mcp {
namespace {

std::string_view text_in(const json::object& object, std::string_view name) {
    const json::value* value = object.if_contains(name);
    return value != nullptr && value->is_string() ? std::string_view(value->get_string()) : "";
}

}  // namespace

Session::Session(const Server& server, Post post, Caller caller, const Message& initialize)
    : server_(server), post_(std::move(post)), caller_(std::move(caller)) {
    const json::object welcome = server_.welcome(text_in(initialize.params, "protocolVersion"));
    version_ = welcome.at("protocolVersion").as_string();
    if (const json::value* given = initialize.params.if_contains("capabilities");
        given != nullptr && given->is_object()) {
        capabilities_ = given->get_object();
    }
}

json::object Session::welcome() const {
    return server_.welcome(version_);
}

void Session::take(const Message& request, std::shared_ptr<Out> out) {
    if (take_own(request, *out)) return;
    auto rounds = std::make_shared<Rounds>();
    rounds->request = request;
    rounds->out = std::move(out);
    Call::Start start{.caller = caller_,
                      .capabilities = capabilities_,
                      .send = [to = rounds->out](const json::object& said) { to->send(said); },
                      .let_go = [to = rounds->out] { to->let_go(); }};
    if (const json::value* meta = request.params.if_contains("_meta");
        meta != nullptr && meta->is_object()) {
        if (const json::value* token = meta->get_object().if_contains("progressToken")) {
            start.progress_token = *token;
        }
    }
    {
        const std::lock_guard lock(mutex_);
        start.log_level = log_level_;
        rounds->call = std::make_shared<Call>(std::move(start));
        running_[json::serialize(request.id)] = rounds->call;
    }
    go(rounds);
}

/// Requests about the session itself.
bool Session::take_own(const Message& request, Out& out) {
    const auto done = [&] { out.finish(result_of(request.id, {}), 200); };
    if (request.method == "ping") {
        done();
        return true;
    }
    if (request.method == "logging/setLevel") {
        const auto level = level_of(text_in(request.params, "level"));
        if (!level) {
            out.finish(error_of(request.id,
                                {kInvalidParams, "'level' is none of the known levels", nullptr}),
                       200);
            return true;
        }
        const std::lock_guard lock(mutex_);
        log_level_ = *level;
        done();
        return true;
    }
    const bool subscribes = request.method == "resources/subscribe";
    if ((subscribes || request.method == "resources/unsubscribe") &&
        server_.features().resources != nullptr && server_.features().changes) {
        const std::string uri(text_in(request.params, "uri"));
        {
            const std::lock_guard lock(mutex_);
            if (subscribes) {
                subscribed_.insert(uri);
            } else {
                subscribed_.erase(uri);
            }
        }
        done();
        return true;
    }
    return false;
}

void Session::go(const std::shared_ptr<Rounds>& rounds) {
    const bool taken = post_([self = shared_from_this(), rounds] {
        auto done = self->server_.answer_in_session(rounds->request, *rounds->call);
        const json::value& id = rounds->request.id;
        if (auto* needed = std::get_if<Needed>(&done)) {
            self->ask(rounds, std::move(*needed));
        } else if (const auto* error = std::get_if<RpcError>(&done)) {
            // Older revisions had a code of their own for this.
            RpcError told = *error;
            constexpr int kResourceNotFound = -32002;
            if (rounds->request.method == "resources/read" && !told.data.is_null() &&
                told.code == kInvalidParams) {
                told.code = kResourceNotFound;
            }
            self->finish(*rounds, error_of(id, told));
        } else {
            self->finish(*rounds, result_of(id, std::move(std::get<json::object>(done))));
        }
    });
    if (!taken) {
        finish(*rounds, error_of(rounds->request.id,
                                 {kInternalError, "too many calls wait; try again", nullptr}));
    }
}

void Session::finish(const Rounds& rounds, const json::object& message) {
    {
        const std::lock_guard lock(mutex_);
        running_.erase(json::serialize(rounds.request.id));
    }
    rounds.out->finish(message, 200);
}

void Session::ask(const std::shared_ptr<Rounds>& rounds, Needed needed) {
    std::vector<json::object> questions;
    {
        const std::lock_guard lock(mutex_);
        rounds->answers.clear();
        rounds->state = std::move(needed.state);
        rounds->open = needed.inputs.size();
        for (const auto& [name, input] : needed.inputs) {
            const json::object& asked = input.as_object();
            const std::int64_t id = next_ask_++;
            asked_.emplace(id, Asked{rounds, std::string(name)});
            const json::value* params = asked.if_contains("params");
            questions.push_back(
                request_of(id, text_in(asked, "method"),
                           params != nullptr ? params->as_object() : json::object()));
        }
    }
    for (const json::object& question : questions) rounds->out->send(question);
    if (questions.empty()) {  // it only wants to be called again
        rounds->call->answered({}, rounds->state);
        go(rounds);
    }
}

bool Session::hear(const Message& message) {
    if (message.kind == Message::Kind::response) {
        if (!message.id.is_int64()) return false;
        answered(message);
        return true;
    }
    if (message.method == "notifications/cancelled") {
        if (const json::value* id = message.params.if_contains("requestId")) {
            const std::lock_guard lock(mutex_);
            const auto found = running_.find(json::serialize(*id));
            if (found != running_.end()) found->second->cancel();
        }
    }
    return true;
}

void Session::answered(const Message& response) {
    std::shared_ptr<Rounds> rounds;
    bool complete = false;
    const json::value* refused = response.outcome.if_contains("error");
    {
        const std::lock_guard lock(mutex_);
        const auto found = asked_.find(response.id.get_int64());
        if (found == asked_.end()) return;
        rounds = found->second.rounds;
        if (refused == nullptr) {
            rounds->answers[found->second.name] = response.outcome.at("result");
            complete = --rounds->open == 0;
        } else {
            std::erase_if(asked_, [&](const auto& asked) { return asked.second.rounds == rounds; });
        }
        asked_.erase(response.id.get_int64());
    }
    if (refused != nullptr) {
        const std::string_view why = text_in(refused->get_object(), "message");
        finish(*rounds,
               error_of(rounds->request.id,
                        {kInternalError, fmt::format("the client refused: {}", why), nullptr}));
    } else if (complete) {
        rounds->call->answered(std::move(rounds->answers), std::move(rounds->state));
        go(rounds);
    }
}

void Session::tell(const Change& change, Out& out) {
    if (change.kind == Change::Kind::resource) {
        const std::lock_guard lock(mutex_);
        if (!subscribed_.contains(change.uri)) return;
    }
    out.send(change_message(change));
}

void Session::end() {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, call] : running_) call->cancel();
    asked_.clear();
}

}  // namespace agent::mcp
