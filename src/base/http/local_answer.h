#pragma once
// An answer that stays in this process: for callers that ask a router without a network.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>

#include "base/http/server.h"

namespace base::http {

/// Thread-safe. One request's, as any Responder; no WebSockets.
class LocalAnswer final : public Responder {
public:
    void send(Response response) override;
    void begin_stream(int status, Headers headers) override;
    bool write(std::string_view chunk) override;
    void set_source(std::function<void(std::string&)>) override {}
    void notify() override {}
    void end() override;
    void accept_web_socket(const WebSocketOptions&, std::shared_ptr<WebSocketEvents>) override {}
    void on_closed(std::function<void()>) override {}
    bool closed() const override { return closed_; }
    void add_header(std::string, std::string) override {}

    /// Waits for the whole answer.
    Response take();
    /// What was streamed since the last call; nothing once it has ended. Waits a little at most.
    std::optional<std::string> next();
    /// Nobody reads on: write() says so.
    void close() { closed_ = true; }
    int status();

private:
    std::mutex mutex_;  // guards what is below, but for closed_
    std::condition_variable changed_;
    Response response_;
    std::string waiting_;
    bool ended_ = false;
    std::atomic<bool> closed_ = false;
};

}  // namespace base::http
