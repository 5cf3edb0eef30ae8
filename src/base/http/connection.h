#pragma once
// Internal to base/http: one client connection. It lives on one network thread; everything in it is
// touched by that thread only. Other threads reach it through Exchange.

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "base/http/body_queue.h"
#include "base/http/exchange.h"
#include "base/http/server.h"
#include "base/http/site_guard.h"
#include "base/http/web_socket.h"

// GCC 12 takes Asio's recycled coroutine frames for a mismatch of new and delete when it inlines
// one of the two only.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"

namespace base::http {

/// What every connection shares. Outlives them.
struct ServerShared {
    ServerOptions options;
    SitePolicy sites;
    const Clock& clock;
    Router router;
    std::atomic<bool> stopping{false};
    std::atomic<std::uint64_t> requests_total{0};
};

/// How a request that cannot be served is answered.
struct Rejection {
    int status = 400;
    std::string message;
};

class WebSocketSession;

class Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(boost::asio::ip::tcp::socket socket, ServerShared& shared);

    /// Serves requests until either side closes.
    boost::asio::awaitable<void> run();
    /// Cancels what takes longer than its deadline. Runs beside run().
    boost::asio::awaitable<void> watch_deadlines();
    /// Tells the client that there are too many connections.
    boost::asio::awaitable<void> refuse();

    /// Network thread. Idle connections close at once, busy ones after their answer.
    void close_when_idle();
    void close_now();

private:
    using TimePoint = std::chrono::steady_clock::time_point;
    struct Parsed;  // a Beast parser; parsed.h

    boost::asio::awaitable<bool> serve_one();
    boost::asio::awaitable<bool> wait_for_first_byte();
    /// False: the connection must close; an answer that says why may have been sent.
    boost::asio::awaitable<bool> read_request(Parsed& parsed);
    std::optional<Rejection> check_head(const Parsed& parsed) const;
    bool expects_continue(const Parsed& parsed) const;
    std::optional<Rejection> fill_request(Parsed& parsed) const;
    /// Finds who answers; the limit of the body follows from it.
    std::optional<Rejection> route_request(Parsed& parsed) const;
    boost::asio::awaitable<void> reject(const Rejection& why);
    boost::asio::awaitable<bool> write_all(std::string_view bytes);
    boost::asio::awaitable<bool> pump(Parsed& parsed, const std::shared_ptr<Exchange>& exchange);
    /// Hands the body on until its end; false when it was not read to there. (upload.cc)
    boost::asio::awaitable<bool> receive_body(Parsed& parsed,
                                              const std::shared_ptr<Exchange>& exchange);
    /// The handshake and everything after it. (web_socket_accept.cc)
    boost::asio::awaitable<void> serve_web_socket(Parsed& parsed, AcceptedWebSocket& accepted);
    boost::asio::awaitable<void> linger();
    void dispatch(Parsed& parsed, const std::shared_ptr<Exchange>& exchange);
    std::function<void()> waker();
    void watch_client();
    Response render_error(int status, std::string_view message) const;
    std::shared_ptr<Exchange> make_exchange(const Parsed& parsed, const Request& request);

    void set_deadline(std::chrono::milliseconds from_now);
    void clear_deadline() { deadline_ = TimePoint::max(); }

    boost::asio::ip::tcp::socket socket_;
    ServerShared& shared_;
    std::string peer_;
    boost::beast::flat_buffer buffer_;  // read and not parsed yet
    boost::asio::steady_timer signal_;  // cancelled to wake run(): answer bytes or a client event
    boost::asio::steady_timer tick_;    // watch_deadlines() sleeps on it
    TimePoint deadline_ = TimePoint::max();
    std::string out_;                     // bytes being written
    std::shared_ptr<Exchange> exchange_;  // the answer in progress
    std::shared_ptr<BodyQueue> body_;     // the upload in progress
    std::shared_ptr<WebSocketSession> web_socket_;
    bool watching_ = false;  // a read is pending only to notice the client's end
    bool client_gone_ = false, timed_out_ = false, closed_ = false, idle_ = false;
};

}  // namespace base::http
