#include "flow/queue/queued_runner.h"

#include <algorithm>
#include <limits>

namespace flow {

using base::Code;

namespace {

const std::string kLocal = "local";
constexpr base::Duration kSharePoll = std::chrono::milliseconds(500);
constexpr base::Duration kShareTrouble = std::chrono::milliseconds(200);
constexpr std::uint64_t kNoBound = std::numeric_limits<std::uint64_t>::max();

std::string place_of(RunId run, std::string_view path, char kind) {
    std::string out(reinterpret_cast<const char*>(&run), sizeof run);
    out += kind;
    out += path;
    return out;
}

/// Tenant, workflow and queue in one text; none holds a line's end.
std::string queue_key(const Call& call, const std::string& queue) {
    return call.tenant + '\n' + call.definition->name + '\n' + queue;
}

QueueBoard::Limits limits_of(const Call& call, std::string_view name) {
    QueueBoard::Limits out;
    for (const Queue& queue : call.definition->queues) {
        if (queue.name != name) continue;
        if (queue.per_second > 0) out = rate_limit(queue.per_second, std::chrono::seconds(1));
        if (queue.per_minute > 0) out = rate_limit(queue.per_minute, std::chrono::minutes(1));
        out.concurrency = queue.concurrency;
    }
    return out;
}

}  // namespace

QueuedRunner::QueuedRunner(StepRunner& inner, const base::Clock& clock, Local local,
                           SharedPlaces* shared)
    : inner_(inner), clock_(clock), local_(std::move(local)), shared_(shared) {
    if (local_.concurrency > 0) board_.limit(kLocal, {.concurrency = local_.concurrency});
    thread_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
    if (shared_ == nullptr) return;
    shared_->on_change([this] { want_places(); });
    sharing_ = std::jthread([this](const std::stop_token& stop) { keep_sharing(stop); });
}

QueuedRunner::~QueuedRunner() {
    if (shared_ != nullptr) shared_->on_change({});
}

void QueuedRunner::watch(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        {
            std::unique_lock lock(mutex_);
            const base::Instant due = board_.next_due();
            const auto changed = [&] { return board_.next_due() != due; };
            if (due == base::Instant::never()) {
                wake_.wait(lock, stop, changed);
            } else if (due > clock_.now()) {
                wake_.wait_for(lock, stop, due - clock_.now(), changed);
            }
        }
        if (!stop.stop_requested()) look();
    }
}

/// Waits at a place, or takes over what waits there. Pre: the lock is held.
std::uint64_t QueuedRunner::enter(const std::string& place, QueueBoard::Place wish, Go go,
                                  Done done) {
    if (const auto found = places_.find(place); found != places_.end()) {
        Entry& entry = entries_.at(found->second);
        dropped_.push_back(std::exchange(entry.done, std::move(done)));
        entry.go = std::move(go);
        return found->second;
    }
    const std::uint64_t id = ++last_;
    places_[place] = id;
    entries_[id] = {place, std::move(go), std::move(done)};
    board_.add(id, std::move(wish));
    return id;
}

/// Pre: the lock is held.
void QueuedRunner::forget(std::uint64_t id) {
    const auto found = entries_.find(id);
    if (found == entries_.end()) return;
    places_.erase(found->second.place);
    if (!board_.runs(id)) dropped_.push_back(std::move(found->second.done));
    entries_.erase(found);
    board_.leave(id);
    if (shared_queues_.empty()) return;
    share_soon_ = true;
    share_wake_.notify_one();
}

void QueuedRunner::give_back(std::uint64_t id) {
    {
        const std::lock_guard lock(mutex_);
        forget(id);
    }
    look();
}

void QueuedRunner::run(Call call, Done done) {
    const std::string& name = call.step != nullptr ? call.step->queue : call.definition->run_queue;
    if (name.empty() || call.path.ends_with(kUndoSuffix))
        return out(std::move(call), std::move(done));
    const std::string place = place_of(call.run, call.path, 'q');
    const std::string queue = queue_key(call, name);
    const bool asks = call.admission;
    QueueBoard::Place wish{queue, call.tenant, call.priority, call.since_ms, call.holds || !asks};
    bool there = false;
    {
        const std::lock_guard lock(mutex_);
        if (!open_ && asks && !call.holds) {
            early_.emplace_back(std::move(call), std::move(done));
            return;
        }
        std::uint32_t& version = versions_[queue];
        if (call.definition->version >= version) {
            version = call.definition->version;
            board_.limit(queue, limits_of(call, name));
        }
        if (shared_ != nullptr) {
            const auto [known, fresh] = shared_queues_.try_emplace(queue);
            if (fresh) board_.allow(queue, QueueBoard::Allowance{});
            if (fresh || call.definition->version >= known->second.version) {
                known->second.version = call.definition->version;
                known->second.limits = limits_of(call, name);
            }
        }
        const auto known = places_.find(place);
        there = known != places_.end() && board_.runs(known->second);
        if (asks && !there) {
            enter(
                place, std::move(wish), [done] { done(StepOutput{}); }, done);
        } else if (!asks) {
            // Made again after a crash it has no place yet: it gets the next one.
            auto kept = std::make_shared<Call>(std::move(call));
            const std::uint64_t id = there ? known->second : last_ + 1;
            Go go = [this, kept, id, done] {
                out(std::move(*kept), [this, id, done](base::Result<StepOutput> result) {
                    give_back(id);
                    done(std::move(result));
                });
            };
            if (there) {
                entries_.at(id).go = std::move(go);
            } else {
                if (known != places_.end()) forget(known->second);
                enter(place, std::move(wish), std::move(go), done);
            }
        }
    }
    if (there && asks) return done(StepOutput{});
    if (there) {
        Go go;
        {
            const std::lock_guard lock(mutex_);
            const auto known = places_.find(place);
            if (known != places_.end()) go = std::exchange(entries_.at(known->second).go, {});
        }
        if (go) go();
        return;
    }
    look();
    const std::lock_guard lock(mutex_);
    const auto entry = places_.find(place);
    if (shared_ != nullptr && entry != places_.end() && !board_.runs(entry->second)) {
        share_soon_ = true;
        share_wake_.notify_one();
    }
}

// ---- with other processes ----------------------------------------------------------------------

void QueuedRunner::want_places() {
    const std::lock_guard lock(mutex_);
    share_soon_ = true;
    share_wake_.notify_one();
}

void QueuedRunner::keep_sharing(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
        {
            std::unique_lock lock(mutex_);
            base::Instant due = base::Instant::never();
            for (const auto& [name, queue] : shared_queues_) due = std::min(due, queue.due);
            base::Duration patience = kSharePoll;
            if (due != base::Instant::never()) {
                patience =
                    std::clamp<base::Duration>(due - clock_.now(), base::Duration{0}, kSharePoll);
            }
            const auto asked = [&] { return share_soon_; };
            if (shared_queues_.empty()) {
                share_wake_.wait(lock, stop, asked);
            } else {
                share_wake_.wait_for(lock, stop, patience, asked);
            }
        }
        if (!stop.stop_requested()) share();
    }
}

/// While it is asked for, nothing gets a place beyond what is said to run.
QueueBoard::Allowance QueuedRunner::held_still(const Shared& queue, std::uint64_t running) const {
    return {.places = running,
            .keep = std::min(queue.has.keep, running),
            .starts = queue.limits.starts == 0 ? kNoBound : 0};
}

void QueuedRunner::share() {
    std::vector<SharedPlaces::Wish> wishes;
    {
        const std::lock_guard lock(mutex_);
        share_soon_ = false;
        std::map<std::string, QueueBoard::Counts> counts;
        for (QueueBoard::Counts& one : board_.counts()) counts[one.queue] = std::move(one);
        for (auto& [name, queue] : shared_queues_) {
            const QueueBoard::Counts& now = counts[name];
            wishes.push_back(
                {name, queue.version, queue.limits, now.running, now.waiting, now.oldest_since_ms});
            board_.allow(name, held_still(queue, now.running));
        }
    }
    if (wishes.empty()) return;
    const auto grants = shared_->share(wishes);
    {
        const std::lock_guard lock(mutex_);
        for (std::size_t i = 0; i < wishes.size(); ++i) {
            const auto queue = shared_queues_.find(wishes[i].queue);
            if (!grants) {  // the database is away; who runs goes on, nobody begins
                queue->second.due = clock_.now() + kShareTrouble;
                continue;
            }
            const SharedPlaces::Grant& grant = (*grants)[i];
            queue->second.has = grant.allowance;
            queue->second.due =
                grant.due_in.count() == 0 ? base::Instant::never() : clock_.now() + grant.due_in;
            board_.allow(queue->first, grant.allowance);
            if (wishes[i].running != 0 || wishes[i].waiting != 0 || is_used(queue->first)) continue;
            board_.allow(queue->first, std::nullopt);
            shared_queues_.erase(queue);
        }
    }
    look();
}

/// Pre: the lock is held.
bool QueuedRunner::is_used(const std::string& queue) const {
    return std::ranges::any_of(board_.counts(), [&](const QueueBoard::Counts& one) {
        return one.queue == queue && (one.running != 0 || one.waiting != 0);
    });
}

void QueuedRunner::open() {
    std::vector<std::pair<Call, Done>> early;
    {
        const std::lock_guard lock(mutex_);
        open_ = true;
        early.swap(early_);
    }
    for (auto& [call, done] : early) run(std::move(call), std::move(done));
}

/// To who does it; through the process's own queue where it does it itself.
void QueuedRunner::out(Call call, Done done) {
    if (local_.concurrency == 0 || !local_.is_local(call)) {
        inner_.run(std::move(call), std::move(done));
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        const std::string place = place_of(call.run, call.path, 'l');
        if (const auto old = places_.find(place); old != places_.end()) {
            // An earlier attempt that nobody waits for is still at work: it keeps its place.
            entries_.at(old->second).place += '\n';
            places_.erase(old);
        }
        QueueBoard::Place wish{kLocal, call.tenant, call.priority, call.since_ms, false};
        auto kept = std::make_shared<Call>(std::move(call));
        const std::uint64_t id = last_ + 1;
        Go go = [this, kept, id, done] {
            inner_.run(std::move(*kept), [this, id, done](base::Result<StepOutput> result) {
                give_back(id);
                done(std::move(result));
            });
        };
        enter(place, std::move(wish), std::move(go), done);
    }
    look();
}

void QueuedRunner::cancel(RunId run, std::string_view path) {
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(early_, [&](const auto& one) {
            return one.first.run == run && one.first.path == path;
        });
        if (const auto found = places_.find(place_of(run, path, 'l'));
            found != places_.end() && !board_.runs(found->second)) {
            forget(found->second);
        }
        // What is at work keeps no place of a queue either: nobody waits for it.
        if (const auto found = places_.find(place_of(run, path, 'q')); found != places_.end()) {
            forget(found->second);
        }
    }
    if (!path.empty()) inner_.cancel(run, path);
    look();
}

void QueuedRunner::look() {
    std::unique_lock lock(mutex_);
    if (looking_) return;  // who looks will find it
    looking_ = true;
    for (;;) {
        std::vector<Go> go;
        for (const std::uint64_t id : board_.admit(clock_.now())) {
            go.push_back(std::exchange(entries_.at(id).go, {}));
        }
        const std::vector<Done> dropped = std::exchange(dropped_, {});
        if (go.empty() && dropped.empty()) break;
        lock.unlock();
        for (const Go& each : go) {
            if (each) each();
        }
        for (const Done& done : dropped) done(base::fail(Code::cancelled, "nobody waits for it"));
        lock.lock();
    }
    looking_ = false;
    wake_.notify_one();
}

std::vector<QueueView> QueuedRunner::queues(std::string_view tenant) {
    const std::lock_guard lock(mutex_);
    std::vector<QueueView> out;
    for (QueueBoard::Counts& counts : board_.counts()) {
        if (counts.queue == kLocal) continue;
        const std::string key = counts.queue;
        const std::size_t first = key.find('\n'), second = key.find('\n', first + 1);
        if (std::string_view(key).substr(0, first) != tenant) continue;
        out.push_back(
            {key.substr(first + 1, second - first - 1), key.substr(second + 1), std::move(counts)});
    }
    return out;
}

}  // namespace flow
