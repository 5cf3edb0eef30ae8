#pragma once
// Ports of boxes over HTTP: POST /v1/sandboxes/{id}/ports makes a token, and whoever has it reaches
// what listens on that port of that box at /v1/sandboxes/{id}/ports/{port}/...
//
// A box's pages are a stranger's: they are shown in an origin of their own
// (Content-Security-Policy: sandbox) and neither see nor set the cookies and credentials of this
// server.

#include <map>
#include <memory>
#include <mutex>

#include "base/api/call_pool.h"
#include "base/core/clock.h"
#include "base/http/router.h"
#include "base/http/server.h"
#include "sphere/http/port_web_socket.h"
#include "sphere/sphere.h"

namespace sphere {

struct PortApiOptions {
    std::size_t threads = 16;    ///< exchanges at a time; each holds one
    std::size_t queue_max = 64;  ///< waiting for one; then 429
    std::size_t tokens_max = 10'000;
    std::chrono::milliseconds ttl_default{60 * 60 * 1000}, ttl_max{24 * 60 * 60 * 1000};
    std::chrono::milliseconds silence_max{5 * 60 * 1000};  ///< of the program in the box
    std::uint64_t upload_bytes_max = 16ull << 30;          ///< of one request's body
    std::size_t web_sockets_max = 128;                     ///< each has a thread; then 429
};

/// Routes over one Sphere, which outlives them. Stop the server first, then stop().
class PortApi {
public:
    PortApi(Sphere& sphere, const base::Clock& clock, PortApiOptions options);

    void register_routes(base::http::Router& router);
    void stop();

private:
    struct Grant {
        SandboxId sandbox;
        std::uint16_t port = 0;
        std::int64_t expires_unix_ns = 0;
    };

    base::Result<base::http::Response> open_port(const base::http::Request& request);
    /// Errors: permission_denied without a token for this box and port.
    base::Result<Grant> check_token(const base::http::Request& request);
    void forward(const base::http::Request& request, const base::http::RequestBodyPtr& body,
                 const base::http::ResponderPtr& responder);

    Sphere& sphere_;
    const base::Clock& clock_;
    const PortApiOptions options_;
    std::mutex mutex_;  // guards the tokens
    std::map<std::string, Grant, std::less<>> tokens_;
    const std::shared_ptr<PortWebSockets> web_sockets_;
    base::api::CallPool calls_;
};

}  // namespace sphere
