#pragma once
// A run's live events over a WebSocket: the same as over server-sent events, one JSON message each.
//
// {"id": 12, "event": "step_finished", "data": {...}}; what has no id (tokens) has none here. A
// client goes on after ?after=ID. It has nothing to say: any message of its own ends the stream.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/http/server.h"

namespace flow {

/// Stands for the responder of a request that asks for a WebSocket. Thread-safe.
class WatchSocket final : public base::http::Responder,
                          public base::http::WebSocketEvents,
                          public std::enable_shared_from_this<WatchSocket> {
public:
    explicit WatchSocket(base::http::ResponderPtr under)
        : under_(std::move(under)), opener_(std::this_thread::get_id()) {}

    /// Until this is called the thread that made this waits for a slow reader in write(): the past
    /// of a run may be long. From then on a reader that is too slow is sent away, as nobody who
    /// tells what happens may wait.
    void go_live() { live_ = true; }

    // Responder: what RunStreams and TokenStreams use.
    void send(base::http::Response response) override;
    void begin_stream(int status, base::http::Headers headers) override;
    bool write(std::string_view frames) override;
    void set_source(std::function<void(std::string&)>) override {}
    void notify() override {}
    void end() override;
    void accept_web_socket(const base::http::WebSocketOptions&,
                           std::shared_ptr<base::http::WebSocketEvents>) override {}
    void on_closed(std::function<void()>) override {}
    bool closed() const override { return closed_; }
    void add_header(std::string, std::string) override {}

    // WebSocketEvents: the connection's thread.
    void on_open(const base::http::WebSocketPtr& socket) override;
    void on_message(base::http::MessageKind kind, std::string_view message) override;
    void on_drained() override;
    void on_close(std::uint16_t code, std::string_view reason) override;

private:
    bool tell(std::unique_lock<std::mutex>& lock, const std::string& message);
    bool wait_for_room(std::unique_lock<std::mutex>& lock);
    void close_locked(std::uint16_t code, std::string_view why);

    const base::http::ResponderPtr under_;
    const std::thread::id opener_;
    std::atomic<bool> live_ = false, closed_ = false;
    std::mutex mutex_;  // guards what is below
    std::condition_variable changed_;
    base::http::WebSocketPtr socket_;
    std::uint64_t drains_ = 0;
    std::string last_id_ = "0";
    bool over_ = false;  ///< the last event was a run's end
};

/// {"id": ..., "event": ..., "data": ...} of one server-sent event as this program writes them;
/// empty: it is none. `id` and `event` are set to what it says.
std::string message_of(std::string_view frame, std::string& id, std::string& event);

}  // namespace flow
