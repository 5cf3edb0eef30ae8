#include "base/store/group_commit.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace base::store {
namespace {
constexpr int kTriesMax = 8;                         // of a work that the database asks to repeat
constexpr std::chrono::microseconds kPatience{500};  // about a sync
}  // namespace

// std::atomic::wait yields the processor some times before it sleeps: with many writers on few
// processors that is a twentieth of all time.
void GroupCommit::Turn::wait() {
    static_assert(sizeof(state) == sizeof(std::uint32_t));
    while (state.load(std::memory_order_acquire) == waiting) {
        ::syscall(SYS_futex, &state, FUTEX_WAIT_PRIVATE, waiting, nullptr, nullptr, 0);
    }
}

void GroupCommit::Turn::wake(State to) {
    state.store(to, std::memory_order_release);
    ::syscall(SYS_futex, &state, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

Result<void> GroupCommit::write(const Work& work) {
    auto mine = std::make_shared<Turn>();
    mine->work = &work;
    return submit(mine);
}

Result<void> GroupCommit::between(const std::function<Result<void>(Connection&)>& task) {
    auto mine = std::make_shared<Turn>();
    mine->task = &task;
    return submit(mine);
}

Result<void> GroupCommit::submit(const TurnPtr& mine) {
    {
        std::lock_guard lock(mutex_);
        if (queue_.size() >= waiting_max_) {
            return fail(Code::resource_exhausted,
                        "{} writes wait for the disk already; try again when some are done",
                        queue_.size());
        }
        queue_.push_back(mine);
        if (awaited_) arrived_.notify_one();
        if (!led_) mine->state = leading;
        led_ = true;
    }
    mine->wait();
    if (mine->state == leading) lead(mine);
    return std::move(mine->result);
}

void GroupCommit::lead(const TurnPtr& mine) {
    std::vector<TurnPtr> group = take_group();
    if (mine->task != nullptr) {
        mine->result = (*mine->task)(*connection_);
    } else {
        run_group(group);
        if (after_commit_) after_commit_(*connection_);
    }
    TurnPtr next;
    {
        std::lock_guard lock(mutex_);
        last_group_ = group.size();
        if (queue_.empty()) {
            led_ = false;
        } else {
            next = queue_.front();
        }
    }
    // The next leader first: it works while the others wake up.
    if (next) next->wake(leading);
    for (const TurnPtr& turn : group) {
        if (turn != mine) turn->wake(done);
    }
}

std::vector<GroupCommit::TurnPtr> GroupCommit::take_group() {
    std::lock_guard lock(mutex_);
    std::vector<TurnPtr> group;
    while (!queue_.empty() && group.size() < group_max_) {
        if (queue_.front()->task != nullptr && !group.empty()) break;
        group.push_back(std::move(queue_.front()));
        queue_.pop_front();
        if (group.back()->task != nullptr) break;
    }
    return group;
}

/// Works that came meanwhile; false: none. Where the last group was large, those of it who come
/// again are on their way: a sync for the first of them alone would keep the others waiting.
bool GroupCommit::take_more(std::vector<TurnPtr>& group, std::chrono::microseconds& patience) {
    std::unique_lock lock(mutex_);
    const std::size_t before = group.size();
    if (queue_.empty() && before < last_group_ / 2 && patience.count() > 0) {
        const auto begin = std::chrono::steady_clock::now();
        awaited_ = true;
        arrived_.wait_for(lock, patience, [this] { return !queue_.empty(); });
        awaited_ = false;
        patience -= std::chrono::duration_cast<std::chrono::microseconds>(
            std::chrono::steady_clock::now() - begin);
    }
    while (!queue_.empty() && queue_.front()->task == nullptr && group.size() < group_max_) {
        group.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    return group.size() > before;
}

void GroupCommit::run_group(std::vector<TurnPtr>& group) {
    // A savepoint copies every page its work touches, and almost no work has anything to undo.
    if (run_together(group)) return;
    if (group.size() == 1) {
        group[0]->result = run_alone(*group[0]->work);
    } else {
        run_apart(group);
    }
}

/// Without savepoints. False: a work that had written failed; nothing is left of any. Who comes
/// while it runs is taken along: the sync is the same for all.
bool GroupCommit::run_together(std::vector<TurnPtr>& group) {
    if (Result<void> begun = connection_->begin_write(); !begun) {
        for (const TurnPtr& turn : group) turn->result = begun;
        return true;
    }
    std::vector<TurnPtr> ran;
    std::chrono::microseconds patience = kPatience;
    for (std::size_t i = 0; i < group.size() || take_more(group, patience); ++i) {
        const TurnPtr turn = group[i];
        const std::int64_t written = connection_->written();
        turn->result = (*turn->work)(*connection_);
        if (turn->result) {
            ran.push_back(turn);
            continue;
        }
        if (connection_->written() != written || !connection_->in_transaction()) {
            const bool alone = group.size() == 1 && !connection_->again();
            connection_->rollback();
            return alone;
        }
        connection_->forgive();
    }
    commit(ran);
    return true;
}

void GroupCommit::run_apart(const std::vector<TurnPtr>& group) {
    if (Result<void> begun = connection_->begin_write(); !begun) {
        for (const TurnPtr& turn : group) turn->result = begun;
        return;
    }
    std::vector<TurnPtr> ran;
    for (const TurnPtr& turn : group) {
        turn->result = run_in_savepoint(*turn->work);
        if (turn->result) ran.push_back(turn);
        if (turn->result || (connection_->in_transaction() && !connection_->again())) continue;
        // The transaction is lost, and with it what ran before: each on its own, then, so that
        // the one at fault fails alone.
        connection_->rollback();
        return run_each(group);
    }
    commit(ran);
}

void GroupCommit::commit(const std::vector<TurnPtr>& ran) {
    const Result<void> committed = connection_->commit();
    if (committed) return;
    connection_->rollback();
    const bool fewer_may_fit = committed.error().code == Code::resource_exhausted && ran.size() > 1;
    if (fewer_may_fit || connection_->again()) return run_each(ran);
    for (const TurnPtr& turn : ran) turn->result = committed;
}

void GroupCommit::run_each(const std::vector<TurnPtr>& group) {
    for (const TurnPtr& turn : group) turn->result = run_alone(*turn->work);
}

Result<void> GroupCommit::run_alone(const Work& work) {
    Result<void> result = run_once(work);
    for (int tries = 1; !result && connection_->again() && tries < kTriesMax; ++tries) {
        result = run_once(work);
    }
    return result;
}

Result<void> GroupCommit::run_once(const Work& work) {
    DG_TRY(connection_->begin_write());
    Result<void> result = work(*connection_);
    if (result && !connection_->in_transaction()) {
        result = fail(Code::internal, "the database gave the transaction up without an error");
    }
    if (result) result = connection_->commit();
    if (!result) connection_->rollback();
    return result;
}

Result<void> GroupCommit::run_in_savepoint(const Work& work) {
    DG_TRY(connection_->savepoint());
    Result<void> result = work(*connection_);
    if (result) result = connection_->release();
    if (!result && connection_->in_transaction() && !connection_->again()) {
        if (Result<void> undone = connection_->undo(); !undone) connection_->rollback();
    }
    return result;
}

}  // namespace base::store
