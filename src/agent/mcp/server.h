#pragma once
// The server's side of the Model Context Protocol, without transports and without state: a request
// and what is known of its client go in, an answer comes out. Revision 2026-07-28 is the core; the
// revisions with sessions (2025-11-25 and before) share its methods and differ in the frame.

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "agent/mcp/call.h"
#include "agent/mcp/features.h"
#include "agent/mcp/json_rpc.h"
#include "agent/mcp/listeners.h"
#include "agent/mcp/request_seal.h"
#include "agent/mcp/task_board.h"

namespace agent::mcp {

inline constexpr std::string_view kStatelessVersion = "2026-07-28";
/// Newest first.
std::span<const std::string_view> session_versions();

struct ServerInfo {
    std::string name, title, version;
    std::string instructions;  ///< for models: how to use what is offered
};

class Server {
public:
    /// `clock` and what `features` names outlive it.
    Server(ServerInfo info, Features features, const base::SecretKey& key,
           const base::Clock& clock);

    /// An answer with the HTTP status that goes with it.
    struct Reply {
        json::object message;
        int status = 200;
    };
    /// What a stateless request says of its client. Errors: as an answer to it.
    struct Client {
        json::object capabilities = {}, info = {};
        json::value progress_token = nullptr;
        std::optional<LogLevel> log_level = std::nullopt;
    };
    std::variant<Client, RpcError> client_of(const json::object& params) const;
    /// The first round of a stateless request, or one that brings `inputResponses`. `send` is
    /// called once, before this returns: a call that goes on as a task is answered before its end.
    /// Pre: client_of() was good, and `call` was begun with it.
    using Send = std::function<void(const Reply&)>;
    void answer(const Message& request, const std::shared_ptr<Call>& call, const Send& send) const;
    /// Is it answered at once, whatever else runs?
    static bool is_brief(const Message& request) { return is_task_method(request.method); }

    /// What a `subscriptions/listen` may hear, and wants to.
    std::variant<ChangeFilter, RpcError> filter_of(const Message& request, const Client& client,
                                                   const std::string& tenant) const;
    bool has_changes() const { return features_.changes || features_.tasks != nullptr; }

    /// With sessions: a result, or what the client is to be asked before the next round.
    std::variant<json::object, Needed, RpcError> answer_in_session(const Message& request,
                                                                   Call& call) const;
    /// The result of `initialize`. The version: the client's own where it is known.
    json::object welcome(std::string_view version) const;

    /// None: there is no such tool.
    std::optional<json::object> tool(std::string_view name, const Caller& caller) const;
    const Features& features() const { return features_; }

private:
    using Done = std::variant<json::object, Needed, RpcError>;
    Reply reply_to(const Message& request, Done done, std::string_view place) const;
    Done run(const Message& request, Call& call, bool stateless) const;
    Done run_task(const Message& request, const Call& call) const;
    void settle(const std::string& task, Done done) const;
    Done run_listing(const Message& request, Call& call) const;
    Done run_call(const Message& request, Call& call) const;
    Done complete(const json::object& params, const Caller& caller) const;
    json::object capabilities(bool stateless) const;
    json::object about() const;

    const ServerInfo info_;
    const Features features_;
    const RequestSeal seal_;
};

}  // namespace agent::mcp
