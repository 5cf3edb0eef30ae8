#pragma once
// Streamable HTTP: one path for every revision. A request that says its version in `_meta` is
// answered without a session; `initialize` begins one of the older kind.

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "agent/mcp/event_stream.h"
#include "agent/mcp/listeners.h"
#include "agent/mcp/server.h"
#include "agent/mcp/session.h"
#include "base/api/call_pool.h"
#include "base/http/router.h"

namespace agent::mcp {

struct HttpOptions {
    std::string path = "/mcp";
    std::size_t threads = 32, waiting_max = 256;  ///< calls that run; calls that wait
    std::size_t sessions_max = 1'000;             ///< then the one longest unused ends
};

/// Stop the HTTP server first, then stop().
class HttpEndpoint {
public:
    /// `server` outlives it.
    HttpEndpoint(const Server& server, HttpOptions options = {});
    ~HttpEndpoint() { stop(); }

    void register_routes(base::http::Router& router);
    /// Tells all who listen. Thread-safe.
    void changed(const Change& change);
    /// Ends what streams and finishes what runs. Idempotent.
    void stop();

private:
    using Request = base::http::Request;
    using ResponderPtr = base::http::ResponderPtr;
    /// A session and the streams it may come back to.
    struct Held {
        std::shared_ptr<Session> session;
        std::map<std::uint64_t, std::shared_ptr<EventStream>> streams;
        std::shared_ptr<EventStream> standing;  ///< for what belongs to no request
        std::uint64_t next_stream = 1;
        std::list<std::string>::iterator used;
    };

    void post(const Request& request, const ResponderPtr& responder);
    void get(const Request& request, const ResponderPtr& responder);
    void remove(const Request& request, const ResponderPtr& responder);

    void answer_stateless(const Request& request, const Message& message, const Caller& caller,
                          const ResponderPtr& responder);
    void listen(const Message& message, const Server::Client& client, const std::string& tenant,
                const ResponderPtr& responder);
    void begin_session(const Message& message, Caller caller, const ResponderPtr& responder);
    void answer_in_session(const Request& request, const Message& message,
                           const std::string& tenant, const ResponderPtr& responder);
    /// The session a request names, and it was just used. Null: `responder` has been told why.
    Held* held(const Request& request, const std::string& tenant, const json::value& id,
               const ResponderPtr& responder);  // under mutex_

    const Server& server_;
    const HttpOptions options_;
    Listeners listeners_;
    std::mutex mutex_;  // guards the rest; sessions are called under none
    std::map<std::string, Held> sessions_;
    std::list<std::string> by_use_;  ///< longest unused first
    base::api::CallPool calls_;      // stopped first
};

}  // namespace agent::mcp
