#include "flow/log/postgres_member.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>

#include "flow/log/head_row.h"
#include "flow/log/postgres_batch.h"
#include "flow/log/postgres_tables.h"

namespace flow {

using base::Code;
using base::fail;
using base::Result;
using base::store::pipe_value;
using base::store::PipeColumn;
using base::store::PipeType;
using base::store::Row;

namespace {

constexpr std::int64_t kArrivalsMax = 1'000;
constexpr std::uint32_t kHistoryPage = 1'000;
constexpr std::uint64_t kTidyEvery = 64;  // looks
constexpr std::chrono::milliseconds kTroublePause{200};
constexpr std::int64_t kWorkersKeptMs = 7ll * 24 * 3'600'000;

std::int64_t signed_of(std::uint64_t value) {
    return static_cast<std::int64_t>(value);
}

}  // namespace

PostgresMember::PostgresMember(PostgresWorker& worker, PostgresWriter& writer, History history)
    : worker_(worker), writer_(writer), history_(std::move(history)) {
    if (!worker_.options().threaded) return;
    wake_fd_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    thread_ = std::thread([this] { run(); });
}

PostgresMember::~PostgresMember() {
    stop();
    if (wake_fd_ >= 0) ::close(wake_fd_);
}

void PostgresMember::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        events_.reset();
    }
    wake();
    if (thread_.joinable()) thread_.join();
    std::unordered_map<std::uint64_t, RunLog::Done> left;
    {
        const std::lock_guard lock(mutex_);
        left.swap(expected_);
    }
    for (const auto& [token, done] : left) {
        done(fail(Code::unavailable, "this process ends; whether it was taken is not known"));
    }
}

void PostgresMember::wake() {
    const std::uint64_t one = 1;
    if (wake_fd_ >= 0) (void)!::write(wake_fd_, &one, sizeof(one));
}

bool PostgresMember::stopping() {
    const std::lock_guard lock(mutex_);
    return stopping_;
}

std::optional<Fleet::Events> PostgresMember::events() {
    const std::lock_guard lock(mutex_);
    return events_;
}

void PostgresMember::run() {
    while (!stopping()) {
        auto patience = worker_.options().poll;
        const bool looked = look().has_value();
        if (!looked) patience = std::min(patience, kTroublePause);
        if (!looked || pipe_ == nullptr ||
            !pipe_->wait(patience, wake_fd_, [this](std::string_view what) { heard(what); })) {
            pollfd wait{wake_fd_, POLLIN, 0};
            ::poll(&wait, 1, static_cast<int>(patience.count()));
        }
        std::uint64_t count = 0;
        (void)!::read(wake_fd_, &count, sizeof(count));
    }
}

void PostgresMember::on_places(std::function<void()> told) {
    const std::lock_guard lock(mutex_);
    places_told_ = std::move(told);
}

void PostgresMember::heard(std::string_view what) {
    const std::lock_guard lock(mutex_);  // so that nobody is told who said to stop
    if (what == "places" && places_told_) places_told_();
}

// ---- being a member ----------------------------------------------------------------------------

void PostgresMember::join(Fleet::Events events, bool take_up) {
    {
        const std::lock_guard lock(mutex_);
        events_ = std::move(events);
        take_up_ = take_up;
    }
    wake();
}

void PostgresMember::lost() {
    std::unordered_map<std::uint64_t, RunLog::Done> asked;
    {
        const std::lock_guard lock(mutex_);
        asked.swap(expected_);
        given_.clear();
        finished_.clear();
        for (auto& [run, watch] : watches_) watch.known = false;
    }
    for (const auto& [token, done] : asked) {
        done(fail(Code::unavailable,
                  "this process lost its lease before the answer came; look at the run before "
                  "giving it the same again"));
    }
    if (const auto told = events(); told && told->lost) told->lost();
}

Result<void> PostgresMember::rejoin() {
    auto pipe = DG_TRY(worker_.connect("_join"));
    DG_TRY(worker_.join(*pipe));
    wake();
    return {};
}

Result<void> PostgresMember::ensure_pipe() {
    const std::int64_t worker = worker_.proof().worker;
    if (pipe_ != nullptr && !pipe_->lost() && listening_ == worker) return {};
    pipe_ = DG_TRY(worker_.connect("_member"));
    listening_ = worker;
    const std::string listen = "LISTEN " + worker_.channels() + std::to_string(worker);
    DG_TRY(pipe_->run({{listen}}));
    return {};
}

Result<void> PostgresMember::look() {
    if (worker_.proof().worker == 0) return {};
    DG_TRY(ensure_pipe());
    const PostgresWorker::Glance glance = DG_TRY(worker_.glance(*pipe_));
    if (!glance.held || (glance.old && !DG_TRY(worker_.renew(*pipe_)))) {
        writer_.flush();  // what is out says first how it ended
        if (worker_.lose()) lost();
        return {};
    }
    const PostgresWorker::Proof proof = worker_.proof();
    const auto told = events();
    if (proof.worker == 0 || !told) return {};
    if (glance.claims) DG_TRY(claim());
    DG_TRY(take_inbox(proof.worker));
    DG_TRY(take_replies(proof.worker));
    DG_TRY(look_at_watched(proof.worker));
    if (looks_++ % kTidyEvery == 0) DG_TRY(tidy());
    return {};
}

// ---- claims ------------------------------------------------------------------------------------

/// Runs whose worker is gone.
Result<void> PostgresMember::claim() {
    std::int64_t count = 0;
    {
        const std::lock_guard lock(mutex_);
        if (take_up_) count = worker_.options().claim_max;
    }
    const PostgresWorker::Proof proof = worker_.proof();
    if (proof.worker == 0) return {};
    static const std::string kHeld =
        "SELECT 1 / count(*) FROM (SELECT 1 FROM flow_workers WHERE id = $1 AND fence = $2 AND NOT "
        "dead AND lease_until > " +
        now_sql(3) + " FOR SHARE) AS held";
    static const std::string kBury =
        "UPDATE flow_workers SET dead = true, fence = fence + 1 WHERE id IN (SELECT id FROM "
        "flow_workers WHERE NOT dead AND lease_until <= " +
        now_sql(1) + " ORDER BY id FOR UPDATE SKIP LOCKED)";
    static const std::string kClaim =
        "WITH free AS (SELECT id, (SELECT w.lease_until <> 0 FROM flow_workers w WHERE w.id = "
        "owner) AS crashed FROM flow_runs WHERE owner <> 0 AND owner IN (SELECT id FROM "
        "flow_workers WHERE dead) LIMIT $2 FOR UPDATE SKIP LOCKED) UPDATE flow_runs AS r SET owner "
        "= $1 FROM free WHERE r.id = free.id RETURNING " +
        std::string(kHeadColumns) + ", coalesce(free.crashed, false)::int";
    // A process that hangs amid a transaction keeps its rows locked: the server ends that.
    static const std::string kEnd =
        "SELECT pg_terminate_backend(a.pid) FROM flow_workers w JOIN pg_stat_activity a ON "
        "a.application_name = $2 || w.id::text WHERE NOT w.dead AND w.lease_until <= " +
        now_sql(1);
    const auto answers =
        pipe_->run({{kHeld, {pipe_value(proof.worker), pipe_value(proof.fence), worker_.now()}},
                    {kBury, {worker_.now()}},
                    {kClaim, {pipe_value(proof.worker), pipe_value(count)}},
                    {kEnd, {worker_.now(), pipe_value(std::string_view(worker_.channels()))}}});
    if (!answers && pipe_->state() == "22012") return {};  // the next look finds out why
    if (!answers) return std::unexpected(answers.error());
    std::vector<Claimed> claimed;
    (*answers)[2].each([&](const Row& row) {
        claimed.push_back({postgres_head_of(row), row.integer(kHeadColumnCount) != 0});
    });
    if (claimed.empty()) return {};
    if (signed_of(claimed.size()) == count) wake();  // there may be more
    if (const auto told = events()) told->claimed(std::move(claimed));
    return {};
}

// ---- inboxes -----------------------------------------------------------------------------------

void PostgresMember::forget(std::uint64_t number) {
    const std::lock_guard lock(mutex_);
    finished_.push_back(number);
}

Result<void> PostgresMember::take_inbox(std::int64_t worker) {
    PipeColumn given(PipeType::integer);
    {
        const std::lock_guard lock(mutex_);
        // Only now: a look that was under way when they were written down did not see it.
        for (const std::uint64_t number : finished_) given_.erase(number);
        finished_.clear();
        for (const std::uint64_t number : given_) given.add(signed_of(number));
    }
    const auto answers = DG_TRY(pipe_->run(
        {{"SELECT i.number, i.run, i.input, i.asker, i.token FROM flow_inbox i WHERE (SELECT "
          "r.owner FROM flow_runs r WHERE r.id = i.run) = $1 AND i.number <> ALL($2::int8[]) ORDER "
          "BY i.number LIMIT $3",
          {pipe_value(worker), given.take(), pipe_value(kArrivalsMax)}},
         // What came for a run that had just ended.
         {"WITH late AS (DELETE FROM flow_inbox i WHERE (SELECT r.owner FROM flow_runs r WHERE "
          "r.id "
          "= i.run) = 0 RETURNING i.asker, i.token) INSERT INTO flow_replies(worker, token, code, "
          "message, subject) SELECT asker, token, $1, $2, ''::bytea FROM late WHERE asker <> 0 ON "
          "CONFLICT DO NOTHING",
          {pipe_value(static_cast<std::int64_t>(Code::failed_precondition)),
           base::store::pipe_bytes("the run is over; nothing of it waits")}}}));
    std::vector<Arrival> arrivals;
    Result<void> wrong;
    answers[0].each([&](const Row& row) {
        Arrival one;
        one.number = static_cast<std::uint64_t>(row.integer(0));
        one.run = id_of(row.text(1));
        one.asker = row.integer(3);
        one.token = static_cast<std::uint64_t>(row.integer(4));
        auto input = decode_input(row.text(2));
        if (!input) {
            wrong = std::unexpected(std::move(input).error());
            return;
        }
        one.input = *std::move(input);
        arrivals.push_back(std::move(one));
    });
    if (arrivals.empty()) return wrong;
    const bool full = signed_of(answers[0].rows()) == kArrivalsMax;
    const auto told = events();
    if (!told) return {};
    {
        const std::lock_guard lock(mutex_);
        for (const Arrival& one : arrivals) given_.insert(one.number);
    }
    told->arrived(std::move(arrivals));
    if (full) wake();
    return wrong;
}

std::uint64_t PostgresMember::expect(RunLog::Done done) {
    const std::lock_guard lock(mutex_);
    expected_[++token_last_] = std::move(done);
    return token_last_;
}

void PostgresMember::answer(std::uint64_t token, const Result<void>& result) {
    RunLog::Done done;
    {
        const std::lock_guard lock(mutex_);
        const auto found = expected_.find(token);
        if (found == expected_.end()) return;
        done = std::move(found->second);
        expected_.erase(found);
    }
    done(result);
}

void PostgresMember::unheard(const std::vector<std::uint64_t>& tokens) {
    for (const std::uint64_t token : tokens) {
        answer(token, fail(Code::failed_precondition, "the run is over; nothing of it waits"));
    }
}

Result<void> PostgresMember::take_replies(std::int64_t worker) {
    {
        const std::lock_guard lock(mutex_);
        if (expected_.empty()) return {};
    }
    const auto answers = DG_TRY(
        pipe_->run({{"SELECT token, code, message, subject FROM flow_replies WHERE worker = $1",
                     {pipe_value(worker)}}}));
    PipeColumn read(PipeType::integer);
    answers[0].each([&](const Row& row) {
        read.add(row.integer(0));
        Result<void> result;
        if (row.integer(1) >= 0) {
            result =
                std::unexpected(base::Error{static_cast<Code>(row.integer(1)),
                                            std::string(row.text(2)), std::string(row.text(3))});
        }
        answer(static_cast<std::uint64_t>(row.integer(0)), result);
    });
    if (read.size() == 0) return {};
    DG_TRY(pipe_->run({{"DELETE FROM flow_replies WHERE worker = $1 AND token = ANY($2::int8[])",
                        {pipe_value(worker), read.take()}}}));
    return {};
}

// ---- runs of others that somebody here looks at ------------------------------------------------

void PostgresMember::watch(RunId run, std::uint64_t from) {
    {
        const std::lock_guard lock(mutex_);
        const auto [watch, added] = watches_.emplace(run, Watch{from});
        if (!added) watch->second.next = std::min(watch->second.next, from);
    }
    wake();
}

void PostgresMember::unwatch(RunId run) {
    {
        const std::lock_guard lock(mutex_);
        if (watches_.erase(run) == 0) return;
        unwatched_.push_back(run);
    }
    wake();
}

Result<void> PostgresMember::look_at_watched(std::int64_t worker) {
    PipeColumn fresh(PipeType::uuid), gone(PipeType::uuid), all(PipeType::uuid);
    std::map<RunId, std::uint64_t> places;
    {
        const std::lock_guard lock(mutex_);
        for (const RunId run : unwatched_) gone.add(uuid_of(run));
        unwatched_.clear();
        for (auto& [run, watch] : watches_) {
            if (!watch.known) fresh.add(uuid_of(run));
            watch.known = true;
            all.add(uuid_of(run));
            places[run] = watch.next;
        }
    }
    if (gone.size() != 0) {
        DG_TRY(pipe_->run({{"DELETE FROM flow_watches WHERE worker = $1 AND run = ANY($2::uuid[])",
                            {pipe_value(worker), gone.take()}}}));
    }
    if (fresh.size() != 0) {
        DG_TRY(pipe_->run(
            {{"WITH put AS (INSERT INTO flow_watches(run, worker) SELECT u.run, $1 FROM "
              "unnest($2::uuid[]) AS u(run) ON CONFLICT DO NOTHING RETURNING run) SELECT "
              "pg_notify($3 || r.owner::text, 'watch') FROM put JOIN flow_runs r ON r.id = put.run "
              "WHERE r.owner <> 0",
              {pipe_value(worker), fresh.take(),
               pipe_value(std::string_view(worker_.channels()))}}}));
    }
    const auto answers = DG_TRY(pipe_->run(
        {{"SELECT EXISTS(SELECT 1 FROM flow_watches)::int"},
         {"SELECT w.run, (SELECT e.first + e.count FROM flow_records e WHERE e.run = w.run ORDER "
          "BY e.first DESC LIMIT 1) FROM unnest($1::uuid[]) AS w(run)",
          {all.take()}}}));
    writer_.set_watched(answers[0].integer() != 0);
    std::vector<RunId> moved;
    answers[1].each([&](const Row& row) {
        const RunId run = id_of(row.text(0));
        if (static_cast<std::uint64_t>(row.integer(1)) > places[run]) moved.push_back(run);
    });
    const auto told = events();
    for (const RunId run : moved) {
        std::uint64_t& next = places[run];
        for (;;) {
            auto more = DG_TRY(history_(run, next, kHistoryPage));
            if (more.empty() || !told) break;
            for (std::size_t i = 0; told->whole && i < more.size(); ++i) {
                DG_TRY(told->whole(run, more[i]));
            }
            const std::uint64_t first = next;
            next += more.size();
            const bool full = more.size() == kHistoryPage;
            told->moved(run, std::move(more), first);
            if (!full) break;
        }
        const std::lock_guard lock(mutex_);
        if (const auto found = watches_.find(run); found != watches_.end()) {
            found->second.next = std::max(found->second.next, next);
        }
    }
    return {};
}

/// What workers that are gone left behind.
Result<void> PostgresMember::tidy() {
    static const std::string kForget =
        "DELETE FROM flow_workers w WHERE w.dead AND w.lease_until < " + now_sql(1) +
        " - $2 AND NOT EXISTS (SELECT 1 FROM flow_runs r WHERE r.owner = w.id)";
    DG_TRY(pipe_->run(
        {{"DELETE FROM flow_places x USING flow_workers w WHERE w.id = x.worker AND w.dead"},
         {"DELETE FROM flow_watches x USING flow_workers w WHERE w.id = x.worker AND w.dead"},
         {"DELETE FROM flow_replies x USING flow_workers w WHERE w.id = x.worker AND w.dead"},
         {kForget, {worker_.now(), pipe_value(kWorkersKeptMs)}}}));
    return {};
}

}  // namespace flow
