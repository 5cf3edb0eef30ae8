#pragma once
// Calls wait for a place in their queue before they go out. A step (or a whole run) that wants one
// makes a call of its own for it (`Call::admission`), so that the wait is in the run's state and
// costs no thread; the step's call follows when the place is there, and gives it back at its end.

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/core/clock.h"
#include "flow/queue/queue_board.h"
#include "flow/queue/shared_places.h"
#include "flow/step_runner.h"

namespace flow {

struct QueueView {
    std::string workflow, queue;
    QueueBoard::Counts counts;
};

/// Thread-safe. Calls of the inner runner may come on any thread.
class QueuedRunner final : public StepRunner {
public:
    /// What the process does itself has a queue, too, in which tenants take turns.
    struct Local {
        std::uint32_t concurrency = 0;  ///< 0: no such queue
        std::function<bool(const Call&)> is_local;
    };
    /// All outlive it. `shared`: other processes have the same queues; null: this one is alone.
    QueuedRunner(StepRunner& inner, const base::Clock& clock, Local local,
                 SharedPlaces* shared = nullptr);
    ~QueuedRunner() override;

    void run(Call call, Done done) override;
    void cancel(RunId run, std::string_view path) override;
    /// Nobody new gets a place of a workflow's queue before this: who had one before a crash comes
    /// first. To be called when the engine has made its open calls again.
    void open();
    /// Lets begin who may; by itself after each change, and when a rate allows it.
    void look();
    /// Agrees with other processes on places, once; by itself when something changed.
    void share();
    std::vector<QueueView> queues(std::string_view tenant);

private:
    using Go = std::function<void()>;
    struct Entry {
        std::string place;
        Go go;  ///< empty once it was let in
        Done done;
    };
    std::uint64_t enter(const std::string& place, QueueBoard::Place wish, Go go, Done done);
    void give_back(std::uint64_t id);
    void forget(std::uint64_t id);
    void out(Call call, Done done);
    void watch(const std::stop_token& stop);
    void keep_sharing(const std::stop_token& stop);
    void want_places();
    /// A queue that other processes share.
    struct Shared {
        std::uint32_t version = 0;
        QueueBoard::Limits limits;
        QueueBoard::Allowance has;
        base::Instant due = base::Instant::never();
    };
    bool is_used(const std::string& queue) const;
    QueueBoard::Allowance held_still(const Shared& queue, std::uint64_t running) const;

    StepRunner& inner_;
    const base::Clock& clock_;
    const Local local_;
    SharedPlaces* const shared_;
    std::mutex mutex_;  // guards what is below; nothing is called under it
    QueueBoard board_;
    std::uint64_t last_ = 0;
    std::unordered_map<std::uint64_t, Entry> entries_;
    std::unordered_map<std::string, std::uint64_t> places_;    ///< run, path and kind
    std::unordered_map<std::string, std::uint32_t> versions_;  ///< whose limits a queue has
    std::vector<Done> dropped_;                                ///< of calls that need not be made
    std::vector<std::pair<Call, Done>> early_;                 ///< asked before open()
    bool open_ = false;
    bool looking_ = false;  ///< somebody lets others in
    std::map<std::string, Shared> shared_queues_;
    bool share_soon_ = false;
    std::condition_variable_any wake_, share_wake_;
    std::jthread thread_, sharing_;
};

}  // namespace flow
