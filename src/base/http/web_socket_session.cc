#include "base/http/web_socket_session.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <optional>
#include <utility>

namespace base::http {
namespace {

namespace asio = boost::asio;
namespace websocket = boost::beast::websocket;
using ErrorCode = boost::system::error_code;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

class Handle final : public WebSocket {
public:
    explicit Handle(std::shared_ptr<WebSocketSession> session) : session_(std::move(session)) {}
    ~Handle() override { session_->close(close_code::kGoingAway, ""); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    bool send(MessageKind kind, std::string_view message) override {
        return session_->send(kind, message);
    }
    void close(std::uint16_t code, std::string_view reason) override {
        session_->close(code, reason);
    }
    void hold() override { session_->hold(true); }
    void go_on() override { session_->hold(false); }

private:
    std::shared_ptr<WebSocketSession> session_;
};

}  // namespace

WebSocketPtr make_web_socket(std::shared_ptr<WebSocketSession> session) {
    return std::make_shared<Handle>(std::move(session));
}

WebSocketSession::WebSocketSession(asio::ip::tcp::socket& socket, const WebSocketOptions& options,
                                   std::shared_ptr<WebSocketEvents> events)
    : stream_(socket),
      read_signal_(socket.get_executor()),
      write_signal_(socket.get_executor()),
      buffer_bytes_max_(options.buffer_bytes_max),
      events_(std::move(events)) {
    stream_.read_message_max(options.message_bytes_max);
    stream_.set_option(
        websocket::stream_base::timeout{options.handshake_timeout, options.idle_timeout, true});
    read_signal_.expires_at(std::chrono::steady_clock::time_point::max());
    write_signal_.expires_at(std::chrono::steady_clock::time_point::max());
}

void WebSocketSession::fail(std::string_view why) {
    const auto events = std::exchange(events_, nullptr);
    if (events) events->on_close(close_code::kLost, why);
}

asio::awaitable<void> WebSocketSession::run(bool as_server) {
    const auto self = shared_from_this();
    stream_.auto_fragment(as_server);  // a large message does not hold up the pong in between
    {
        const std::lock_guard lock(mutex_);
        wake_ = [weak = weak_from_this(), executor = read_signal_.get_executor()] {
            asio::post(executor, [weak] {
                if (const auto session = weak.lock()) {
                    session->read_signal_.cancel();
                    session->write_signal_.cancel();
                }
            });
        };
    }
    events_->on_open(make_web_socket(self));
    asio::co_spawn(stream_.get_executor(), write_messages(), asio::detached);
    co_await read_messages();
    {
        const std::lock_guard lock(mutex_);
        over_ = true;
        wake_ = nullptr;
    }
    write_signal_.cancel();
    while (!writer_done_) co_await read_signal_.async_wait(kAwait);
    const Close why = stream_.reason();
    const std::uint16_t code =
        why.code == websocket::close_code::none ? close_code::kLost : std::uint16_t(why.code);
    const auto events = std::exchange(events_, nullptr);
    events->on_close(code, {why.reason.data(), why.reason.size()});
}

asio::awaitable<void> WebSocketSession::read_messages() {
    for (;;) {
        const auto [error, bytes] = co_await stream_.async_read(buffer_, kAwait);
        if (error) co_return;
        const MessageKind kind = stream_.got_text() ? MessageKind::text : MessageKind::binary;
        events_->on_message(kind,
                            {static_cast<const char*>(buffer_.data().data()), buffer_.size()});
        buffer_.consume(buffer_.size());
        while (held()) co_await read_signal_.async_wait(kAwait);
    }
}

asio::awaitable<void> WebSocketSession::write_messages() {
    const auto self = shared_from_this();
    for (;;) {
        const Work work = take();
        if (work.over) break;
        if (work.drained) {
            events_->on_drained();
            continue;
        }
        ErrorCode error;
        if (work.message) {
            stream_.text(work.message->kind == MessageKind::text);
            const auto bytes = asio::buffer(work.message->text);
            std::tie(error, std::ignore) = co_await stream_.async_write(bytes, kAwait);
        } else if (work.close) {
            std::tie(error) = co_await stream_.async_close(*work.close, kAwait);
            break;
        } else {
            co_await write_signal_.async_wait(kAwait);
        }
        if (error) break;
    }
    {
        const std::lock_guard lock(mutex_);
        over_ = true;
        queue_.clear();
    }
    writer_done_ = true;
    read_signal_.cancel();
}

WebSocketSession::Work WebSocketSession::take() {
    const std::lock_guard lock(mutex_);
    Work work;
    work.over = over_;
    if (over_) return work;
    if (!queue_.empty()) {
        work.message = std::move(queue_.front());
        queue_.pop_front();
        queued_bytes_ -= work.message->text.size();
    } else if (close_) {
        work.close = close_;
    } else {
        work.drained = std::exchange(wants_drained_, false);
    }
    return work;
}

void WebSocketSession::wake_locked() {
    if (wake_) wake_();
}

bool WebSocketSession::send(MessageKind kind, std::string_view message) {
    const std::lock_guard lock(mutex_);
    if (over_ || close_) return false;
    if (queued_bytes_ + message.size() > buffer_bytes_max_) {
        wants_drained_ = true;
        return false;
    }
    queue_.push_back({kind, std::string(message)});
    queued_bytes_ += message.size();
    wake_locked();
    return true;
}

void WebSocketSession::close(std::uint16_t code, std::string_view reason) {
    const std::lock_guard lock(mutex_);
    if (over_ || close_) return;
    constexpr std::size_t kReasonBytesMax = 123;
    reason = reason.substr(0, kReasonBytesMax);
    close_ = Close(static_cast<websocket::close_code>(code),
                   boost::beast::string_view(reason.data(), reason.size()));
    held_ = false;
    wake_locked();
}

void WebSocketSession::hold(bool held) {
    const std::lock_guard lock(mutex_);
    held_ = held && !close_;
    wake_locked();
}

bool WebSocketSession::held() const {
    const std::lock_guard lock(mutex_);
    return held_ && !over_;
}

}  // namespace base::http
