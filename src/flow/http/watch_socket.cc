#include "flow/http/watch_socket.h"

#include <fmt/format.h>

#include <algorithm>

namespace flow {

namespace close_code = base::http::close_code;
using base::http::MessageKind;
using base::http::WebSocketPtr;

namespace {

constexpr std::chrono::seconds kPatience{30};  // for a reader of the past, as for any slow write
constexpr base::http::WebSocketOptions kOptions{.message_bytes_max = 4'096,
                                                .buffer_bytes_max = 1024 * 1024,
                                                .idle_timeout = std::chrono::seconds(60)};

/// What follows `name` on its line.
std::string_view field(std::string_view frame, std::string_view name) {
    while (!frame.empty()) {
        const std::size_t end = std::min(frame.find('\n'), frame.size());
        const std::string_view line = frame.substr(0, end);
        if (line.starts_with(name)) return line.substr(name.size());
        frame.remove_prefix(std::min(end + 1, frame.size()));
    }
    return {};
}

}  // namespace

std::string message_of(std::string_view frame, std::string& id, std::string& event) {
    id = field(frame, "id: ");
    event = field(frame, "event: ");
    const std::string_view data = field(frame, "data: ");
    if (event.empty() || data.empty()) return {};
    return fmt::format("{{{}{}{}\"event\":\"{}\",\"data\":{}}}", id.empty() ? "" : "\"id\":", id,
                       id.empty() ? "" : ",", event, data);
}

void WatchSocket::send(base::http::Response response) {
    under_->send(std::move(response));
}

void WatchSocket::begin_stream(int, base::http::Headers) {
    under_->accept_web_socket(kOptions, shared_from_this());
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, kPatience, [this] { return socket_ != nullptr || closed_.load(); });
    if (socket_ == nullptr) closed_ = true;
}

bool WatchSocket::write(std::string_view frames) {
    std::unique_lock lock(mutex_);
    while (!frames.empty()) {
        const std::size_t end = std::min(frames.find("\n\n"), frames.size());
        std::string id, event;
        const std::string message = message_of(frames.substr(0, end), id, event);
        frames.remove_prefix(std::min(end + 2, frames.size()));
        if (message.empty()) continue;
        if (!tell(lock, message)) return false;
        if (!id.empty()) {
            last_id_ = id;
            over_ = event == "run_completed" || event == "run_failed" || event == "run_cancelled" ||
                    (over_ && event != "run_resumed");
        }
    }
    return !closed_;
}

bool WatchSocket::tell(std::unique_lock<std::mutex>& lock, const std::string& message) {
    for (;;) {
        if (closed_ || socket_ == nullptr) return false;
        if (socket_->send(MessageKind::text, message)) return true;
        if (!live_ && std::this_thread::get_id() == opener_ && wait_for_room(lock)) continue;
        close_locked(close_code::kTryLater,
                     fmt::format("too slow a reader; go on with ?after={}", last_id_));
        return false;
    }
}

bool WatchSocket::wait_for_room(std::unique_lock<std::mutex>& lock) {
    const std::uint64_t drained = drains_;
    return changed_.wait_for(lock, kPatience, [&] { return closed_.load() || drains_ != drained; });
}

void WatchSocket::close_locked(std::uint16_t code, std::string_view why) {
    if (socket_ != nullptr) socket_->close(code, why);
    closed_ = true;
    changed_.notify_all();
}

void WatchSocket::end() {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    if (over_ || !live_) {  // what ends before it went live has told all there is
        close_locked(close_code::kNormal, "the run is over");
    } else {
        close_locked(close_code::kGoingAway,
                     fmt::format("told no more here; go on with ?after={}", last_id_));
    }
}

void WatchSocket::on_open(const WebSocketPtr& socket) {
    const std::lock_guard lock(mutex_);
    socket_ = socket;
    changed_.notify_all();
}

void WatchSocket::on_message(MessageKind, std::string_view) {
    const std::lock_guard lock(mutex_);
    close_locked(close_code::kNotAccepted, "events are told here; nothing is read");
}

void WatchSocket::on_drained() {
    const std::lock_guard lock(mutex_);
    ++drains_;
    changed_.notify_all();
}

void WatchSocket::on_close(std::uint16_t, std::string_view) {
    WebSocketPtr last;  // its end is not for under the lock
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        last = std::move(socket_);
    }
    changed_.notify_all();
}

}  // namespace flow
