#pragma once
// Many callers, one transaction. Whoever comes when nobody writes becomes the leader, runs all the
// works that wait on its own thread and commits them with one sync; meanwhile others queue up for
// the next leader. No thread of its own: a lone write costs no switch of threads. A leader waits a
// moment for more only after a large group, whose writers are on their way back; to wait always,
// as PostgreSQL's commit_delay does, gained nothing when it was tried.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "base/store/connection.h"

namespace base::store {

class GroupCommit {
public:
    GroupCommit(std::unique_ptr<Connection> connection, const StoreOptions& options)
        : connection_(std::move(connection)),
          group_max_(options.group_max),
          waiting_max_(options.waiting_max) {}

    /// Store::write.
    Result<void> write(const Work& work);
    /// Runs `task` between two groups, outside of any transaction.
    Result<void> between(const std::function<Result<void>(Connection&)>& task);
    /// Called by the leader after each commit, before the next group.
    void after_commit(std::function<void(Connection&)> hook) { after_commit_ = std::move(hook); }

private:
    enum State : std::uint32_t { waiting, leading, done };
    struct Turn {
        const Work* work = nullptr;
        const std::function<Result<void>(Connection&)>* task = nullptr;
        Result<void> result;
        std::atomic<std::uint32_t> state{waiting};

        void wait();  // until it leads or is done
        void wake(State to);
    };
    using TurnPtr = std::shared_ptr<Turn>;

    Result<void> submit(const TurnPtr& mine);
    void lead(const TurnPtr& mine);
    std::vector<TurnPtr> take_group();
    bool take_more(std::vector<TurnPtr>& group, std::chrono::microseconds& patience);
    void run_group(std::vector<TurnPtr>& group);
    bool run_together(std::vector<TurnPtr>& group);
    void run_apart(const std::vector<TurnPtr>& group);
    void commit(const std::vector<TurnPtr>& ran);
    void run_each(const std::vector<TurnPtr>& group);
    Result<void> run_alone(const Work& work);
    Result<void> run_once(const Work& work);
    Result<void> run_in_savepoint(const Work& work);

    std::unique_ptr<Connection> connection_;  // of the leader
    std::function<void(Connection&)> after_commit_;
    const std::uint32_t group_max_, waiting_max_;
    std::mutex mutex_;  // guards what follows
    std::deque<TurnPtr> queue_;
    bool led_ = false, awaited_ = false;
    std::size_t last_group_ = 0;
    std::condition_variable arrived_;
};

}  // namespace base::store
