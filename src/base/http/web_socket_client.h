#pragma once
// The client's side of a WebSocket, for the command line. http only: what needs TLS says so.

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/core/result.h"
#include "base/files/unique_fd.h"
#include "base/http/web_socket.h"

namespace base::http {

class WebSocketClient {
public:
    struct Options {
        std::string url = {};  ///< "http://host:port/path?query"; ws:// is the same
        std::vector<std::pair<std::string, std::string>> headers = {};
        std::chrono::milliseconds connect_timeout{15'000};
        WebSocketOptions socket = {};
        /// A stream to use instead of connecting; taken over.
        std::shared_ptr<UniqueFd> connected = {};
    };

    /// Connects and shakes hands; from then on `events` are called on a thread of the client's.
    /// Errors: invalid_argument (the URL), unimplemented (TLS), unavailable (no connection); when
    /// the server answers otherwise, the code of its status and its own words.
    static Result<std::unique_ptr<WebSocketClient>> connect(
        const Options& options, std::shared_ptr<WebSocketEvents> events);
    /// Which of the protocols that the headers offered the server speaks; empty: none.
    const std::string& protocol() const;
    /// Cuts what is still open; on_close has been called when it returns. Not from an event.
    ~WebSocketClient();
    WebSocketClient(const WebSocketClient&) = delete;
    WebSocketClient& operator=(const WebSocketClient&) = delete;

private:
    struct Impl;
    explicit WebSocketClient(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace base::http
