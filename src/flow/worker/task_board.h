#pragma once
// Which worker outside does what: calls of `worker` steps, pending or given under a lease. Pure:
// time comes in, nothing blocks. The board is memory alone: after a crash the engine makes open
// calls again, with the same idempotency keys.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "flow/step_runner.h"

namespace flow {

/// What a worker wants: of each queue the functions it has; none named: all.
struct TaskWish {
    std::string tenant, worker;
    std::map<std::string, std::vector<std::string>> queues;
    std::uint32_t tasks_max = 1;
    std::chrono::milliseconds lease{30'000};
};

/// One call in the hands of one worker. `id` names this giving: given again, it is another.
struct GivenTask {
    std::string id;
    std::shared_ptr<const Call> call;
    std::uint32_t giving = 1;  ///< how often the attempt was given; above 1: a worker lost it
    std::chrono::milliseconds lease{0};
};

struct TaskCounts {
    std::string queue, function;
    std::uint64_t pending = 0, given = 0;
    base::Instant oldest = base::Instant::never();  ///< of what is pending
};

/// One thread, or under a lock.
class TaskBoard {
public:
    using Done = StepRunner::Done;
    struct Limits {
        std::size_t tasks_max = 1'000'000;
        std::uint32_t givings_max = 5;     ///< leases lost until the attempt counts as failed
        std::size_t remembered = 100'000;  ///< ended givings whose fate can still be told
    };
    /// `boot` tells this board's ids from those of an earlier process.
    TaskBoard(std::uint64_t boot, Limits limits);
    explicit TaskBoard(std::uint64_t boot) : TaskBoard(boot, Limits()) {}

    /// Errors: resource_exhausted. `done` is handed back by finish(), cancel() or tick().
    base::Result<void> add(Call call, Done done, base::Instant now);
    struct Cancelled {
        Done done;
        std::string tenant, worker, id;  ///< who has it; empty: nobody had
    };
    std::optional<Cancelled> cancel(RunId run, std::string_view path);

    /// The most urgent first: by the workflow's priority, then by age.
    std::vector<GivenTask> take(const TaskWish& wish, base::Instant now);
    /// How many there are for a wish, counted up to `enough`.
    std::size_t pending(const TaskWish& wish, std::size_t enough) const;
    /// The lease begins anew. Errors say why it is not the caller's: not_found (of another process,
    /// or long over), cancelled (nobody waits for it), failed_precondition (the lease ran out).
    base::Result<void> extend(std::string_view tenant, std::string_view id, base::Instant now);
    /// The task is over. Errors: extend's; then the result counts for nothing.
    base::Result<Done> finish(std::string_view tenant, std::string_view id);
    /// It was never received: pending again, and the giving does not count.
    void give_back(std::string_view id);

    struct Exhausted {
        Done done;
        std::string message;
    };
    /// Leases that ran out: their tasks are pending again, or given up.
    std::vector<Exhausted> tick(base::Instant now);
    /// When the next lease runs out.
    base::Instant next_due() const;

    std::vector<TaskCounts> counts(std::string_view tenant) const;
    std::size_t size() const { return tasks_.size(); }

private:
    struct Key {
        std::string tenant, queue, function;
        auto operator<=>(const Key&) const = default;
    };
    struct Task {
        std::shared_ptr<const Call> call;
        Done done;
        Key key;
        std::int64_t urgency = 0;  ///< smaller first
        base::Instant since;
        std::uint32_t giving = 0, lost = 0;
        bool given = false;
        std::string worker;
        std::chrono::milliseconds lease{0};
        base::Instant lease_until;
    };
    enum class Fate : std::uint8_t { finished, cancelled, lost };
    using Order = std::pair<std::int64_t, std::uint64_t>;  ///< urgency, number

    std::string id_of(std::uint64_t number, std::uint32_t giving) const;
    base::Result<std::uint64_t> number_of(std::string_view tenant, std::string_view id) const;
    void set_pending(std::uint64_t number, Task& task);
    void remove(std::uint64_t number);
    void remember(std::uint64_t number, std::uint32_t giving, Fate fate);
    template <class Each>
    void each_list(const TaskWish& wish, const Each& each) const;

    const std::uint64_t boot_;
    const Limits limits_;
    std::uint64_t last_ = 0;
    std::unordered_map<std::uint64_t, Task> tasks_;
    std::unordered_map<std::string, std::uint64_t> by_call_;  ///< run/path
    std::map<Key, std::set<Order>> pending_;
    std::set<std::pair<base::Instant, std::uint64_t>> leases_;
    std::unordered_map<std::string, Fate> fates_;  ///< of givings that ended
    std::deque<std::string> fates_order_;
};

}  // namespace flow
