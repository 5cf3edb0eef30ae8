#pragma once
// The client's side of the Model Context Protocol: one server, whatever carries it. Revision
// 2026-07-28 is spoken first: each request says who asks and what they can do. A server that does
// not know it is greeted with `initialize`, as the revisions with sessions are.
//
//   auto transport = std::make_unique<HttpTransport>(options, &oauth);
//   auto client = DG_TRY(Client::connect(std::move(transport), host, {}, clock));
//   const auto tools = DG_TRY(client->list(Client::Kind::tools));
//   const auto result = DG_TRY(client->call_tool("echo", {{"message", "hi"}}));

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "agent/mcp/client/host.h"
#include "agent/mcp/client/tool_headers.h"
#include "agent/mcp/client/transport.h"
#include "agent/mcp/features.h"
#include "agent/mcp/listeners.h"
#include "base/core/clock.h"
#include "base/exec/worker.h"

namespace agent::mcp {

struct ClientOptions {
    std::string name = "dougong", title = "Dougong", version = "0";
    std::string revision;                       ///< this one only; empty: the newest that both know
    std::string log_level;                      ///< what the server may log to us; empty: nothing
    std::chrono::milliseconds timeout{60'000};  ///< of a request; progress begins it again
    std::chrono::milliseconds time_max{3'600'000};   ///< of a request with all its progress
    std::chrono::milliseconds probe_timeout{5'000};  ///< of the first question to a child process
    std::size_t pages_max = 1'000, items_max = 100'000;  ///< of one list
    unsigned rounds_max = 16;                            ///< in which a call may ask for more
};

/// What is known of a server.
struct ServerFacts {
    std::string revision;
    json::object info;  ///< {"name", "version", ...}; may be empty
    json::object capabilities;
    std::string instructions;
    std::vector<std::string> revisions;  ///< that it says it speaks; empty: it did not say
    bool has(std::string_view capability) const { return capabilities.contains(capability); }
};

struct CallOptions {
    /// {"progress", "total", "message"}, as the server reports it.
    std::function<void(const json::object&)> progress;
    /// True ends the call; asked at least once a second.
    std::function<bool()> cancelled;
    std::chrono::milliseconds timeout{0};  ///< instead of ClientOptions::timeout; 0: that
};

/// Thread-safe.
class Client {
public:
    enum class Kind : std::uint8_t { tools, resources, templates, prompts };

    /// `host` and `clock` outlive it. Errors: those of Transport::ask; failed_precondition: no
    /// revision that both know.
    static base::Result<std::unique_ptr<Client>> connect(std::unique_ptr<Transport> transport,
                                                         Host& host, ClientOptions options,
                                                         const base::Clock& clock);
    ~Client();  ///< close()

    const ServerFacts& server() const { return facts_; }

    /// All pages of a list; kept as long as the server says it holds. Tools whose headers could not
    /// be said are left out, with a warning. Errors: resource_exhausted: a list without an end.
    base::Result<std::vector<json::object>> list(Kind kind, const CallOptions& options = {});
    /// {"content", "structuredContent", "isError"}. Errors: not_found, invalid_argument, and what
    /// the server says.
    base::Result<json::object> call_tool(std::string_view name, json::object arguments,
                                         const CallOptions& options = {});
    base::Result<json::object> read_resource(std::string_view uri, const CallOptions& options = {});
    base::Result<json::object> get_prompt(std::string_view name, json::object arguments,
                                          const CallOptions& options = {});
    /// {"values", "total", "hasMore"}. `reference`: {"type": "ref/prompt", "name"} or
    /// {"type": "ref/resource", "uri"}.
    base::Result<json::object> complete(json::object reference, std::string_view argument,
                                        std::string_view value, const CallOptions& options = {});

    /// While one lives, changes are told. Dies before its client.
    class Listening;
    /// `take` gets the server's notification; from another thread, and must not block.
    /// Errors: those of Transport::ask; unimplemented: the server tells nobody.
    base::Result<std::unique_ptr<Listening>> listen(ChangeFilter filter,
                                                    std::function<void(const Message&)> take);

    /// Ends what waits. Idempotent.
    void close();

private:
    struct Running {
        std::function<void(const json::object&)> progress;
        base::Instant since;  ///< of the last sign of life
    };
    struct Kept {
        std::vector<json::object> items;
        base::Instant until;
    };
    struct Listener {
        json::value request;  ///< null: of a session
        ChangeFilter filter;
        std::function<void(const Message&)> take;
        bool acknowledged = false;
    };

    Client(std::unique_ptr<Transport> transport, Host& host, ClientOptions options,
           const base::Clock& clock);
    base::Result<void> greet();
    base::Result<bool> discover();
    /// `again`: a session that the server forgot; nothing is learnt of the server.
    base::Result<void> initialize(const std::string& revision, bool again);
    bool stateless() const { return facts_.revision == kNewest; }

    Outgoing outgoing(std::string_view method, json::object params, const json::value& id) const;
    /// One request and its answer, whatever it is.
    base::Result<Answer> send(std::string_view method, json::object params,
                              const CallOptions& options, const HeaderList& headers = {});
    /// Its result. Errors: also what the server says.
    base::Result<json::object> request(std::string_view method, json::object params,
                                       const CallOptions& options, const HeaderList& headers = {});
    /// The same for what may ask back.
    base::Result<json::object> request_in_rounds(std::string_view method, json::object params,
                                                 const CallOptions& options,
                                                 const HeaderList& headers = {});
    base::Result<json::object> answers_to(const json::object& inputs, const Stop& stop);
    base::Result<json::object> answer_of_host(std::string_view method, const json::object& params,
                                              const Stop& stop);
    base::Result<std::vector<json::object>> all_pages(Kind kind, const CallOptions& options,
                                                      std::chrono::milliseconds& ttl);
    void check_tools(std::vector<json::object>& tools);
    HeaderList headers_of(std::string_view tool, const json::object& arguments);
    void hear(const Message& message);
    void answer_server(const Message& message);
    void forget_lists(std::string_view notification);
    void stop_listening(std::uint64_t id);

    static constexpr std::string_view kNewest = "2026-07-28";

    const std::unique_ptr<Transport> transport_;
    Host& host_;
    const ClientOptions options_;
    const base::Clock& clock_;
    ServerFacts facts_;  ///< set before anybody else sees the client

    std::mutex mutex_;  // guards the rest; nothing is called under it
    std::uint64_t next_id_ = 1;
    std::map<std::string, std::shared_ptr<Running>> running_;  ///< by progress token
    std::map<Kind, Kept> kept_;
    std::map<std::string, ToolHeaders, std::less<>> tool_headers_;
    std::map<std::uint64_t, std::shared_ptr<Listener>> listeners_;
    std::uint64_t next_listener_ = 1;
    std::set<std::string> withdrawn_;  ///< requests of the server's that it wants no more
    bool closed_ = false;
    base::Worker asked_;  ///< what servers with sessions ask; stopped first
};

class Client::Listening {
public:
    ~Listening();
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;
    /// The server ended it, or the connection is gone: nothing more will come.
    bool over() const { return over_; }

private:
    friend class Client;
    Listening(Client& client, std::uint64_t id) : client_(client), id_(id) {}
    Client& client_;
    const std::uint64_t id_;
    std::atomic<bool> stopping_ = false, over_ = false;
    std::thread thread_;  ///< waits for the stream's end
};

/// What the server said with an error.
base::Error error_from(const json::object& outcome, int status);

}  // namespace agent::mcp
