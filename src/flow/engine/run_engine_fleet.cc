// The part of the engine that knows of other processes. None of it runs over a log of one's own.

#include <algorithm>
#include <utility>

#include "flow/engine/run_engine.h"
#include "flow/engine/run_engine_commit.h"

namespace flow {

using base::Code;
using base::Error;
using base::fail;

namespace {

constexpr std::int64_t kStallMs = 1'000;

bool ends(const Event& event) {
    return event.kind == EventKind::run_completed || event.kind == EventKind::run_failed ||
           event.kind == EventKind::run_cancelled;
}

}  // namespace

/// Something came for a run that is not open here. True: it is ours from now on; else it went where
/// it belongs.
bool RunEngine::route(Waiting& waiting) {
    // What a call gave, or the time: whoever owns the run now makes the call again.
    if (waiting.form == nullptr && !waiting.done) return false;
    const auto wait = [&] {
        stalled_.push_back(std::move(waiting));
        stalled_until_ms_ = now_ms() + kStallMs;
        return false;
    };
    if (rejoin_ms_ != 0 && waiting.form != nullptr) return wait();
    auto own = fleet_->own(waiting.run);
    if (!own) {
        if (waiting.form != nullptr && own.error().code == Code::unavailable) return wait();
        if (waiting.done) waiting.done(std::unexpected(std::move(own).error()));
        return false;
    }
    if (*own) {
        if (!is_final((*own)->head.status)) adopt((*own)->head, (*own)->crashed);
        return true;
    }
    if (waiting.settled.number != 0) {  // its new owner finds it in the inbox
        fleet_->give_back({.number = waiting.settled.number, .run = waiting.run, .input = {}});
        return false;
    }
    if (waiting.form == nullptr) {
        waiting.done(fail(Code::failed_precondition,
                          "{} is another process's now; ask one of those that GET "
                          "/v1/flow/health lists",
                          to_text(waiting.run)));
        return false;
    }
    Posting posting;
    posting.run = waiting.run;
    posting.checked = true;
    posting.input = *waiting.form;
    fleet_->ask(std::move(posting), [this, done = std::move(waiting.done)](auto result) {
        if (!done) return;
        post_([done, result = std::move(result)] { done(result); });
    });
    return false;
}

void RunEngine::arrived(std::vector<Arrival> arrivals) {
    for (Arrival& arrival : arrivals) {
        Waiting waiting{arrival.run, {}, {}, true};
        waiting.form = std::make_shared<const RunInput>(std::move(arrival.input));
        waiting.settled = {arrival.number, arrival.asker, arrival.token};
        take(std::move(waiting));
    }
}

/// Another process began a run with this key at the same time, and was first.
void RunEngine::answer_conflict(Commit& commit) {
    base::Result<RunId> answer = fail(Code::unavailable, "a run with this key began elsewhere");
    for (const RunChange& change : commit.changes) {
        if (change.head.id != commit.run) continue;
        const auto known = log_.by_key(change.head.tenant, change.head.idempotency_key);
        if (!known) {
            answer = std::unexpected(known.error());
        } else if (*known) {
            answer = **known;
        }
    }
    if (commit.started) commit.started(answer);
    const auto found = keys_.find(commit.key);
    if (found == keys_.end()) return;
    for (const Started& other : found->second.others) other(answer);
    keys_.erase(found);
}

// ---- what others own ---------------------------------------------------------------------------

void RunEngine::watch_foreign(RunId run, std::uint64_t from) {
    fleet_->watch(run, from);
}

void RunEngine::unwatch_foreign(RunId run) {
    if (!waiters_.contains(run) && !follows_.contains(run)) fleet_->unwatch(run);
}

void RunEngine::follow(RunId run, std::uint64_t from) {
    if (fleet_ == nullptr) return;
    ++follows_[run];
    if (foreign(run)) watch_foreign(run, from);
}

void RunEngine::unfollow(RunId run) {
    const auto found = follows_.find(run);
    if (found == follows_.end() || --found->second != 0) return;
    follows_.erase(found);
    unwatch_foreign(run);
}

void RunEngine::moved(RunId run, const std::vector<Event>& events, std::uint64_t first) {
    for (const auto& [number, watcher] : watchers_) watcher(run, events, first);
    if (!std::ranges::any_of(events, ends) || !foreign(run) || !waiters_.contains(run)) return;
    const auto found = hot(run);
    if (!found || !is_final((*found)->state.status)) return;
    answer_waiters(**found);
    unwatch_foreign(run);
}

// ---- the lease ---------------------------------------------------------------------------------

/// Nothing here is ours any more. What was decided and not written did not happen; calls that are
/// out are made again by the next owner, with the same keys.
void RunEngine::lost_lease() {
    std::unordered_map<RunId, std::uint64_t> places;
    for (const auto& [run, hot] : hot_) {
        places[run] = hot->state.events;
        if (!open_.contains(run)) continue;
        for (const Call& call : Machine(hot->state).outstanding()) runner_.cancel(run, call.path);
    }
    open_.clear();
    hot_.clear();
    timers_ = {};
    event_waits_.clear();
    stats_.waiting = {};
    std::erase_if(stalled_, [](const Waiting& waiting) {
        return waiting.settled.number != 0 || (waiting.form == nullptr && !waiting.done);
    });
    for (const auto& [run, waiters] : waiters_) watch_foreign(run, 0);
    for (const auto& [run, count] : follows_) {
        const auto place = places.find(run);
        watch_foreign(run, place == places.end() ? 0 : place->second);
    }
    rejoin_ms_ = now_ms();
    rejoin();
}

void RunEngine::rejoin() {
    rejoin_ms_ = fleet_->rejoin() ? 0 : now_ms() + kStallMs;
}

}  // namespace flow
