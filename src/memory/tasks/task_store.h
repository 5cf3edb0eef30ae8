#pragma once
// Checkpoints in the truth: a step and what it leaves as a memory are one transaction.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "memory/tasks/task.h"
#include "memory/truth/truth.h"

namespace memory::tasks {

/// Tables of a shard that hold them; for base::store::migrate.
std::vector<std::string> schema_steps(const base::store::Dialect& dialect);

class TaskStore {
public:
    TaskStore(truth::Truth& truth, const base::Clock& clock, CheckpointLimits limits = {})
        : truth_(truth), clock_(clock), limits_(limits) {}
    /// Makes the tables where they are missing. Once, before anything else.
    base::Result<void> open();

    struct Saved {
        Checkpoint checkpoint;               ///< with number, time and memory; without the state
        std::vector<truth::Change> changes;  ///< what indexes must hear
    };
    /// `after`: the number that must be the last one so far (0: none yet), so that of two workers
    /// on one task only one goes on. Errors: check_checkpoint's; failed_precondition (another went
    /// on); already_exists (the name).
    base::Result<Saved> save(const Scope& scope, Checkpoint checkpoint,
                             std::optional<std::uint32_t> after, std::string_view by,
                             std::string_view model);

    /// The last one, or the one of that name. Errors: not_found.
    base::Result<Checkpoint> resume(std::string_view tenant, std::string_view task,
                                    std::string_view name = {});
    /// Newest first, below `before` (0: all), without their states.
    base::Result<std::vector<Checkpoint>> list(std::string_view tenant, std::string_view task,
                                               std::uint32_t limit, std::uint32_t before = 0);
    /// Of the last `recent` checkpoints. Errors: not_found.
    base::Result<TaskSummary> summary(std::string_view tenant, std::string_view task,
                                      std::uint32_t recent = 5);
    /// The last checkpoint of each task, the one that moved last first, without their states.
    base::Result<std::vector<Checkpoint>> tasks(std::string_view tenant, std::uint32_t limit);
    /// A task with all its checkpoints; memories made by it stay. Errors: not_found.
    base::Result<void> remove(std::string_view tenant, std::string_view task);

private:
    truth::Truth& truth_;
    const base::Clock& clock_;
    const CheckpointLimits limits_;
};

}  // namespace memory::tasks
