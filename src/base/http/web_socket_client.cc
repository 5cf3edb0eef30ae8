#include "base/http/web_socket_client.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/url/parse.hpp>
#include <future>
#include <thread>

#include "base/http/message.h"
#include "base/http/web_socket_session.h"
#include "base/json/json.h"

namespace base::http {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

struct Target {
    std::string host, port, path;
    std::string authority() const {
        return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port)
                                                   : fmt::format("[{}]:{}", host, port);
    }
};

Result<Target> parse_target(const std::string& text) {
    const auto url = boost::urls::parse_uri(text);
    if (!url || url->encoded_host().empty()) {
        return fail_on("url", Code::invalid_argument,
                       "'{}' is no URL such as http://127.0.0.1:8080", text);
    }
    const std::string_view scheme(url->scheme().data(), url->scheme().size());
    if (equal_no_case(scheme, "https") || equal_no_case(scheme, "wss")) {
        return fail_on("url", Code::unimplemented,
                       "terminals go over http only; reach {} through a tunnel, such as ssh -L",
                       text);
    }
    if (!equal_no_case(scheme, "http") && !equal_no_case(scheme, "ws")) {
        return fail_on("url", Code::invalid_argument, "'{}' is no http URL", text);
    }
    Target target;
    target.host = url->host_address();
    target.port = url->has_port() ? std::string(url->port()) : "80";
    target.path = std::string(url->encoded_path());
    if (target.path.empty()) target.path = "/";
    if (url->has_query()) target.path += "?" + std::string(url->encoded_query());
    return target;
}

Code code_of(int status) {
    switch (status) {
        case 400:
            return Code::invalid_argument;
        case 401:
            return Code::unauthenticated;
        case 403:
            return Code::permission_denied;
        case 404:
            return Code::not_found;
        case 409:
            return Code::failed_precondition;
        case 429:
            return Code::resource_exhausted;
        default:
            return Code::unavailable;
    }
}

Error refusal(int status, const std::string& body) {
    std::string message;
    if (const auto parsed = parse_json(body); parsed && parsed->is_object()) {
        const json::value* error = parsed->get_object().if_contains("error");
        const json::value* words = error != nullptr && error->is_object()
                                       ? error->get_object().if_contains("message")
                                       : nullptr;
        if (words != nullptr && words->is_string()) message = std::string(words->get_string());
    }
    if (message.empty()) message = fmt::format("the server answered {} to a WebSocket", status);
    return {code_of(status), std::move(message), {}};
}

}  // namespace

struct WebSocketClient::Impl {
    Options options;
    Target target;
    std::shared_ptr<WebSocketEvents> events;
    asio::io_context context{1};
    tcp::socket socket{context};
    asio::steady_timer deadline{context};
    std::string protocol;
    std::promise<Result<void>> opened;

    asio::awaitable<Result<void>> connect();
    bool late = false;
    std::thread thread;

    asio::awaitable<void> work();
    asio::awaitable<Result<void>> open(WebSocketSession& session);
};

asio::awaitable<Result<void>> WebSocketClient::Impl::connect() {
    if (options.connected) {
        sockaddr_storage own{};
        socklen_t length = sizeof(own);
        ::getsockname(options.connected->get(), reinterpret_cast<sockaddr*>(&own), &length);
        ErrorCode refused;
        socket.assign(own.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(),
                      options.connected->release(), refused);
        if (!refused) co_return Result<void>();
        co_return fail(Code::unavailable, "the stream cannot be used: {}", refused.message());
    }
    tcp::resolver resolver(context);
    const auto [no_name, found] = co_await resolver.async_resolve(target.host, target.port, kAwait);
    if (no_name) {
        co_return fail_on("url", Code::unavailable, "{}: {}", target.host, no_name.message());
    }
    const auto [refused, endpoint] = co_await asio::async_connect(socket, found, kAwait);
    if (refused) {
        co_return fail_on("url", Code::unavailable, "{}: {}; is the server running?",
                          target.authority(), late ? "no connection in time" : refused.message());
    }
    co_return Result<void>();
}

asio::awaitable<Result<void>> WebSocketClient::Impl::open(WebSocketSession& session) {
    if (auto connected = co_await connect(); !connected) co_return connected;
    ErrorCode ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    session.stream().set_option(
        websocket::stream_base::decorator([this](websocket::request_type& request) {
            for (const auto& [name, value] : options.headers) request.set(name, value);
        }));
    websocket::response_type response;
    const std::string host = target.authority();
    const auto [error] =
        co_await session.stream().async_handshake(response, host, target.path, kAwait);
    if (!error) {
        protocol = response[boost::beast::http::field::sec_websocket_protocol];
        co_return Result<void>();
    }
    if (error == websocket::error::upgrade_declined) {
        co_return std::unexpected(
            refusal(static_cast<int>(response.result_int()), response.body()));
    }
    co_return fail_on("url", Code::unavailable, "{}: {}", target.authority(),
                      late ? "no answer in time" : error.message());
}

asio::awaitable<void> WebSocketClient::Impl::work() {
    const auto session = std::make_shared<WebSocketSession>(socket, options.socket, events);
    Result<void> result = co_await open(*session);
    deadline.cancel();
    const bool failed = !result;
    opened.set_value(std::move(result));
    if (failed) {
        session->fail("no connection");
        co_return;
    }
    co_await session->run(false);
    ErrorCode ignored;
    socket.close(ignored);
}

WebSocketClient::WebSocketClient(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

const std::string& WebSocketClient::protocol() const {
    return impl_->protocol;
}

WebSocketClient::~WebSocketClient() {
    asio::post(impl_->context, [impl = impl_.get()] {
        ErrorCode ignored;
        impl->socket.close(ignored);
    });
    impl_->thread.join();
}

Result<std::unique_ptr<WebSocketClient>> WebSocketClient::connect(
    const Options& options, std::shared_ptr<WebSocketEvents> events) {
    auto impl = std::make_unique<Impl>();
    impl->target = DG_TRY(parse_target(options.url));
    impl->options = options;
    impl->events = std::move(events);
    impl->deadline.expires_after(options.connect_timeout);
    impl->deadline.async_wait([raw = impl.get()](ErrorCode error) {
        if (error) return;
        raw->late = true;
        ErrorCode ignored;
        raw->socket.close(ignored);
    });
    asio::co_spawn(impl->context, impl->work(), asio::detached);
    auto opened = impl->opened.get_future();
    impl->thread = std::thread([raw = impl.get()] { raw->context.run(); });
    auto client = std::unique_ptr<WebSocketClient>(new WebSocketClient(std::move(impl)));
    DG_TRY(opened.get());
    return client;
}

}  // namespace base::http
