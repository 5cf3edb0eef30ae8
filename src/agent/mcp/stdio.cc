#include "agent/mcp/stdio.h"

#include <utility>

namespace agent::mcp {
namespace {

constexpr std::size_t kThreads = 32, kWaitingMax = 256;
constexpr std::size_t kLineMax = 64u << 20;
constexpr std::chrono::seconds kPatience{5};  // with what runs when nobody asks any more
constexpr std::string_view kVersionField = "io.modelcontextprotocol/protocolVersion";

bool says_version(const Message& message) {
    const json::value* meta = message.params.if_contains("_meta");
    return meta != nullptr && meta->is_object() && meta->get_object().contains(kVersionField);
}

/// False: the end, and no line. What is longer than kLineMax is read to its end and told.
bool next_line(std::istream& in, std::string& line, bool& too_long) {
    line.clear();
    too_long = false;
    std::streambuf* bytes = in.rdbuf();
    for (int byte = bytes->sbumpc();; byte = bytes->sbumpc()) {
        if (byte == std::char_traits<char>::eof()) return !line.empty() || too_long;
        if (byte == '\n') return true;
        if (line.size() < kLineMax) {
            line.push_back(static_cast<char>(byte));
        } else {
            too_long = true;
        }
    }
}

}  // namespace

class StdioServer::Line final : public Out {
public:
    explicit Line(StdioServer& server) : server_(server) {}
    void send(const json::object& message) override { server_.write(message); }
    void finish(const json::object& message, int) override { server_.write(message); }

private:
    StdioServer& server_;
};

StdioServer::StdioServer(const Server& server, std::function<void(std::string_view)> write)
    : server_(server), write_(std::move(write)), workers_(kThreads, kWaitingMax) {
    if (server_.features().tasks == nullptr) return;
    server_.features().tasks->on_change([this](const std::string& id, const json::object& task) {
        listeners_.tell_task(id, task);
    });
}

StdioServer::~StdioServer() {
    if (server_.features().tasks != nullptr) server_.features().tasks->stop();
}

void StdioServer::write(const json::object& message) {
    const std::string line = base::to_text(message) + "\n";
    const std::lock_guard lock(write_mutex_);
    write_(line);
}

void StdioServer::run(std::istream& in) {
    bool too_long = false;
    for (std::string line; next_line(in, line, too_long);) {
        if (too_long) {
            write(error_of(nullptr, {kInvalidRequest, "a message is longer than 64 MiB", nullptr}));
        } else if (line.find_first_not_of(" \t\r") != std::string::npos) {
            take(line);
        }
    }
    {
        std::unique_lock lock(mutex_);
        idle_.wait_for(lock, kPatience, [&] { return busy_ == 0; });
        for (const auto& [id, call] : running_) call->cancel();
    }
    if (session_) session_->end();
    if (server_.features().tasks != nullptr) server_.features().tasks->stop();
    workers_.stop();
}

bool StdioServer::post(std::function<void()> call) {
    {
        const std::lock_guard lock(mutex_);
        ++busy_;
    }
    const auto done = [this] {
        const std::lock_guard lock(mutex_);
        if (--busy_ == 0) idle_.notify_all();
    };
    const bool taken = workers_.post([call = std::move(call), done] {
        call();
        done();
    });
    if (!taken) done();
    return taken;
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
        auto session = std::make_shared<Session>(
            server_, [this](std::function<void()> call) { return post(std::move(call)); }, Caller{},
            *message);
        std::shared_ptr<Session> before;
        {
            const std::lock_guard lock(mutex_);
            before = std::exchange(session_, session);
        }
        if (before) before->end();
        return write(result_of(message->id, session->welcome()));
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
    if (message.method == "subscriptions/listen" && server_.has_changes()) {
        auto filter = server_.filter_of(message, std::get<Server::Client>(client), Caller{}.tenant);
        if (const auto* wrong = std::get_if<RpcError>(&filter)) {
            return write(error_of(message.id, *wrong));
        }
        const Listeners::Id listener = listeners_.add(
            message.id, std::move(std::get<ChangeFilter>(filter)), std::make_shared<Line>(*this));
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
    const auto send = [this, call, id](const Server::Reply& reply) {
        {
            const std::lock_guard lock(mutex_);
            running_.erase(id);
        }
        if (!call->cancelled()) write(reply.message);
    };
    if (Server::is_brief(message)) return server_.answer(message, call, send);
    const bool taken = post([this, message, call, send] { server_.answer(message, call, send); });
    if (taken) return;
    write(error_of(message.id, {kInternalError, "too many calls wait; try again", nullptr}));
}

void StdioServer::changed(const Change& change) {
    listeners_.tell(change);
    std::shared_ptr<Session> session;
    {
        const std::lock_guard lock(mutex_);
        session = session_;
    }
    if (!session) return;
    Line line(*this);
    session->tell(change, line);
}

}  // namespace agent::mcp
