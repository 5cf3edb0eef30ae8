#pragma once
// One request's answer on its way from any thread to the connection's network thread. Holds the
// bytes that wait; knows HTTP framing and no sockets, so that tests drive it without any.

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/message.h"
#include "base/http/server.h"

namespace base::http {

/// What the connection knows about a request that shapes the answer's head.
struct ExchangeOptions {
    bool head_only = false;  ///< the request is HEAD
    bool chunked = true;     ///< HTTP/1.1; else a stream ends with the connection
    bool keep_alive = true;
    bool web_socket = false;  ///< the request asks for one
    std::size_t buffer_bytes_max = 1024 * 1024;
    std::string server_name;
    std::int64_t unix_ns = 0;  ///< for Date
    Headers extra_headers;     ///< CORS
};

/// What a handler accepted.
struct AcceptedWebSocket {
    WebSocketOptions options;
    std::shared_ptr<WebSocketEvents> events;
};

class Exchange {
public:
    /// `wake` tells the network thread to call take(); it is called under the lock and only posts.
    Exchange(ExchangeOptions options, std::function<void()> wake);

    void send(Response response);
    void begin_stream(int status, Headers headers);
    bool write(std::string_view chunk);
    void set_source(std::function<void(std::string& out)> fill);
    void notify();
    void end();
    void accept_web_socket(const WebSocketOptions& options,
                           std::shared_ptr<WebSocketEvents> events);
    void on_closed(std::function<void()> callback);
    bool closed() const;
    void add_header(std::string name, std::string value);
    /// Nobody can answer any more: 500 when nothing was sent, else the connection is cut.
    void abandon();

    struct Output {
        std::string_view tail;  ///< to be sent after the bytes; lives as long as the program
        bool finished = false;  ///< this was the last of it
        bool broken = false;    ///< the client is too slow or the stream was cut: close
        std::optional<AcceptedWebSocket> web_socket;  ///< instead of an answer
    };
    /// Network thread: moves what waits into `bytes` (cleared first), framed for the wire.
    Output take(std::string& bytes);
    /// Network thread, once the answer has left or the connection is gone. Drops all callbacks;
    /// runs those of on_closed when the answer did not leave completely.
    void finish();
    void connection_lost();
    /// False once the connection must close after this answer. Network thread.
    bool keep_alive() const;
    /// An answer is there, or part of one.
    bool answered() const;
    void forbid_keep_alive();

private:
    enum class Stage { open, streaming, ended };

    void wake_locked();
    void append_head_locked(int status, const Headers& headers, std::string_view framing);

    mutable std::mutex mutex_;  // guards everything below; never held while calling out
    ExchangeOptions options_;
    std::function<void()> wake_;  // empty once finished
    bool wake_pending_ = false;   // a wake is posted and take() has not run since
    Stage stage_ = Stage::open;
    bool closed_ = false, finished_ = false, broken_ = false, body_allowed_ = true;
    bool last_chunk_taken_ = false, notified_ = false;
    std::string head_;  // wire bytes: head, or head and body of a plain answer
    std::string_view tail_;
    std::optional<std::uint64_t> bytes_left_;  // of a stream with Content-Length
    std::optional<AcceptedWebSocket> web_socket_;
    std::string body_;  // stream bytes, not framed yet
    std::shared_ptr<std::function<void(std::string&)>> source_;
    std::string filled_;  // network thread only: what the source gave; keeps its memory
    std::vector<std::function<void()>> closed_callbacks_;
};

/// What a handler holds. When the last copy goes, the exchange learns that nobody will answer.
ResponderPtr make_responder(std::shared_ptr<Exchange> exchange);

}  // namespace base::http
