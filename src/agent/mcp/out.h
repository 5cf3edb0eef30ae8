#pragma once
// Where what is said about one request goes, whatever carries it.

#include "base/json/json.h"

namespace agent::mcp {

/// Thread-safe.
class Out {
public:
    virtual ~Out() = default;
    /// A notification, or a request of the server's, before the answer.
    virtual void send(const base::json::object& message) = 0;
    /// The answer; last. `status`: HTTP's, where there is such a thing.
    virtual void finish(const base::json::object& message, int status) = 0;
    /// The client may leave and come back for the rest, where that is possible.
    virtual void let_go() {}
};

}  // namespace agent::mcp
