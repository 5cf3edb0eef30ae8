#pragma once
// What stands behind a client, as a port: a person, a model, a folder. Servers ask it, through the
// client; whoever has none of it gives NoHost.

#include <string_view>

#include "agent/mcp/client/transport.h"

namespace agent::mcp {

/// Thread-safe.
class Host {
public:
    virtual ~Host() = default;
    /// As the protocol says it: {"elicitation": {...}, "sampling": {...}, "roots": {...}}; a server
    /// is given nothing that is not in it.
    virtual json::object capabilities() const = 0;
    /// "elicitation/create", "sampling/createMessage" or "roots/list"; takes as long as a person
    /// does. A form's defaults are filled in, and the answer is checked against it, afterwards.
    /// Errors: any; the server is told, or its call ends.
    virtual base::Result<json::object> answer(std::string_view method, const json::object& params,
                                              const Stop& stop) = 0;
    /// {"level", "logger", "data"}.
    virtual void log(const json::object&) {}
    /// What is wrong with the server and could be gone on with.
    virtual void warn(std::string_view) {}
};

class NoHost final : public Host {
public:
    json::object capabilities() const override { return {}; }
    base::Result<json::object> answer(std::string_view method, const json::object&,
                                      const Stop&) override {
        return base::fail(base::Code::unimplemented, "nobody here answers {}", method);
    }
};

}  // namespace agent::mcp
