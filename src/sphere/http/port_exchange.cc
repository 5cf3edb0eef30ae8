#include "sphere/http/port_exchange.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "sphere/net/http_head.h"

namespace sphere {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::http::equal_no_case;
using base::http::Headers;

constexpr std::size_t kPieceBytes = 64 * 1024;

bool one_of(std::string_view name, std::initializer_list<std::string_view> names) {
    return std::ranges::any_of(names, [&](auto each) { return equal_no_case(each, name); });
}

/// Of one connection only, or what is between the client and this server.
bool stays_here(std::string_view name) {
    return one_of(name,
                  {"Host", "Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "TE",
                   "Transfer-Encoding", "Content-Length", "Expect", "Cookie", "Authorization"}) ||
           (name.size() > 10 && equal_no_case(name.substr(0, 10), "X-Dougong-"));
}

/// What a stranger's page may not say in this server's name.
bool stays_inside(std::string_view name) {
    return one_of(name, {"Connection", "Keep-Alive", "Transfer-Encoding", "Content-Length",
                         "Upgrade", "Trailer", "Set-Cookie", "Service-Worker-Allowed",
                         "Clear-Site-Data", "Strict-Transport-Security", "Date", "Server"});
}

/// Bytes on their way to a client that may be slow: one piece at a time.
class Delivery {
public:
    explicit Delivery(base::http::ResponderPtr responder) : responder_(std::move(responder)) {}

    void fill(std::string& out) {
        bool over = false;
        {
            const std::lock_guard lock(mutex_);
            out += piece_;
            piece_.clear();
            over = over_;
        }
        taken_.notify_all();
        if (over) responder_->end();
    }
    void client_left() {
        {
            const std::lock_guard lock(mutex_);
            left_ = true;
        }
        taken_.notify_all();
    }
    /// False when the client has left.
    bool give(std::string bytes) {
        std::unique_lock lock(mutex_);
        taken_.wait(lock, [&] { return piece_.empty() || left_; });
        if (left_) return false;
        piece_ = std::move(bytes);
        lock.unlock();
        responder_->notify();
        return true;
    }
    void end() {
        {
            const std::lock_guard lock(mutex_);
            over_ = true;
        }
        responder_->notify();
    }

private:
    const base::http::ResponderPtr responder_;
    std::mutex mutex_;  // guards the rest; no calls out under it
    std::condition_variable taken_;
    std::string piece_;
    bool over_ = false, left_ = false;
};

class PortStream {
public:
    PortStream(int socket, std::chrono::milliseconds silence_max)
        : socket_(socket), silence_ms_(static_cast<int>(silence_max.count())) {}

    bool wait(short events) const {
        pollfd ready{socket_, events, 0};
        return ::poll(&ready, 1, silence_ms_) == 1;
    }
    bool send_all(std::string_view bytes) const {
        while (!bytes.empty()) {
            const ssize_t put = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (put > 0) bytes.remove_prefix(static_cast<std::size_t>(put));
            if (put < 0 && errno != EAGAIN && errno != EINTR) return false;
            if (put < 0 && !wait(POLLOUT)) return false;
        }
        return true;
    }
    /// Appends what comes next; false at the end, or when nothing came for too long.
    bool receive(std::string& in) const {
        std::vector<char> piece(kPieceBytes);
        for (;;) {
            const ssize_t got = ::recv(socket_, piece.data(), piece.size(), 0);
            if (got > 0) in.append(piece.data(), static_cast<std::size_t>(got));
            if (got >= 0) return got > 0;
            if (errno != EAGAIN && errno != EINTR) return false;
            if (!wait(POLLIN)) return false;
        }
    }
    /// Nothing more comes from the program.
    bool ended() const {
        pollfd ready{socket_, POLLIN, 0};
        return ::poll(&ready, 1, 0) == 1;  // at the end, or broken: a read did not wait
    }

private:
    const int socket_, silence_ms_;
};

std::string request_head(const PortRequest& where, const base::http::Request& request,
                         bool has_body) {
    std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: localhost:{}\r\n", request.method,
                                   where.target, where.port);
    Headers headers = port_request_headers(request);
    const std::string_view length = request.headers.get("Content-Length");
    const bool chunked = has_body && !request.headers.get("Transfer-Encoding").empty();
    if (chunked) {
        headers.add("Transfer-Encoding", "chunked");
    } else if (has_body) {
        headers.add("Content-Length", length.empty() ? "0" : std::string(length));
    }
    headers.add("Connection", "close");
    net::append_headers(text, headers);
    return text;
}

/// Passes a request's body on while the answer is awaited. Its end waits for the client, whose
/// silence the server bounds.
class BodyPump {
public:
    BodyPump(int socket, const PortStream& stream, base::http::RequestBodyPtr body, bool chunked)
        : socket_(socket), stream_(stream), body_(std::move(body)), chunked_(chunked) {
        if (body_) thread_ = std::thread([this] { run(); });
    }
    ~BodyPump() { static_cast<void>(finish()); }
    BodyPump(const BodyPump&) = delete;
    BodyPump& operator=(const BodyPump&) = delete;

    bool runs() const { return runs_; }
    /// Nothing more goes to the program. Errors: why the body did not come whole.
    Result<void> finish() {
        if (thread_.joinable()) {
            ::shutdown(socket_, SHUT_WR);
            thread_.join();
        }
        return outcome_;
    }

private:
    void run() {
        for (bool last = false; !last;) {
            auto piece = body_->next();
            if (!piece) {
                outcome_ = std::unexpected(std::move(piece).error());
                ::shutdown(socket_, SHUT_RDWR);  // the program shall not take it for the whole
                break;
            }
            last = piece->empty();
            if (chunked_) *piece = fmt::format("{:x}\r\n{}\r\n", piece->size(), *piece);
            if (!stream_.send_all(*piece)) break;  // it may have answered all the same
        }
        body_.reset();
        runs_ = false;
    }

    const int socket_;
    const PortStream& stream_;
    base::http::RequestBodyPtr body_;
    const bool chunked_;
    Result<void> outcome_;
    std::atomic<bool> runs_ = true;
    std::thread thread_;
};

Headers answer_headers(const net::ResponseHead& head) {
    Headers headers;
    for (const auto& [name, value] : head.headers.fields()) {
        if (!stays_inside(name)) headers.add(name, value);
    }
    headers.add("Content-Security-Policy", "sandbox allow-scripts allow-forms allow-popups");
    headers.set("X-Content-Type-Options", "nosniff");
    return headers;
}

}  // namespace

Headers port_request_headers(const base::http::Request& request) {
    Headers headers;
    for (const auto& [name, value] : request.headers.fields()) {
        if (!stays_here(name)) headers.add(name, value);
    }
    return headers;
}

Result<void> exchange_with_port(base::UniqueFd socket, const PortRequest& where,
                                const base::http::Request& request,
                                const base::http::RequestBodyPtr& body_in,
                                const base::http::ResponderPtr& responder) {
    const auto shared = std::make_shared<base::UniqueFd>(std::move(socket));
    const auto delivery = std::make_shared<Delivery>(responder);
    const PortStream stream(shared->get(), where.silence_max);
    responder->on_closed([shared, delivery] {
        ::shutdown(shared->get(), SHUT_RDWR);
        delivery->client_left();
    });
    if (!stream.send_all(request_head(where, request, body_in != nullptr))) {
        return fail(Code::unavailable, "the program at port {} does not take the request",
                    where.port);
    }
    BodyPump pump(shared->get(), stream, body_in,
                  !request.headers.get("Transfer-Encoding").empty());
    std::string in;
    std::optional<net::ResponseHead> head;
    while (!head || head->status < 200) {
        std::size_t used = 0;
        auto parsed = net::parse_response_head(in, request.method, used);
        if (!parsed) return std::unexpected(std::move(parsed).error());
        head = std::move(*parsed);
        in.erase(0, used);
        // While it takes a body it has time.
        while (!head && !stream.receive(in)) {
            if (body_in && pump.runs() && !stream.ended()) continue;
            DG_TRY(pump.finish());
            return fail(Code::unavailable, "the program at port {} ended without an answer",
                        where.port);
        }
    }
    net::BodyReader body(head->framing);
    if (body.done()) {
        responder->send({head->status, answer_headers(*head), "", std::nullopt});
        return {};
    }
    responder->set_source([delivery](std::string& out) { delivery->fill(out); });
    responder->begin_stream(head->status, answer_headers(*head));
    for (;;) {
        std::string payload;
        const auto took = body.take(in, &payload);
        in.clear();
        if (!payload.empty() && !delivery->give(std::move(payload))) return {};
        if (!took || body.done() || !stream.receive(in)) break;
    }
    delivery->end();
    return {};
}

}  // namespace sphere
