#pragma once
// How a client's messages reach a server, and what comes back: one port, two carriers (Streamable
// HTTP and the standard streams of a child process). Versions and sessions are the client's.

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/mcp/json_rpc.h"
#include "base/core/result.h"
#include "base/json/json.h"

namespace agent::mcp {

/// Asked while something waits, at least once a second: why it should stop, if it should.
using Stop = std::function<std::optional<base::Error>()>;

/// One message on its way.
struct Outgoing {
    json::object message;
    /// What HTTP says beside the body; other carriers leave it out.
    std::vector<std::pair<std::string, std::string>> headers = {};
    /// A stream that breaks off may be gone on with (revisions with sessions).
    bool resumable = false;
};

/// {"result": ...} or {"error": ...}, with the HTTP status it came with.
struct Answer {
    json::object outcome;
    int status = 200;
};

/// The subject of the error that says that the server knows our session no more.
inline constexpr std::string_view kSessionGone = "mcp-session";

/// Thread-safe, but for set_hear.
class Transport {
public:
    virtual ~Transport() = default;
    /// Takes what comes beside answers: notifications, and requests of the server's. Must not
    /// block; called from several threads. Set once, before anything is sent.
    virtual void set_hear(std::function<void(const Message&)> hear) = 0;
    /// Takes what is wrong with a server that can be gone on with. Set as `hear`.
    virtual void set_warn(std::function<void(const std::string&)> warn) = 0;
    /// A request, and its answer. A refusal without an answer of the protocol becomes one whose
    /// code is 0. Errors: unavailable, unauthenticated, permission_denied, payload_too_large,
    /// data_loss (not the protocol), what `stop` says; failed_precondition on kSessionGone.
    virtual base::Result<Answer> ask(const Outgoing& request, const Stop& stop) = 0;
    /// A notification, or the answer to a request of the server's.
    virtual base::Result<void> tell(const Outgoing& message) = 0;
    /// A stream for what belongs to no request, where there is such a thing.
    virtual void open_standing(const Outgoing& headers_of) = 0;
    /// Does it carry headers, and is an answer that nobody waits for cancelled by hanging up?
    virtual bool over_http() const = 0;
    /// Ends everything that waits. Idempotent.
    virtual void close() = 0;
};

}  // namespace agent::mcp
