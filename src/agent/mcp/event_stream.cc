#include "agent/mcp/event_stream.h"

#include <fmt/format.h>

#include <utility>

#include "base/json/json.h"

namespace agent::mcp {
namespace {

constexpr int kRetryMs = 500;
constexpr std::size_t kKeptMax = 1'000;  // of one answer

}  // namespace

void EventStream::begin(const base::http::ResponderPtr& responder) {
    responder->begin_stream(200, {{"Content-Type", "text/event-stream"},
                                  {"Cache-Control", "no-store"},
                                  {"X-Accel-Buffering", "no"}});
}

void EventStream::say(const std::string& data) {
    std::string text;
    if (!name_.empty()) {
        if (kept_.size() < kKeptMax) kept_.push_back(data);
        text = fmt::format("id: {}_{}\n", name_, kept_.size());
    }
    if (!responder_) return;
    text += fmt::format("event: message\ndata: {}\n\n", data);
    responder_->write(text);
}

void EventStream::open() {
    const std::lock_guard lock(mutex_);
    if (begun_) return;
    begun_ = true;
    begin(responder_);
    if (primed_) responder_->write(fmt::format("id: {}_0\nretry: {}\ndata: \n\n", name_, kRetryMs));
}

void EventStream::send(const base::json::object& message) {
    open();
    const std::lock_guard lock(mutex_);
    if (!finished_) say(base::to_text(message));
}

void EventStream::finish(const base::json::object& message, int status) {
    const std::lock_guard lock(mutex_);
    if (std::exchange(finished_, true)) return;
    if (begun_) {
        say(base::to_text(message));
        if (responder_) std::exchange(responder_, nullptr)->end();
        return;
    }
    base::http::Response response;
    response.status = status;
    response.headers.set("Content-Type", "application/json");
    response.body = base::to_text(message);
    responder_->send(std::move(response));
}

void EventStream::let_go() {
    if (!primed_) return;
    open();
    const std::lock_guard lock(mutex_);
    if (responder_) std::exchange(responder_, nullptr)->end();
}

void EventStream::close() {
    const std::lock_guard lock(mutex_);
    finished_ = true;
    if (!responder_) return;
    if (!begun_) begin(responder_);
    begun_ = true;
    std::exchange(responder_, nullptr)->end();
}

bool EventStream::resume(std::uint64_t after, base::http::ResponderPtr responder) {
    const std::lock_guard lock(mutex_);
    if (name_.empty() || after > kept_.size()) return false;
    begun_ = true;
    begin(responder);
    if (responder_) responder_->end();  // the client has left it
    for (std::uint64_t i = after; i < kept_.size(); ++i) {
        responder->write(
            fmt::format("id: {}_{}\nevent: message\ndata: {}\n\n", name_, i + 1, kept_[i]));
    }
    if (finished_) {
        responder->end();
    } else {
        responder_ = std::move(responder);
    }
    return true;
}

}  // namespace agent::mcp
