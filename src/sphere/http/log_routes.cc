#include "sphere/http/log_routes.h"

#include <atomic>
#include <charconv>
#include <utility>
#include <vector>

#include "base/api/error_answer.h"
#include "base/http/server.h"
#include "sphere/http/request_parts.h"

namespace sphere {
namespace {

using base::Code;
using base::Result;
using base::http::Request;
using base::http::ResponderPtr;

constexpr std::chrono::milliseconds kLookAfterBoxes{500};

/// The event to go on after. Errors: invalid_argument.
Result<std::uint64_t> after_of(const Request& request) {
    std::string text = request.query_param("after").value_or("");
    if (text.empty()) text = std::string(request.headers.get("Last-Event-ID"));
    std::uint64_t after = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), after);
    if (text.empty() || (error == std::errc() && end == text.data() + text.size())) return after;
    return base::fail_on("after", Code::invalid_argument, "'after' is '{}', expected an event's id",
                         text.substr(0, 32));
}

}  // namespace

/// Somebody who follows. Only the network thread moves `last`: a slow reader gets what is still
/// kept when it comes to it.
struct LogRoutes::Reader {
    SandboxId box;
    std::uint64_t last = 0;
    std::weak_ptr<base::http::Responder> responder;
    std::atomic<bool> gone = false;
};

void LogRoutes::register_routes(base::http::Router& router) {
    router.add("GET", "/v1/sandboxes/{id}/logs",
               [this](const Request& request, const ResponderPtr& responder) {
                   calls_.post(responder, [this, request, responder] {
                       const auto done = answer(request, responder);
                       if (!done) responder->send(base::api::error_response(done.error()));
                   });
               });
}

Result<void> LogRoutes::answer(const Request& request, const ResponderPtr& responder) {
    const SandboxId box = DG_TRY(find_box(sphere_, request)).id;
    const std::uint64_t after = DG_TRY(after_of(request));
    if (!DG_TRY(query_flag(request, "follow"))) {
        responder->send(json_answer(200, {{"object", "list"}, {"data", book_.listing(box)}}));
        return {};
    }
    const auto reader = std::make_shared<Reader>();
    reader->box = box;
    reader->last = after;
    reader->responder = responder;
    responder->set_source([this, reader](std::string& out) {
        const bool gone = reader->gone;  // first: what the box still said comes before
        LogBook::News news = book_.events_after(reader->box, reader->last);
        out += news.events;
        reader->last = news.last;
        if (!gone) return;
        out += "event: gone\ndata: {}\n\n";
        if (const ResponderPtr to = reader->responder.lock()) to->end();
    });
    responder->begin_stream(200,
                            {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}});
    const std::uint64_t follower = book_.follow(box, [weak = std::weak_ptr(responder)] {
        if (const ResponderPtr to = weak.lock()) to->notify();
    });
    // The responder lives as long as its client listens.
    responder->on_closed(
        [this, box, follower, keep = responder] { book_.unfollow(box, follower); });
    responder->notify();
    add(reader);
    return {};
}

void LogRoutes::add(const std::shared_ptr<Reader>& reader) {
    const std::lock_guard lock(mutex_);
    readers_.push_back(reader);
    if (!thread_.joinable() && !stopping_) thread_ = std::thread([this] { look_after_boxes(); });
    changed_.notify_all();
}

void LogRoutes::look_after_boxes() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        if (readers_.empty()) {
            changed_.wait(lock);
            continue;
        }
        const auto readers = readers_;
        lock.unlock();
        std::vector<std::shared_ptr<Reader>> over;
        for (const auto& reader : readers) {
            const ResponderPtr to = reader->responder.lock();
            const auto info = sphere_.info(reader->box);
            const bool gone = !info || info->state == SandboxState::ended;
            if (to && !gone) continue;
            over.push_back(reader);
            reader->gone = true;
            if (to) to->notify();
        }
        lock.lock();
        for (const auto& reader : over) readers_.remove(reader);
        if (!stopping_) changed_.wait_for(lock, kLookAfterBoxes);
    }
}

void LogRoutes::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
    readers_.clear();
}

}  // namespace sphere
