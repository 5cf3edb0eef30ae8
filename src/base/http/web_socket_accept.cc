// The server's side of a WebSocket's opening.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/websocket.hpp>

#include "base/http/parsed.h"
#include "base/http/web_socket_session.h"

namespace base::http {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

}  // namespace

asio::awaitable<void> Connection::serve_web_socket(Parsed& parsed, AcceptedWebSocket& accepted) {
    // The read that watches for the client's end must not take its first frames.
    boost::system::error_code ignored;
    if (watching_) socket_.cancel(ignored);
    while (watching_) co_await signal_.async_wait(kAwait);
    const auto session =
        std::make_shared<WebSocketSession>(socket_, accepted.options, std::move(accepted.events));
    if (client_gone_ || closed_) {
        session->fail("the client has left");
        co_return;
    }
    if (buffer_.size() != 0) {  // a client waits for our word before it sends a frame
        session->fail("the client sent frames before the handshake was over");
        co_return;
    }
    const std::string server = shared_.options.server_name;
    const std::string protocol = accepted.options.protocol;
    session->stream().set_option(
        websocket::stream_base::decorator([server, protocol](websocket::response_type& response) {
            response.set(boost::beast::http::field::server, server);
            if (!protocol.empty()) {
                response.set(boost::beast::http::field::sec_websocket_protocol, protocol);
            }
        }));
    const auto [error] = co_await session->stream().async_accept(parsed.parser.get(), kAwait);
    if (error) {
        session->fail(error.message());
        co_return;
    }
    web_socket_ = session;
    if (shared_.stopping) session->close(close_code::kGoingAway, "the server stops");
    co_await session->run(true);
    web_socket_.reset();
}

}  // namespace base::http
