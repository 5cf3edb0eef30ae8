#pragma once
// Commits of many runs, one transaction at a time: whoever comes while one is out waits for the
// next, which takes all that wait. A commit whose connection was lost is looked up, never guessed.

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "flow/log/postgres_batch.h"
#include "flow/log/postgres_worker.h"

namespace flow {

/// Thread-safe.
class PostgresWriter {
public:
    struct Events {
        std::function<void()> lost;  ///< the lease is gone; on the thread that writes
        /// These questions found nobody's inbox.
        std::function<void(std::vector<std::uint64_t>)> unheard;
    };
    PostgresWriter(PostgresWorker& worker, Events events);
    ~PostgresWriter();  ///< stop()

    /// RunLog::append's promises.
    void append(QueuedCommit commit);
    void flush();
    /// Finishes what waits; what cannot be written by then fails. Idempotent.
    void stop();
    /// Commits notify who watches runs.
    void set_watched(bool watched) { watched_ = watched; }

private:
    struct Writes {
        std::uint32_t out = 0;
        bool broken = false;  ///< one failed, and some behind it have not said so yet
    };
    void run();
    bool write_some();
    void write_each(std::vector<QueuedCommit>& group);
    base::Result<void> write(std::span<QueuedCommit*> group);
    base::Result<bool> look_up(std::int64_t number);
    bool pause();
    void settle(QueuedCommit& commit, base::Result<void> result);
    bool broken(const QueuedCommit& commit);

    PostgresWorker& worker_;
    const Events events_;
    std::atomic<bool> watched_ = false;
    std::unique_ptr<PostgresWorker::Pipe> pipe_;  // of the thread that writes
    std::int64_t commits_ = 0, commits_of_ = 0;   // the same; of which worker
    std::mutex mutex_;                            // guards what is below
    std::condition_variable wake_, idle_;
    std::deque<QueuedCommit> queue_;
    std::unordered_map<RunId, Writes> runs_;  ///< with writes out
    bool writing_ = false, stopping_ = false;
    std::thread thread_;
};

}  // namespace flow
