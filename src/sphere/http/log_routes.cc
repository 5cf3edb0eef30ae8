#include "sphere/http/log_routes.h"

#include <atomic>
#include <charconv>
#include <utility>

#include "sphere/http/error_json.h"
#include "sphere/http/request_parts.h"

namespace sphere {
namespace {

using base::Code;
using base::Result;
using base::http::Request;
using base::http::ResponderPtr;

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

void LogRoutes::register_routes(base::http::Router& router) {
    router.add("GET", "/v1/sandboxes/{id}/logs",
               [this](const Request& request, const ResponderPtr& responder) {
                   calls_.post(responder, [this, request, responder] {
                       const auto done = answer(request, responder);
                       if (!done) responder->send(error_response(done.error()));
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
    // Only the network thread moves it: a slow reader gets what is still kept when it comes to it.
    const auto last = std::make_shared<std::uint64_t>(after);
    responder->set_source([this, box, last](std::string& out) {
        LogBook::News news = book_.events_after(box, *last);
        out += news.events;
        *last = news.last;
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
    return {};
}

}  // namespace sphere
