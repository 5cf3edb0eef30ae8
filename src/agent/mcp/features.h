#pragma once
// What a server of the Model Context Protocol offers, as ports: whoever has tools, resources or
// prompts implements these and knows nothing of transports, versions or sessions.
//
// A call that needs something of the client (a form filled in, a model's answer) does not wait: it
// returns what it needs and what it wants to remember, and is made again with both. So a server
// keeps nothing between two requests, and a call may wait for a person for days.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"

namespace agent::mcp {

namespace json = base::json;

/// Who asks, as the transport knows it; never an argument of a call.
struct Caller {
    std::string tenant = "default";
    std::string client;   ///< what it calls itself, for records only
    std::string session;  ///< of an older protocol's session; empty: none
};

/// As syslog orders them.
enum class LogLevel : std::uint8_t {
    debug,
    info,
    notice,
    warning,
    error,
    critical,
    alert,
    emergency
};
std::string_view level_name(LogLevel level);
std::optional<LogLevel> level_of(std::string_view name);

/// One request while it is answered. Thread-safe; outlives the call it is given to.
class Exchange {
public:
    virtual ~Exchange() = default;
    virtual const Caller& caller() const = 0;
    /// May the client be asked this ("elicitation/create", "sampling/createMessage", "roots/list")?
    virtual bool can(std::string_view method) const = 0;
    /// What the client answered to Needed::inputs of the call before, by their names; nothing of it
    /// is checked.
    virtual const json::object& inputs() const = 0;
    /// Needed::state of the call before; null in the first.
    virtual const json::value& state() const = 0;
    /// Told when the client wants to know. `total` unknown: absent.
    virtual void progress(double done, std::optional<double> total, std::string_view message) = 0;
    virtual void log(LogLevel level, std::string_view logger, const json::value& data) = 0;
    /// The client went away or asked to stop.
    virtual bool cancelled() const = 0;
    /// The answer will take long: the client need not hold its connection, where it and the
    /// protocol in use can do without: it comes back, or the call goes on as a task.
    virtual void let_go() = 0;
};

/// The call cannot end without the client.
struct Needed {
    json::object inputs;  ///< name -> {"method", "params"}, of methods the client can() be asked
    json::value state;    ///< given back in the next call; sealed on its way, so nobody changes it
};
using Outcome = std::variant<json::object, Needed>;

/// All thread-safe; calls take as long as what they do.
class Tools {
public:
    virtual ~Tools() = default;
    /// {"name", "description", "inputSchema", ...} each.
    virtual std::vector<json::object> list(const Caller& caller) const = 0;
    /// {"content", "structuredContent", "isError"}: what goes wrong in a tool is such an answer.
    /// Errors: not_found (no such tool), invalid_argument.
    virtual base::Result<Outcome> call(std::string_view name, const json::object& arguments,
                                       Exchange& exchange) = 0;
    /// Takes so long that only clients that know tasks may call it.
    virtual bool only_as_task(std::string_view) const { return false; }
};

class Resources {
public:
    virtual ~Resources() = default;
    virtual std::vector<json::object> list(const Caller& caller) const = 0;
    virtual std::vector<json::object> templates(const Caller& caller) const = 0;
    /// {"contents": [...]}. Errors: not_found.
    virtual base::Result<Outcome> read(std::string_view uri, Exchange& exchange) = 0;
};

class Prompts {
public:
    virtual ~Prompts() = default;
    virtual std::vector<json::object> list(const Caller& caller) const = 0;
    /// {"messages": [...]}. Errors: not_found, invalid_argument (an argument is missing).
    virtual base::Result<Outcome> get(std::string_view name, const json::object& arguments,
                                      Exchange& exchange) = 0;
};

class Completions {
public:
    virtual ~Completions() = default;
    /// Values that begin as `value` does, best first, at most 100. Errors: not_found.
    virtual base::Result<std::vector<std::string>> complete(const json::object& reference,
                                                            std::string_view argument,
                                                            std::string_view value,
                                                            const Caller& caller) = 0;
};

/// What has changed, for clients that listen.
struct Change {
    enum class Kind : std::uint8_t { tools, prompts, resources, resource };
    Kind kind = Kind::tools;
    std::string uri;  ///< of `resource`
};

class TaskBoard;

/// Null: not offered. All outlive the server.
struct Features {
    Tools* tools = nullptr;
    Resources* resources = nullptr;
    Prompts* prompts = nullptr;
    Completions* completions = nullptr;
    TaskBoard* tasks = nullptr;  ///< calls that let their client go, go on there
    /// Lists may change while clients are connected (Server::changed).
    bool changes = false;
};

}  // namespace agent::mcp
