#include "flow/log/postgres_writer.h"

#include <algorithm>
#include <chrono>

namespace flow {

using base::Code;
using base::fail;
using base::Result;

namespace {

constexpr std::size_t kGroupBytesMax = 8u << 20;
constexpr std::size_t kGroupMax = 4'000;
constexpr std::chrono::milliseconds kPause{50};
// What a server that is away may take from the end of the process.
constexpr std::chrono::milliseconds kLastPatience{5'000};

std::unexpected<base::Error> no_lease() {
    return fail(Code::unavailable,
                "this process lost its lease on its runs; others go on with them");
}

/// The fault is of one commit, not of the server: the others of its group are written without it.
bool of_its_own(Code code) {
    return code == Code::already_exists || code == Code::invalid_argument ||
           code == Code::payload_too_large || code == Code::internal;
}

}  // namespace

PostgresWriter::PostgresWriter(PostgresWorker& worker, Events events)
    : worker_(worker), events_(std::move(events)) {
    if (worker_.options().threaded) thread_ = std::thread([this] { run(); });
}

PostgresWriter::~PostgresWriter() {
    stop();
}

void PostgresWriter::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) {
        thread_.join();
    } else {
        flush();
    }
}

void PostgresWriter::append(QueuedCommit commit) {
    const std::lock_guard lock(mutex_);
    for (const auto& change : commit.changes) ++runs_[change.head.id].out;
    commit.worker = worker_.proof().worker;
    queue_.push_back(std::move(commit));
    wake_.notify_one();
}

void PostgresWriter::flush() {
    if (!worker_.options().threaded) {
        while (write_some()) {
        }
        return;
    }
    std::unique_lock lock(mutex_);
    idle_.wait(lock, [&] { return queue_.empty() && !writing_; });
}

void PostgresWriter::run() {
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [&] { return !queue_.empty() || stopping_; });
            if (queue_.empty()) return;
        }
        write_some();
    }
}

/// One group. False: there was nothing.
bool PostgresWriter::write_some() {
    std::vector<QueuedCommit> group;
    {
        const std::lock_guard lock(mutex_);
        std::size_t bytes = 0;
        while (!queue_.empty() && group.size() < kGroupMax && bytes < kGroupBytesMax &&
               (group.empty() || queue_.front().worker == group[0].worker)) {
            bytes += queue_.front().bytes;
            group.push_back(std::move(queue_.front()));
            queue_.pop_front();
        }
        if (group.empty()) return false;
        writing_ = true;
    }
    const bool clean = std::ranges::none_of(group, [&](const auto& one) { return broken(one); });
    std::vector<QueuedCommit*> all;
    for (QueuedCommit& commit : group) all.push_back(&commit);
    const Result<void> written = clean ? write(all) : fail(Code::internal, "broken");
    if (!written && of_its_own(written.error().code) && (group.size() > 1 || !clean)) {
        write_each(group);
    } else {
        for (QueuedCommit& commit : group) settle(commit, written);
    }
    const std::lock_guard lock(mutex_);
    writing_ = false;
    if (queue_.empty()) idle_.notify_all();
    return true;
}

void PostgresWriter::write_each(std::vector<QueuedCommit>& group) {
    for (QueuedCommit& commit : group) {
        if (broken(commit)) {
            settle(commit, fail(Code::unavailable, "an earlier write of this run has failed"));
            continue;
        }
        QueuedCommit* one = &commit;
        settle(commit, write({&one, 1}));
    }
}

bool PostgresWriter::broken(const QueuedCommit& commit) {
    const std::lock_guard lock(mutex_);
    return std::ranges::any_of(commit.changes,
                               [&](const auto& change) { return runs_.at(change.head.id).broken; });
}

void PostgresWriter::settle(QueuedCommit& commit, Result<void> result) {
    {
        const std::lock_guard lock(mutex_);
        for (const auto& change : commit.changes) {
            const auto found = runs_.find(change.head.id);
            if (!result) found->second.broken = true;
            if (--found->second.out == 0) runs_.erase(found);
        }
    }
    if (commit.done) commit.done(std::move(result));
}

/// False: the process ends, and has waited long enough.
bool PostgresWriter::pause() {
    std::unique_lock lock(mutex_);
    if (!worker_.options().threaded) return false;
    return !wake_.wait_for(lock, kPause, [&] { return stopping_; });
}

/// Whether commit `number`, which was out when the connection was lost, is in. Errors: the process
/// ends and the server is still away.
Result<bool> PostgresWriter::look_up(std::int64_t number) {
    auto patience = kLastPatience;
    for (;;) {
        Result<bool> known = false;
        if (auto pipe = worker_.connect(""); pipe) {
            pipe_ = *std::move(pipe);
            known = worker_.was_committed(*pipe_, number);
            if (known) return *known;
        } else {
            known = std::unexpected(std::move(pipe).error());
        }
        if (known.error().code == Code::data_loss) return known;
        if (pause()) continue;
        std::this_thread::sleep_for(kPause);
        patience -= kPause;
        if (patience.count() <= 0) return known;
    }
}

/// One transaction, again and again until it is known to be in or known to have failed.
Result<void> PostgresWriter::write(std::span<QueuedCommit*> group) {
    for (int conflicts = 0;;) {
        const PostgresWorker::Proof proof = worker_.proof();
        // What was decided before the lease was lost is nothing for the next.
        if (proof.worker == 0 || proof.worker != group[0]->worker) return no_lease();
        if (commits_of_ != proof.worker) {
            commits_of_ = proof.worker;
            commits_ = 0;
            pipe_.reset();  // its name is the last worker's
        }
        if (pipe_ == nullptr || pipe_->lost()) {
            pipe_ = DG_TRY(worker_.connect(""));
            // Nothing is out, but the fence goes up: nothing of an earlier connection can come.
            DG_TRY(worker_.was_committed(*pipe_, commits_ + 1));
            continue;
        }
        PostgresBatch batch({.worker = proof.worker,
                             .fence = proof.fence,
                             .commits = commits_ + 1,
                             .now = worker_.now(),
                             .lease_ms = worker_.options().lease.count(),
                             .channels = worker_.channels(),
                             .watched = watched_});
        for (const QueuedCommit* commit : group) batch.add(*commit);
        std::size_t asked = 0;
        const auto statements = batch.take(asked);
        const auto answers = pipe_->run(statements);
        bool in = answers.has_value();
        std::unordered_set<std::uint64_t> unheard;
        for (const QueuedCommit* commit : group) {
            for (const auto& post : commit->posts) {
                if (post.token != 0) unheard.insert(post.token);
            }
        }
        if (in && asked != 0) {
            (*answers)[asked].each([&](const base::store::Row& row) {
                unheard.erase(static_cast<std::uint64_t>(row.integer(0)));
            });
        } else if (!in && pipe_->lost()) {
            in = DG_TRY(look_up(commits_ + 1));
            unheard.clear();  // not known; whoever asked has its patience
            if (!in) continue;
        }
        if (in) {
            ++commits_;
            if (!unheard.empty()) events_.unheard({unheard.begin(), unheard.end()});
            return {};
        }
        const std::string& state = pipe_->state();
        if (state == "22012") {  // the first statement divided by no row
            if (worker_.lose()) events_.lost();
            return no_lease();
        }
        const bool again = state.starts_with("40") || state == "57014" || state == "26000";
        if (!again || ++conflicts > 20) return std::unexpected(answers.error());
    }
}

}  // namespace flow
