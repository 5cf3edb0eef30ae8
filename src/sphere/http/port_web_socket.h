#pragma once
// WebSockets to programs in boxes: messages both ways, each side held up when the other is slow.

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include "base/files/unique_fd.h"
#include "base/http/server.h"
#include "sphere/http/port_exchange.h"

namespace base::http {
class WebSocketClient;
}

namespace sphere {

/// Whether the request asks for one.
bool wants_web_socket(const base::http::Request& request);

/// Those that are open; each has a thread. Thread-safe.
class PortWebSockets : public std::enable_shared_from_this<PortWebSockets> {
public:
    explicit PortWebSockets(std::size_t open_max);
    ~PortWebSockets();

    /// Shakes hands with the program over `socket`, then answers `responder` by opening the
    /// WebSocket. Blocks for the first.
    /// Errors: resource_exhausted; unavailable; what the program answered instead.
    base::Result<void> relay(base::UniqueFd socket, const PortRequest& where,
                             const base::http::Request& request,
                             const base::http::ResponderPtr& responder);
    /// Cuts those to programs. After the server's stop. Idempotent.
    void stop();

private:
    class Relay;
    struct Entry {
        std::unique_ptr<base::http::WebSocketClient> to_program;  ///< null: being made
        bool over = false;
    };
    base::Result<std::uint64_t> begin();
    /// From any thread: its client is ended later, by another one.
    void set_over(std::uint64_t number);

    const std::size_t open_max_;
    std::mutex mutex_;  // guards the rest; no client ends under it
    std::map<std::uint64_t, Entry> entries_;
    std::uint64_t next_ = 1;
};

}  // namespace sphere
