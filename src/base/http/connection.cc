#include "base/http/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <exception>
#include <tuple>

#include "base/http/parsed.h"
#include "base/http/web_socket_session.h"

namespace base::http {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using ErrorCode = boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::size_t kPipelinedBytesMax = 64 * 1024;  // read ahead while an answer is in progress

Rejection explain(const ErrorCode& error, const ServerLimits& limits, bool start_line_complete) {
    namespace http = beast::http;
    if (error == http::error::body_limit) {
        return {413, fmt::format("the body is over the limit of {} bytes", limits.body_bytes_max)};
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        if (!start_line_complete) {
            return {414,
                    fmt::format("the URL is over the limit of {} bytes", limits.target_bytes_max)};
        }
        return {431,
                fmt::format("the headers are over the limit of {} bytes", limits.header_bytes_max)};
    }
    if (error == http::error::bad_version) return {505, "use HTTP/1.1 or HTTP/1.0"};
    return {400, fmt::format("this is not a valid HTTP/1.1 request: {}", error.message())};
}

std::string_view view(boost::core::string_view text) {
    return {text.data(), text.size()};
}

}  // namespace

Connection::Connection(asio::ip::tcp::socket socket, ServerShared& shared)
    : socket_(std::move(socket)),
      shared_(shared),
      signal_(socket_.get_executor()),
      tick_(socket_.get_executor()) {
    ErrorCode ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    const auto remote = socket_.remote_endpoint(ignored);
    if (!ignored) peer_ = fmt::format("{}:{}", remote.address().to_string(), remote.port());
    const ServerLimits& limits = shared_.options.limits;
    buffer_.max_size(
        std::max(limits.header_bytes_max + kPipelinedBytesMax, 2 * kPipelinedBytesMax));
    signal_.expires_at(TimePoint::max());
}

void Connection::set_deadline(std::chrono::milliseconds from_now) {
    deadline_ = std::chrono::steady_clock::now() + from_now;
}

asio::awaitable<void> Connection::watch_deadlines() {
    const auto self = shared_from_this();
    const ServerLimits& limits = shared_.options.limits;
    // Deadlines move with every read and write; looking at them now and then is cheaper than
    // arming a timer each time.
    const auto shortest =
        std::min({limits.request_timeout, limits.idle_timeout, limits.write_timeout});
    const auto pause =
        std::clamp(shortest / 4, std::chrono::milliseconds(5), std::chrono::milliseconds(1000));
    while (!closed_) {
        tick_.expires_after(pause);
        co_await tick_.async_wait(kAwait);
        if (std::chrono::steady_clock::now() < deadline_) continue;
        clear_deadline();
        timed_out_ = true;
        ErrorCode ignored;
        socket_.cancel(ignored);
    }
}

asio::awaitable<void> Connection::run() {
    const auto self = shared_from_this();
    while (co_await serve_one()) {
    }
    close_now();
}

asio::awaitable<void> Connection::refuse() {
    const auto self = shared_from_this();
    const Rejection full{503, fmt::format("{} connections are open, which is the limit; try again "
                                          "later",
                                          shared_.options.limits.connections_max)};
    co_await reject(full);
    close_now();
}

void Connection::close_when_idle() {
    if (idle_) {
        close_now();
    } else if (web_socket_) {
        web_socket_->close(close_code::kGoingAway, "the server stops");
    } else if (exchange_) {
        exchange_->forbid_keep_alive();
    }
}

void Connection::close_now() {
    if (closed_) return;
    closed_ = true;
    if (exchange_) exchange_->connection_lost();
    if (body_) body_->end(Error{Code::cancelled, "the client left in the middle of the body", {}});
    if (web_socket_) web_socket_->hold(false);
    ErrorCode ignored;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
    tick_.cancel();
    signal_.cancel();
}

asio::awaitable<bool> Connection::serve_one() {
    if (!co_await wait_for_first_byte()) co_return false;
    Parsed parsed;
    if (!co_await read_request(parsed)) co_return false;
    shared_.requests_total.fetch_add(1, std::memory_order_relaxed);
    exchange_ = make_exchange(parsed, parsed.request);
    const auto exchange = exchange_;
    dispatch(parsed, exchange);
    if (parsed.match.upload != nullptr && body_) {
        const bool received = co_await receive_body(parsed, exchange);
        if (!received) exchange->forbid_keep_alive();
    }
    const bool complete = co_await pump(parsed, exchange);
    exchange_.reset();
    if (complete && exchange->keep_alive() && !shared_.stopping && !client_gone_) co_return true;
    if (complete && !client_gone_) co_await linger();
    co_return false;
}

asio::awaitable<bool> Connection::wait_for_first_byte() {
    idle_ = buffer_.size() == 0;
    if (idle_ && shared_.stopping) co_return false;
    set_deadline(shared_.options.limits.idle_timeout);
    // A read started by watch_client() may still be pending. It serves as this one; only when the
    // next request is here already it must go, because that one gets its own reader.
    ErrorCode ignored;
    if (watching_ && buffer_.size() > 0) socket_.cancel(ignored);
    while (watching_) co_await signal_.async_wait(kAwait);
    if (buffer_.size() == 0 && !client_gone_ && !timed_out_ && !closed_) {
        const auto [error, bytes] =
            co_await socket_.async_read_some(buffer_.prepare(8 * 1024), kAwait);
        buffer_.commit(bytes);
    }
    idle_ = false;
    co_return buffer_.size() > 0 && !timed_out_ && !closed_;
}

// GCC 12 destroys temporaries of a co_await expression twice when one of them is conditional, so
// the coroutines here pass named values only.
asio::awaitable<bool> Connection::read_request(Parsed& parsed) {
    const ServerLimits& limits = shared_.options.limits;
    set_deadline(limits.request_timeout);
    auto& parser = parsed.parser;
    parser.header_limit(static_cast<std::uint32_t>(limits.header_bytes_max));
    parser.body_limit(boost::none);  // set once the route is known
    auto [error, unused] =
        co_await beast::http::async_read_header(socket_, buffer_, parser, kAwait);
    std::optional<Rejection> fault;
    if (!error) {
        fault = check_head(parsed);
        if (!fault) fault = fill_request(parsed);
        if (!fault) fault = route_request(parsed);
        if (!fault && expects_continue(parsed)) co_await write_all(kContinue);
        set_deadline(limits.request_timeout);
        if (!fault && !parser.is_done() && parsed.match.upload == nullptr) {
            std::tie(error, unused) =
                co_await beast::http::async_read(socket_, buffer_, parser, kAwait);
        }
    }
    clear_deadline();
    if (timed_out_) {
        fault = Rejection{408, fmt::format("the request was not complete after {} ms",
                                           limits.request_timeout.count())};
    } else if (error) {
        const bool hung_up = error == beast::http::error::end_of_stream ||
                             error == beast::http::error::partial_message ||
                             error.category() == asio::error::get_system_category();
        if (hung_up) co_return false;
        fault = explain(error, limits, !parser.get().target().empty());
    }
    if (!fault) {
        if (parsed.match.upload == nullptr) {
            parsed.request.body = std::move(parser.get().body());
        }
        co_return true;
    }
    co_await reject(*fault);
    co_return false;
}

/// What the head alone tells, before the body is read.
std::optional<Rejection> Connection::check_head(const Parsed& parsed) const {
    const auto& message = parsed.parser.get();
    const std::size_t target_max = shared_.options.limits.target_bytes_max;
    if (message.target().size() > target_max) {
        return Rejection{414, fmt::format("the URL is {} bytes long, over the limit of {}",
                                          message.target().size(), target_max)};
    }
    if (const auto coding = view(message[beast::http::field::transfer_encoding]);
        !coding.empty() && !equal_no_case(coding, "chunked")) {
        return Rejection{
            501, fmt::format("Transfer-Encoding '{}' is not supported; use chunked", coding)};
    }
    if (const auto expected = view(message[beast::http::field::expect]);
        !expected.empty() && !equal_no_case(expected, "100-continue")) {
        return Rejection{417, fmt::format("cannot meet the expectation '{}'", expected)};
    }
    return std::nullopt;
}

bool Connection::expects_continue(const Parsed& parsed) const {
    const bool asked = !parsed.parser.get()[beast::http::field::expect].empty();
    return asked && !parsed.parser.is_done() && buffer_.size() == 0;
}

/// Moves the head into our own type.
std::optional<Rejection> Connection::fill_request(Parsed& parsed) const {
    auto& message = parsed.parser.get();
    Request& request = parsed.request;
    request.method = std::string(view(message.method_string()));
    for (const auto& field : message) {
        request.headers.add(std::string(view(field.name_string())),
                            std::string(view(field.value())));
    }
    request.peer = peer_;
    request.arrived = shared_.clock.now();
    std::string_view url = view(message.target());
    if (const std::size_t scheme = url.find("://"); scheme < url.find('/')) {
        const std::size_t path = url.find('/', scheme + 3);
        url = path == std::string_view::npos ? "/" : url.substr(path);
    }
    url = url.substr(0, url.find('#'));
    const std::size_t question = url.find('?');
    if (question != std::string_view::npos) request.query = std::string(url.substr(question + 1));
    auto path = percent_decode(url.substr(0, question));
    if (!path) return Rejection{400, "the URL is wrong: " + path.error().message};
    if (!path->starts_with('/') && *path != "*") {
        return Rejection{400, "the URL's path must start with '/'"};
    }
    // Two hosts would let a proxy and this server read different ones (RFC 9112 section 3.2).
    const auto hosts = message.count(beast::http::field::host);
    if (hosts > 1 || (hosts == 0 && message.version() >= 11)) {
        return Rejection{400, fmt::format("HTTP/1.1 needs one Host header, not {}", hosts)};
    }
    request.path = std::move(*path);
    return std::nullopt;
}

std::optional<Rejection> Connection::route_request(Parsed& parsed) const {
    parsed.foreign = refuse_foreign_site(parsed.request, shared_.sites);
    parsed.match = shared_.router.match(parsed.request.method, parsed.request.path);
    if (parsed.foreign) parsed.match.upload = nullptr;
    const std::uint64_t bytes_max = parsed.match.upload != nullptr
                                        ? parsed.match.upload->bytes_max
                                        : shared_.options.limits.body_bytes_max;
    const auto length = parsed.parser.content_length();
    if (length && *length > bytes_max) {
        return Rejection{
            413, fmt::format("the body has {} bytes, over the limit of {}", *length, bytes_max)};
    }
    parsed.parser.body_limit(bytes_max);
    return std::nullopt;
}

Response Connection::render_error(int status, std::string_view message) const {
    if (shared_.options.render_error) return shared_.options.render_error(status, message);
    std::string body = R"({"error":{"message":")";
    for (const char c : message) {
        if (c == '"' || c == '\\') body += '\\';
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) body += c;
    }
    body += fmt::format(R"(","type":"invalid_request_error","param":null,"code":"http_{}"}}}})",
                        status);
    return text_response(status, "application/json", std::move(body));
}

asio::awaitable<void> Connection::reject(const Rejection& why) {
    timed_out_ = false;
    ExchangeOptions options;
    options.keep_alive = false;
    options.server_name = shared_.options.server_name;
    options.unix_ns = shared_.clock.unix_ns();
    Exchange answer(std::move(options), nullptr);
    answer.send(render_error(why.status, why.message));
    const auto output = answer.take(out_);
    if (co_await write_all(out_) && co_await write_all(output.tail)) co_await linger();
}

asio::awaitable<bool> Connection::write_all(std::string_view bytes) {
    while (!bytes.empty()) {
        set_deadline(shared_.options.limits.write_timeout);
        const auto [error, written] =
            co_await socket_.async_write_some(asio::buffer(bytes.data(), bytes.size()), kAwait);
        if (error) {
            client_gone_ = true;
            co_return false;
        }
        bytes.remove_prefix(written);
    }
    clear_deadline();
    co_return true;
}

/// Closing with unread bytes makes the kernel send RST, which can destroy the answer on its way. So
/// say that we are done, then read what the client still sends for a moment.
asio::awaitable<void> Connection::linger() {
    if (watching_ || closed_) co_return;
    ErrorCode error;
    socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
    set_deadline(std::min(std::chrono::milliseconds(1000), shared_.options.limits.write_timeout));
    const TimePoint give_up = deadline_;
    std::array<char, 4 * 1024> sink;
    while (!error && std::chrono::steady_clock::now() < give_up) {
        std::tie(error, std::ignore) = co_await socket_.async_read_some(asio::buffer(sink), kAwait);
    }
}

std::shared_ptr<Exchange> Connection::make_exchange(const Parsed& parsed, const Request& request) {
    const auto& message = parsed.parser.get();
    ExchangeOptions options;
    options.head_only = request.method == "HEAD";
    options.chunked = message.version() >= 11;
    options.keep_alive = message.keep_alive() && !shared_.stopping;
    options.web_socket = boost::beast::websocket::is_upgrade(message);
    options.buffer_bytes_max = shared_.options.limits.stream_buffer_bytes;
    options.server_name = shared_.options.server_name;
    options.unix_ns = shared_.clock.unix_ns();
    const auto& origins = shared_.options.cors_origins;
    const std::string_view origin = request.headers.get("Origin");
    const bool any = std::ranges::find(origins, "*") != origins.end();
    if (!origin.empty() && (any || std::ranges::find(origins, origin) != origins.end())) {
        options.extra_headers.add("Access-Control-Allow-Origin", any ? "*" : std::string(origin));
        options.extra_headers.add("Access-Control-Expose-Headers", "x-request-id, traceparent");
        if (!any) options.extra_headers.add("Vary", "Origin");
    }
    return std::make_shared<Exchange>(std::move(options), waker());
}

/// Has run() look again, from any thread.
std::function<void()> Connection::waker() {
    return [weak = weak_from_this(), executor = socket_.get_executor()] {
        asio::post(executor, [weak] {
            if (const auto self = weak.lock()) self->signal_.cancel();
        });
    };
}

void Connection::dispatch(Parsed& parsed, const std::shared_ptr<Exchange>& exchange) {
    if (parsed.foreign) return exchange->send(render_error(403, *parsed.foreign));
    Request& request = parsed.request;
    Router::Match& match = parsed.match;
    const Handler* handler = match.handler;
    if (handler == nullptr && match.route.empty()) handler = shared_.router.fallback();
    if (request.method == "OPTIONS" && match.handler == nullptr && match.upload == nullptr) {
        Response response;
        response.status = 204;
        if (match.allowed.empty()) match.allowed = "GET, HEAD, OPTIONS";
        if (!shared_.options.cors_origins.empty() && request.headers.has("Origin")) {
            response.headers.add("Access-Control-Allow-Methods", match.allowed);
            response.headers.add(
                "Access-Control-Allow-Headers",
                std::string(request.headers.get("Access-Control-Request-Headers")));
            response.headers.add("Access-Control-Max-Age", "600");
        }
        response.headers.add("Allow", std::move(match.allowed));
        return exchange->send(std::move(response));
    }
    if (handler == nullptr && match.upload == nullptr) {
        const bool wrong_method = !match.allowed.empty();
        Response response =
            render_error(wrong_method ? 405 : 404,
                         wrong_method ? fmt::format("{} does not answer {}; it answers {}",
                                                    request.path, request.method, match.allowed)
                                      : fmt::format("there is nothing at {}", request.path));
        if (wrong_method) response.headers.add("Allow", std::move(match.allowed));
        return exchange->send(std::move(response));
    }
    request.route = std::move(match.route);
    request.params = std::move(match.params);
    // Handlers report errors as values; what still throws is a library out of memory. It unwinds
    // the responder, which answers 500, and must not take the connection's coroutine along.
    try {
        if (match.upload != nullptr) {
            body_ = std::make_shared<BodyQueue>(waker());
            match.upload->handler(request, make_body(body_), make_responder(exchange));
        } else {
            (*handler)(request, make_responder(exchange));
        }
    } catch (const std::exception&) {
        exchange->abandon();
    }
}

/// Moves bytes from the exchange to the socket until the answer is complete. False: it never was.
asio::awaitable<bool> Connection::pump(Parsed& parsed, const std::shared_ptr<Exchange>& exchange) {
    while (!closed_) {
        Exchange::Output output = exchange->take(out_);
        if (output.broken) break;
        if (output.web_socket) {
            exchange->finish();
            co_await serve_web_socket(parsed, *output.web_socket);
            co_return false;
        }
        const bool idle = out_.empty() && output.tail.empty();
        if (!co_await write_all(out_) || !co_await write_all(output.tail)) break;
        if (output.finished) {
            exchange->finish();
            co_return true;
        }
        if (client_gone_) break;
        if (!idle) continue;  // more may have come while these bytes left
        watch_client();
        co_await signal_.async_wait(kAwait);
    }
    exchange->connection_lost();
    co_return false;
}

/// Keeps a read pending while the answer is being made: it is how a closed connection is noticed.
/// What it reads is the next, pipelined request and stays in buffer_.
void Connection::watch_client() {
    if (watching_ || client_gone_ || closed_ || buffer_.size() >= kPipelinedBytesMax) return;
    watching_ = true;
    socket_.async_read_some(buffer_.prepare(4 * 1024),
                            [self = shared_from_this()](ErrorCode error, std::size_t bytes) {
                                self->watching_ = false;
                                self->buffer_.commit(bytes);
                                if (error && error != asio::error::operation_aborted) {
                                    self->client_gone_ = true;
                                }
                                self->signal_.cancel();
                            });
}

}  // namespace base::http
