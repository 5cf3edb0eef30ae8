#pragma once
// A client of the revisions with sessions (2025-11-25 and before): what it said once at the start,
// what the server asked it and waits for, what it subscribed to. The calls beneath are the
// stateless ones: when one needs the client, the client is asked by a request of the server's, and
// the call is made again with the answer. No thread waits meanwhile.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "agent/mcp/call.h"
#include "agent/mcp/json_rpc.h"
#include "agent/mcp/out.h"
#include "agent/mcp/server.h"

namespace agent::mcp {

class Session : public std::enable_shared_from_this<Session> {
public:
    /// Has the function called soon, on a thread that may block. False: too much waits.
    using Post = std::function<bool(std::function<void()>)>;

    /// `server` and what `post` uses outlive it. `initialize`: the request that began it.
    Session(const Server& server, Post post, Caller caller, const Message& initialize);

    /// The answer to `initialize`.
    json::object welcome() const;
    const std::string& version() const { return version_; }
    const std::string& tenant() const { return caller_.tenant; }

    /// A request: it is answered into `out`, sooner or later.
    void take(const Message& request, std::shared_ptr<Out> out);
    /// A notification, or an answer to what the client was asked. False: to nothing asked.
    bool hear(const Message& message);
    void tell(const Change& change, Out& out);
    /// Calls that run are told to stop; those that wait for the client never go on.
    void end();

private:
    /// A call and the rounds it has made.
    struct Rounds {
        Message request;
        std::shared_ptr<Call> call;
        std::shared_ptr<Out> out;
        json::object answers;
        json::value state = nullptr;
        std::size_t open = 0;  ///< questions without an answer
    };
    struct Asked {
        std::shared_ptr<Rounds> rounds;
        std::string name;
    };
    void go(const std::shared_ptr<Rounds>& rounds);
    void ask(const std::shared_ptr<Rounds>& rounds, Needed needed);
    void finish(const Rounds& rounds, const json::object& message);
    void answered(const Message& response);
    bool take_own(const Message& request, Out& out);

    const Server& server_;
    const Post post_;
    const Caller caller_;
    std::string version_;
    json::object capabilities_;

    std::mutex mutex_;  // guards the rest
    LogLevel log_level_ = LogLevel::info;
    std::set<std::string> subscribed_;
    std::map<std::string, std::shared_ptr<Call>> running_;  ///< by their ids as JSON
    std::map<std::int64_t, Asked> asked_;
    std::int64_t next_ask_ = 1;
};

}  // namespace agent::mcp
