#pragma once
// The HTTP/1.1 server: a few network threads, a router, and responders that any thread may use.
// Boost lives behind this header.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "base/http/message.h"
#include "base/http/router.h"
#include "base/http/web_socket.h"

namespace base::http {

/// Answers one request: either send(), or begin_stream(), then write()/notify(), then end().
/// Thread-safe. Calls that come too late (the client is gone, already answered) do nothing.
class Responder {
public:
    virtual ~Responder() = default;

    virtual void send(Response response) = 0;

    /// Sends the head now; the body follows in chunks of unknown length.
    /// With a Content-Length among `headers` the bytes go out as they are: exactly as many must be
    /// written before end(), else the connection is cut.
    virtual void begin_stream(int status, Headers headers) = 0;
    /// Queues bytes. False: closed, or the client reads too slowly and more than
    /// ServerLimits::stream_buffer_bytes wait for it (then the connection is closed, on_closed
    /// fires).
    virtual bool write(std::string_view chunk) = 0;
    /// The pull side of a stream, for producers that merge what a slow socket holds up: after
    /// notify(), once all bytes before have left, `fill` runs on the network thread and appends
    /// what it has. Set before the first notify(). `fill` may call end().
    virtual void set_source(std::function<void(std::string& out)> fill) = 0;
    virtual void notify() = 0;
    virtual void end() = 0;

    /// Answers a request for a WebSocket by opening it; any other one is told 426, and the events
    /// hear on_close. Instead of send() or begin_stream().
    virtual void accept_web_socket(const WebSocketOptions& options,
                                   std::shared_ptr<WebSocketEvents> events) = 0;

    /// Runs `callback` once, on a network thread, when the connection dies before the answer has
    /// left completely, also while nothing is written; at once when that is already so.
    virtual void on_closed(std::function<void()> callback) = 0;
    virtual bool closed() const = 0;
    /// Adds a header to whatever head is sent (x-request-id). Before send() or begin_stream().
    virtual void add_header(std::string name, std::string value) = 0;
};

struct ServerLimits {
    std::uint32_t connections_max = 1024;               ///< more get 503
    std::size_t header_bytes_max = 32 * 1024;           ///< more gets 431
    std::size_t target_bytes_max = 8 * 1024;            ///< longer gets 414
    std::size_t body_bytes_max = 32 * 1024 * 1024;      ///< more gets 413
    std::size_t stream_buffer_bytes = 1024 * 1024;      ///< waiting for one slow client
    std::chrono::milliseconds request_timeout{30'000};  ///< first byte to last; then 408
    std::chrono::milliseconds idle_timeout{75'000};     ///< between requests; then closed
    std::chrono::milliseconds write_timeout{30'000};    ///< without progress; then closed
};

struct ServerOptions {
    std::string address = "127.0.0.1";
    std::uint16_t port = 0;  ///< 0 = any free one
    std::uint32_t threads = 1;
    ServerLimits limits;
    /// Origins allowed to call from a browser ("*" = any); empty = no CORS headers at all, and
    /// pages of other sites cannot POST either (site_guard.h).
    std::vector<std::string> cors_origins;
    /// Host names that clients may use beside addresses and localhost ("*" = any). Empty: none on a
    /// loopback address, any elsewhere, where the server cannot know its names.
    std::vector<std::string> allowed_hosts;
    std::string server_name = "dougong";  ///< the Server header
    /// Turns an error of the server itself (404, 405, 413...) into a body; default: JSON
    /// {"error":{"message","type","param","code"}}.
    std::function<Response(int status, std::string_view message)> render_error;
};

struct ServerStats {
    std::uint32_t connections = 0;  ///< open now
    std::uint64_t connections_total = 0, connections_refused_total = 0;
    std::uint64_t requests_total = 0;
};

class Server {
public:
    /// Binds and listens at once, so that port() is known; serves from start() on.
    /// Errors: invalid_argument (address), already_exists (port taken), permission_denied.
    static Result<std::unique_ptr<Server>> listen(ServerOptions options, const Clock& clock);
    ~Server();  ///< stop() without patience
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Routes are added before start().
    Router& router();
    void start();

    std::uint16_t port() const;
    std::string address() const;
    /// "http://127.0.0.1:8080"
    std::string url() const;
    ServerStats stats() const;  ///< thread-safe

    /// Stops accepting, lets answers in progress finish for up to `patience`, closes the rest and
    /// joins the threads. Idempotent; not from a handler.
    void stop(std::chrono::milliseconds patience);

private:
    struct Impl;
    explicit Server(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace base::http
