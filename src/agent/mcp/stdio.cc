#include "agent/mcp/stdio.h"

#include <utility>

namespace agent::mcp {
namespace {

constexpr std::size_t kThreads = 8, kWaitingMax = 256;
constexpr std::string_view kVersionField = "io.modelcontextprotocol/protocolVersion";

bool says_version(const Message& message) {
    const json::value* meta = message.params.if_contains("_meta");
    return meta != nullptr && meta->is_object() && meta->get_object().contains(kVersionField);
}

}  // namespace

class StdioServer::Line final : public Out {
public:
    explicit Line(
        StdioServer& server, std::function<void()> done = [] {})
        : server_(server), done_(std::move(done)) {}
    void send(const json::object& message) override { server_.write(message); }
    void finish(const json::object& message, int) override {
        server_.write(message);
        done_();
    }

private:
    StdioServer& server_;
    const std::function<void()> done_;
};

StdioServer::StdioServer(const Server& server, std::function<void(std::string_view)> write)
    : server_(server), write_(std::move(write)), workers_(kThreads, kWaitingMax) {}

void StdioServer::write(const json::object& message) {
    const std::string line = base::to_text(message) + "\n";
    const std::lock_guard lock(write_mutex_);
    write_(line);
}

void StdioServer::run(std::istream& in) {
    for (std::string line; std::getline(in, line);) {
        if (line.find_first_not_of(" \t\r") != std::string::npos) take(line);
    }
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, call] : running_) call->cancel();
    }
    if (session_) session_->end();
    workers_.stop();
}

void StdioServer::take(std::string_view line) {
    const auto body = base::parse_json(line);
    if (!body) return write(error_of(nullptr, {kParseError, body.error().message, nullptr}));
    const auto message = read_message(*body);
    if (!message) {
        return write(error_of(nullptr, {kInvalidRequest, message.error().message, nullptr}));
    }
    const std::string id = json::serialize(message->id);
    if (message->kind == Message::Kind::request && message->method == "initialize" &&
        !says_version(*message)) {
        if (session_) session_->end();
        session_ = std::make_shared<Session>(
            server_, [this](std::function<void()> call) { return workers_.post(std::move(call)); },
            Caller{}, *message);
        return write(result_of(message->id, session_->welcome()));
    }
    if (message->kind == Message::Kind::request) {
        if (says_version(*message) || !session_) return answer_stateless(*message);
        return session_->take(*message, std::make_shared<Line>(*this));
    }
    if (session_) session_->hear(*message);
    if (message->method != "notifications/cancelled") return;
    const json::value* which = message->params.if_contains("requestId");
    if (which == nullptr) return;
    const std::lock_guard lock(mutex_);
    const std::string cancelled = json::serialize(*which);
    if (const auto found = running_.find(cancelled); found != running_.end()) {
        found->second->cancel();
    }
    if (const auto found = listening_.find(cancelled); found != listening_.end()) {
        listeners_.remove(found->second);
        listening_.erase(found);
    }
}

void StdioServer::answer_stateless(const Message& message) {
    auto client = server_.client_of(message.params);
    if (const auto* wrong = std::get_if<RpcError>(&client))
        return write(error_of(message.id, *wrong));
    const std::string id = json::serialize(message.id);
    if (message.method == "subscriptions/listen" && server_.features().changes) {
        const json::value* asked = message.params.if_contains("notifications");
        if (asked == nullptr || !asked->is_object()) {
            return write(error_of(
                message.id, {kInvalidParams, "'notifications' says what to listen for", nullptr}));
        }
        const Listeners::Id listener = listeners_.add(message.id, read_filter(asked->get_object()),
                                                      std::make_shared<Line>(*this));
        const std::lock_guard lock(mutex_);
        listening_[id] = listener;
        return;
    }
    auto& known = std::get<Server::Client>(client);
    auto call = std::make_shared<Call>(
        Call::Start{.caller = {},
                    .capabilities = std::move(known.capabilities),
                    .progress_token = std::move(known.progress_token),
                    .log_level = known.log_level,
                    .send = [this](const json::object& said) { write(said); }});
    {
        const std::lock_guard lock(mutex_);
        running_[id] = call;
    }
    const bool taken = workers_.post([this, message, call, id] {
        const Server::Reply reply = server_.answer(message, *call);
        {
            const std::lock_guard lock(mutex_);
            running_.erase(id);
        }
        if (!call->cancelled()) write(reply.message);
    });
    if (taken) return;
    write(error_of(message.id, {kInternalError, "too many calls wait; try again", nullptr}));
}

void StdioServer::changed(const Change& change) {
    listeners_.tell(change);
    if (session_) {
        Line line(*this);
        session_->tell(change, line);
    }
}

}  // namespace agent::mcp
