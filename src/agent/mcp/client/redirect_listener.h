#pragma once
// Where an authorization server sends a person's browser back to: an address on this machine that
// is open for one answer (RFC 8252, section 7.3).

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "agent/mcp/client/transport.h"
#include "base/core/clock.h"
#include "base/http/server.h"

namespace agent::mcp {

class RedirectListener {
public:
    /// `port`: 0 takes any. Errors: already_exists (the port is taken).
    static base::Result<std::unique_ptr<RedirectListener>> open(std::uint16_t port,
                                                                std::string state,
                                                                const base::Clock& clock);
    ~RedirectListener();

    /// "http://127.0.0.1:PORT/callback"
    std::string uri() const;
    std::uint16_t port() const { return server_->port(); }
    /// The parameters of the answer that has our state: others are told so and left out.
    /// Errors: what `stop` says.
    base::Result<std::map<std::string, std::string>> wait(const Stop& stop);

private:
    explicit RedirectListener(std::string state) : state_(std::move(state)) {}
    void take(const base::http::Request& request, const base::http::ResponderPtr& responder);

    const std::string state_;
    std::mutex mutex_;  // guards the two below
    std::condition_variable came_;
    std::map<std::string, std::string> answer_;
    std::unique_ptr<base::http::Server> server_;
};

}  // namespace agent::mcp
