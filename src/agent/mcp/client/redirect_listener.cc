#include "agent/mcp/client/redirect_listener.h"

#include <fmt/format.h>

#include <chrono>

namespace agent::mcp {

using base::Result;
namespace http = base::http;

Result<std::unique_ptr<RedirectListener>> RedirectListener::open(std::uint16_t port,
                                                                 std::string state,
                                                                 const base::Clock& clock) {
    std::unique_ptr<RedirectListener> listener(new RedirectListener(std::move(state)));
    http::ServerOptions options;
    options.address = "127.0.0.1";
    options.port = port;
    listener->server_ = DG_TRY(http::Server::listen(std::move(options), clock));
    listener->server_->router().add(
        "GET", "/callback",
        [self = listener.get()](const http::Request& request, const http::ResponderPtr& responder) {
            self->take(request, responder);
        });
    listener->server_->start();
    return listener;
}

RedirectListener::~RedirectListener() {
    // The page a person is shown is on its way.
    if (server_) server_->stop(std::chrono::milliseconds(500));
}

std::string RedirectListener::uri() const {
    return fmt::format("http://127.0.0.1:{}/callback", server_->port());
}

void RedirectListener::take(const http::Request& request, const http::ResponderPtr& responder) {
    const auto state = request.query_param("state");
    if (state != state_) {
        return responder->send(http::text_response(
            400, "text/plain; charset=utf-8", "This is not the answer to what was asked here.\n"));
    }
    {
        const std::lock_guard lock(mutex_);
        if (answer_.empty()) {
            for (const char* name : {"state", "code", "iss", "error", "error_description"}) {
                if (auto value = request.query_param(name)) answer_[name] = *std::move(value);
            }
        }
    }
    came_.notify_all();
    auto page = http::text_response(200, "text/plain; charset=utf-8",
                                    "Thank you. This window may be closed.\n");
    page.headers.add("Cache-Control", "no-store");
    responder->send(std::move(page));
}

Result<std::map<std::string, std::string>> RedirectListener::wait(const Stop& stop) {
    constexpr std::chrono::milliseconds kAskEvery{200};
    std::unique_lock lock(mutex_);
    while (!came_.wait_for(lock, kAskEvery, [this] { return !answer_.empty(); })) {
        lock.unlock();
        if (auto why = stop()) return std::unexpected(*std::move(why));
        lock.lock();
    }
    return answer_;
}

}  // namespace agent::mcp
