#pragma once
// The engine's thread: takes requests from a bounded queue into the running set, steps it until
// there is nothing left, and runs other work that needs the model between steps.
//
// Other threads only add to what waits here; the engine's thread alone removes, so what it has
// looked up stays where it is.

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "engine/batch/gap_window.h"
#include "engine/batch/generation.h"
#include "engine/batch/running_set.h"
#include "engine/batch/wait_queue.h"

namespace engine {

struct BatcherLimits {
    std::uint32_t queue_depth_max = 256;
    std::uint32_t running_max = 16;
    std::uint32_t context_tokens = 0;
    std::uint32_t page_tokens = 0;  ///< of KV; with a running set above 0
};

struct BatcherStats {
    std::uint32_t queued = 0, running = 0;
    std::uint64_t requests_total = 0;
    std::uint32_t rows_last = 0;
    TokenGaps gaps;
    StepCounters totals;
};

class Batcher {
public:
    /// Starts the thread. running may be null (encoder models): only call() works then.
    Batcher(std::unique_ptr<RunningSet> running, BatcherLimits limits, const base::Clock& clock);
    ~Batcher();  ///< stop()

    /// Thread-safe. Errors: resource_exhausted (queue full), cancelled (stopped), those of
    /// plan_shift.
    /// guide: what the answer may say; null: free.
    base::Result<GenerationId> submit(GenerateRequest request, std::shared_ptr<GenerationSink> sink,
                                      std::unique_ptr<constrain::Guide> guide = nullptr);
    /// Takes effect before the next step. Thread-safe.
    void cancel(GenerationId id);
    /// Computes the prompt of `request` and keeps its pages; waits for that. Errors: those of
    /// submit and PrefixCache::keep.
    base::Result<KeptPrefix> keep(GenerateRequest request, base::Duration time_to_live);

    enum class Progress {
        done,
        more,        ///< call again after a step
        wants_pages  ///< the same; until then nobody new is admitted
    };
    /// Runs `work` on the engine's thread, once between two steps, until it is done, and waits for
    /// that. It gets the running set, null for encoders. What `work` owns is destroyed on that
    /// thread. Errors: cancelled, resource_exhausted (too many wait).
    base::Result<void> call(std::function<Progress(RunningSet*)> work);
    /// Ends all requests with `cancelled` and the thread. Thread-safe, idempotent; not from a sink,
    /// which runs on the thread this waits for.
    void stop();

    BatcherStats stats() const;  ///< thread-safe

private:
    struct Call;
    class End;

    void run();
    base::Result<GenerationId> enqueue(std::unique_ptr<Generation> generation);
    bool take_orders();
    Progress run_call();
    void end_waiting(const std::vector<GenerationId>& ids, FinishReason reason);
    void admit();
    Generation* next_waiting(const std::set<GenerationId>& passed);
    bool admit_next(Generation& next, std::set<GenerationId>& passed);
    std::unique_ptr<Generation> take_waiting(GenerationId id);
    void put_waiting(std::unique_ptr<Generation> generation);
    void end_queued();
    void requeue_set_aside();
    bool surrender_waiting();
    void publish();

    const BatcherLimits limits_;
    const base::Clock& clock_;
    std::unique_ptr<RunningSet> running_;  ///< the engine's thread only

    mutable std::mutex mutex_;  ///< guards everything below; never held while a sink is told
    std::condition_variable changed_;
    WaitQueue queue_;
    std::map<GenerationId, std::unique_ptr<Generation>> waiting_;  ///< what queue_ orders
    std::vector<GenerationId> cancelled_;
    std::deque<std::shared_ptr<Call>> calls_;
    bool stopping_ = false;
    GenerationId last_id_ = 0;
    BatcherStats stats_;
    GapWindow gaps_;

    std::mutex join_mutex_;  ///< one stop() joins, the others wait for it
    std::thread thread_;     ///< last: starts when everything else is there
};

}  // namespace engine
