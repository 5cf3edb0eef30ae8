#include "sphere/http/port_web_socket.h"

#include <fmt/format.h>

#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include "base/http/web_socket_client.h"

namespace sphere {
namespace {

using base::Result;
using base::http::MessageKind;
using base::http::WebSocketClient;
using base::http::WebSocketEvents;
using base::http::WebSocketPtr;
namespace close_code = base::http::close_code;

constexpr std::size_t kMessageBytesMax = 16u << 20, kBufferBytesMax = 16u << 20;

base::http::WebSocketOptions options() {
    base::http::WebSocketOptions options;
    options.message_bytes_max = kMessageBytesMax;
    options.buffer_bytes_max = kBufferBytesMax;
    return options;
}

/// What may be sent on after a close came in: codes that are only told are not.
std::uint16_t passed_on(std::uint16_t code) {
    const bool own = code >= 3000 && code < 5000;
    const bool plain = code >= close_code::kNormal && code <= close_code::kNotAccepted;
    return own || plain || code == close_code::kPolicy || code == close_code::kInternal
               ? code
               : close_code::kGoingAway;
}

}  // namespace

/// Two sockets back to back. Each is closed with what the other was closed with.
class PortWebSockets::Relay : public std::enable_shared_from_this<Relay> {
public:
    enum Side : std::size_t { client = 0, program = 1 };

    Relay(std::shared_ptr<PortWebSockets> all, std::uint64_t number)
        : all_(std::move(all)), number_(number) {}
    ~Relay() { all_->set_over(number_); }
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    void keep(std::unique_ptr<WebSocketClient> to_program) {
        {
            const std::lock_guard lock(all_->mutex_);
            const auto at = all_->entries_.find(number_);
            if (at != all_->entries_.end()) at->second.to_program = std::move(to_program);
        }
        // Both may have closed before it was known.
        const std::lock_guard lock(mutex_);
        if (ends_[client].closed && ends_[program].closed) all_->set_over(number_);
    }

    std::shared_ptr<WebSocketEvents> ear(Side side) {
        return std::make_shared<Ear>(shared_from_this(), side);
    }

private:
    struct End {
        WebSocketPtr socket;
        std::optional<std::pair<MessageKind, std::string>> waiting;  ///< for room to be sent here
        std::optional<std::pair<std::uint16_t, std::string>> closing;
        bool closed = false;
    };

    class Ear final : public WebSocketEvents {
    public:
        Ear(std::shared_ptr<Relay> relay, Side side) : relay_(std::move(relay)), side_(side) {}
        void on_open(const WebSocketPtr& socket) override { relay_->opened(side_, socket); }
        void on_message(MessageKind kind, std::string_view message) override {
            relay_->message(side_, kind, message);
        }
        void on_drained() override { relay_->drained(side_); }
        void on_close(std::uint16_t code, std::string_view reason) override {
            relay_->closed(side_, code, reason);
        }

    private:
        const std::shared_ptr<Relay> relay_;
        const Side side_;
    };

    static Side other(Side side) { return side == client ? program : client; }

    void opened(Side side, const WebSocketPtr& socket) {
        const std::lock_guard lock(mutex_);
        ends_[side].socket = socket;
        // The program may speak before the client is there.
        if (side == program && !ends_[client].socket) return socket->hold();
        go_on_locked(side);
    }

    void message(Side side, MessageKind kind, std::string_view message) {
        const std::lock_guard lock(mutex_);
        End& to = ends_[other(side)];
        if (to.closed || (to.socket && to.socket->send(kind, message))) return;
        to.waiting.emplace(kind, std::string(message));
        if (ends_[side].socket) ends_[side].socket->hold();  // no further one comes meanwhile
    }

    void drained(Side side) {
        const std::lock_guard lock(mutex_);
        go_on_locked(side);
    }

    /// There is room at `side`: what waits goes, and its source may go on.
    void go_on_locked(Side side) {
        End& to = ends_[side];
        if (!to.socket) return;
        if (to.waiting && !to.socket->send(to.waiting->first, to.waiting->second)) return;
        to.waiting.reset();
        if (to.closing) return to.socket->close(to.closing->first, to.closing->second);
        if (const End& from = ends_[other(side)]; from.socket) from.socket->go_on();
    }

    void closed(Side side, std::uint16_t code, std::string_view reason) {
        WebSocketPtr own;  // its end is not for under the lock
        bool over = false;
        {
            const std::lock_guard lock(mutex_);
            ends_[side].closed = true;
            ends_[side].waiting.reset();
            own = std::move(ends_[side].socket);
            End& end = ends_[other(side)];
            end.closing.emplace(passed_on(code), std::string(reason));
            if (!end.waiting && end.socket) end.socket->close(end.closing->first, reason);
            if (ends_[client].closed && ends_[program].closed) over = true;
        }
        if (over) all_->set_over(number_);
    }

    const std::shared_ptr<PortWebSockets> all_;
    const std::uint64_t number_;
    std::mutex mutex_;  // guards the rest
    End ends_[2];
};

bool wants_web_socket(const base::http::Request& request) {
    return base::http::list_has_token(request.headers.get("Connection"), "upgrade") &&
           base::http::equal_no_case(request.headers.get("Upgrade"), "websocket");
}

PortWebSockets::PortWebSockets(std::size_t open_max) : open_max_(open_max) {}
PortWebSockets::~PortWebSockets() = default;

Result<std::uint64_t> PortWebSockets::begin() {
    std::map<std::uint64_t, Entry> over;
    const std::lock_guard lock(mutex_);
    for (auto at = entries_.begin(); at != entries_.end();) {
        const auto next = std::next(at);
        if (at->second.over) over.insert(entries_.extract(at));
        at = next;
    }
    if (entries_.size() >= open_max_) {
        return base::fail(base::Code::resource_exhausted,
                          "{} WebSockets to sandboxes are open, which is the limit; close one",
                          entries_.size());
    }
    entries_[next_];
    return next_++;
}

void PortWebSockets::set_over(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    const auto at = entries_.find(number);
    if (at == entries_.end()) return;
    if (at->second.to_program == nullptr) {
        entries_.erase(at);
    } else {
        at->second.over = true;
    }
}

void PortWebSockets::stop() {
    std::map<std::uint64_t, Entry> all;
    {
        const std::lock_guard lock(mutex_);
        all.swap(entries_);
    }
}

Result<void> PortWebSockets::relay(base::UniqueFd socket, const PortRequest& where,
                                   const base::http::Request& request,
                                   const base::http::ResponderPtr& responder) {
    const auto pair = std::make_shared<Relay>(shared_from_this(), DG_TRY(begin()));
    WebSocketClient::Options to;
    to.url = fmt::format("http://localhost:{}{}", where.port, where.target);
    to.socket = options();
    to.connected = std::make_shared<base::UniqueFd>(std::move(socket));
    const auto of_the_handshake = [](std::string_view name) {
        return base::http::equal_no_case(name.substr(0, 14), "Sec-WebSocket-") &&
               !base::http::equal_no_case(name, "Sec-WebSocket-Protocol");
    };
    const base::http::Headers headers = port_request_headers(request);
    for (const auto& [name, value] : headers.fields()) {
        if (!of_the_handshake(name)) to.headers.emplace_back(name, value);
    }
    auto client = DG_TRY(WebSocketClient::connect(to, pair->ear(Relay::program)));
    base::http::WebSocketOptions ours = options();
    ours.protocol = client->protocol();
    pair->keep(std::move(client));
    responder->accept_web_socket(ours, pair->ear(Relay::client));
    return {};
}

}  // namespace sphere
