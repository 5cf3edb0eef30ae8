// A request's body, handed on while it comes.
#include <fmt/format.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/error.hpp>
#include <utility>

#include "base/http/parsed.h"

namespace base::http {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using ErrorCode = boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::size_t kPieceBytes = 64 * 1024;

Error explain_body(const ErrorCode& error, bool timed_out, std::uint64_t bytes_max) {
    if (timed_out) return {Code::cancelled, "the client stopped in the middle of the body", {}};
    if (error == http::error::body_limit) {
        return {Code::payload_too_large,
                fmt::format("the body is over the limit of {} bytes", bytes_max),
                {}};
    }
    if (error == http::error::partial_message || error == http::error::end_of_stream ||
        error.category() == asio::error::get_system_category()) {
        return {Code::cancelled, "the client left in the middle of the body", {}};
    }
    return {Code::invalid_argument,
            fmt::format("the body's framing is wrong: {}", error.message()),
            {}};
}

}  // namespace

asio::awaitable<bool> Connection::receive_body(Parsed& parsed,
                                               const std::shared_ptr<Exchange>& exchange) {
    const auto body = body_;
    http::request_parser<http::buffer_body> parser(std::move(parsed.parser));
    std::string piece(kPieceBytes, '\0');
    bool refused = false;
    while (!parser.is_done() && !closed_) {
        // An answer before the end, or a handler that dropped the body: the rest is not wanted.
        refused = body->abandoned() || exchange->answered();
        if (refused) break;
        if (!body->has_room()) {
            co_await signal_.async_wait(kAwait);
            continue;
        }
        auto& target = parser.get().body();
        target.data = piece.data();
        target.size = piece.size();
        target.more = true;
        set_deadline(shared_.options.limits.request_timeout);
        auto [error, unused] = co_await http::async_read_some(socket_, buffer_, parser, kAwait);
        clear_deadline();
        if (error == http::error::need_buffer) error = {};
        body->push(std::string_view(piece).substr(0, piece.size() - target.size));
        if (error) {
            body->end(explain_body(error, timed_out_, parsed.match.upload->bytes_max));
            const bool answerable = error == http::error::body_limit;
            timed_out_ = false;
            if (!answerable) client_gone_ = true;
            break;
        }
    }
    const bool complete = parser.is_done();
    if (closed_ || refused) {
        body->end(Error{Code::cancelled, "the rest of the body was not read", {}});
    } else if (complete) {
        body->end(std::nullopt);
    }
    body_.reset();
    co_return complete;
}

}  // namespace base::http
