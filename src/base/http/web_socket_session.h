#pragma once
// Internal to base/http: one open WebSocket over a socket that somebody else owns. Everything but
// the WebSocket interface belongs to the socket's thread.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <deque>
#include <functional>
#include <mutex>

#include "base/http/web_socket.h"

#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace base::http {

class WebSocketSession final : public std::enable_shared_from_this<WebSocketSession> {
public:
    using Stream = boost::beast::websocket::stream<boost::asio::ip::tcp::socket&, false>;
    using Close = boost::beast::websocket::close_reason;

    /// Before the handshake, which is made on stream().
    WebSocketSession(boost::asio::ip::tcp::socket& socket, const WebSocketOptions& options,
                     std::shared_ptr<WebSocketEvents> events);

    Stream& stream() { return stream_; }
    /// After the handshake: serves until either side has closed; calls every event.
    boost::asio::awaitable<void> run(bool as_server);
    /// The handshake failed: on_close is all that comes.
    void fail(std::string_view why);

    bool send(MessageKind kind, std::string_view message);
    void close(std::uint16_t code, std::string_view reason);
    void hold(bool held);

private:
    struct Message {
        MessageKind kind;
        std::string text;
    };
    /// What there is to write: a message, the close, or nothing.
    struct Work {
        std::optional<Message> message;
        std::optional<Close> close;
        bool drained = false;  ///< and somebody waits to hear it
        bool over = false;
    };

    boost::asio::awaitable<void> read_messages();
    boost::asio::awaitable<void> write_messages();
    Work take();
    bool held() const;
    void wake_locked();

    Stream stream_;
    boost::asio::steady_timer read_signal_, write_signal_;
    const std::size_t buffer_bytes_max_;
    std::shared_ptr<WebSocketEvents> events_;
    boost::beast::flat_buffer buffer_;
    bool writer_done_ = false;

    mutable std::mutex mutex_;    // guards the rest; nothing is called out under it but a post
    std::function<void()> wake_;  // empty once over
    std::deque<Message> queue_;
    std::size_t queued_bytes_ = 0;
    std::optional<Close> close_;
    bool wants_drained_ = false, held_ = false, over_ = false;
};

/// What the events get; its end closes the session.
WebSocketPtr make_web_socket(std::shared_ptr<WebSocketSession> session);

}  // namespace base::http
