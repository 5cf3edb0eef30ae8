#include "flow/http/run_streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <future>

#include "base/api/error_answer.h"

namespace flow {
namespace {

constexpr std::uint32_t kPage = 1'000;

std::string frame(const Event& event, std::uint64_t place) {
    return fmt::format("id: {}\nevent: {}\ndata: {}\n\n", place + 1, event_name(event.kind),
                       base::to_text(to_json(event)));
}

bool ends(const Event& event) {
    return event.kind == EventKind::run_completed || event.kind == EventKind::run_failed ||
           event.kind == EventKind::run_cancelled;
}

/// A run that failed may go on: by a retry, or from a checkpoint.
bool over_after(bool over, const Event& event) {
    return ends(event) || (over && event.kind != EventKind::run_resumed);
}

}  // namespace

void RunStreams::attach() {
    std::promise<void> attached;
    runtime_.post([&] {
        watcher_ = runtime_.engine().watch(
            [self = weak_from_this()](RunId run, const std::vector<Event>& events,
                                      std::uint64_t first) {
                if (const auto alive = self.lock()) alive->publish(run, events, first);
            });
        attached.set_value();
    });
    attached.get_future().wait();
}

void RunStreams::detach() {
    std::promise<void> detached;
    runtime_.post([&] {
        runtime_.engine().unwatch(watcher_);
        detached.set_value();
    });
    detached.get_future().wait();
    const std::lock_guard lock(mutex_);
    for (auto& [run, streams] : streams_) {
        for (Stream& stream : streams) stream.responder->end();
    }
    streams_.clear();
}

/// Of runs that may be another process's.
void RunStreams::follow(RunId run, std::uint64_t from, bool on) {
    if (runtime_.fleet() == nullptr) return;
    runtime_.post([&engine = runtime_.engine(), run, from, on] {
        on ? engine.follow(run, from) : engine.unfollow(run);
    });
}

void RunStreams::publish(RunId run, const std::vector<Event>& events, std::uint64_t first) {
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(run);
    if (found == streams_.end()) return;
    bool over = false;
    std::erase_if(found->second, [&](Stream& stream) {
        std::string text;
        // The run has changed hands, and what was written between is told by neither.
        while (stream.next < first) {
            const auto missed =
                log_.history(run, stream.next, static_cast<std::uint32_t>(first - stream.next));
            if (!missed || missed->empty()) break;
            for (const Event& event : *missed) text += frame(event, stream.next++);
        }
        for (std::size_t i = 0; i < events.size(); ++i) {
            const std::uint64_t place = first + i;
            if (place < stream.next) continue;
            text += frame(events[i], place);
            stream.next = place + 1;
            over = over_after(over, events[i]);
        }
        const bool open = text.empty() || stream.responder->write(text);
        if (over) stream.responder->end();
        return over || !open;
    });
    if (found->second.empty()) {
        streams_.erase(found);
        follow(run, 0, false);
    }
}

void RunStreams::open(RunId run, std::uint64_t after, const base::http::ResponderPtr& responder,
                      const std::function<void()>& before_live) {
    auto past = log_.history(run, after, kPage);
    if (!past) {
        responder->send(base::api::error_response(past.error()));
        return;
    }
    responder->begin_stream(200,
                            {{"Content-Type", "text/event-stream"}, {"Cache-Control", "no-store"}});
    std::uint64_t next = after;
    bool over = false;
    const auto give = [&](const std::vector<Event>& events) {
        std::string text;
        for (const Event& event : events) {
            over = over_after(over, event);
            text += frame(event, next++);
        }
        return text.empty() || responder->write(text);
    };
    while (past && !past->empty()) {
        if (!give(*past)) return;
        if (past->size() < kPage) break;
        past = log_.history(run, next, kPage);
    }
    if (!past) return;  // cut, not ended: the client comes again
    // Who has all of a run that is over waits for nothing.
    if (!over && next == after && after != 0) {
        const auto last = log_.history(run, after - 1, 2);
        over = last && last->size() == 1 && ends(last->front());
    }
    if (over) {
        responder->end();
        return;
    }
    if (before_live) before_live();
    {
        const std::lock_guard lock(mutex_);
        std::vector<Stream>& streams = streams_[run];
        if (streams.empty()) follow(run, next, true);
        streams.push_back({responder, next});
    }
    tokens_.join(run, responder);
    // What became durable between the last page and the line above is in the journal by now.
    const auto missed = log_.history(run, next, kPage);
    if (missed && !missed->empty()) publish(run, *missed, next);
}

}  // namespace flow
