#pragma once
// What a request over HTTP says of who makes it, as a port: OAuth (oauth.h) implements it.

#include <string>
#include <string_view>
#include <vector>

#include "agent/mcp/client/transport.h"

namespace agent::mcp {

/// Thread-safe.
class Authorizer {
public:
    virtual ~Authorizer() = default;
    /// The value of Authorization; empty: none yet.
    virtual std::string authorization() = 0;
    /// The server refused a request that said `used`, with 401 or 403 and these WWW-Authenticate
    /// headers. Success: there is something new to say. Takes as long as a person does.
    /// Errors: unauthenticated, permission_denied, failed_precondition, what `stop` says.
    virtual base::Result<void> refused(int status, const std::vector<std::string>& challenges,
                                       std::string_view used, const Stop& stop) = 0;
};

}  // namespace agent::mcp
