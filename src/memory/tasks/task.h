#pragma once
// Tasks that last longer than any process: each step leaves a checkpoint from which the next one,
// on any machine, goes on. [AInfra 2.2.3] long-task memory: intermediate results, reflection,
// resume.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "memory/entry.h"

namespace memory::tasks {

struct Checkpoint {
    std::string task;             ///< names the task within its tenant, 1 to 256 bytes
    std::uint32_t number = 0;     ///< from 1 within the task; given by the store
    std::string name = {};        ///< to resume from by name; once within a task, or empty
    std::string state = {};       ///< what the task needs to go on: any bytes, JSON by custom
    std::string result = {};      ///< what this step brought; found as a memory
    std::string reflection = {};  ///< what was learnt; found as a memory
    std::vector<std::string> next_steps = {};
    std::optional<double> progress = {};  ///< 0..1
    bool finished = false;                ///< nothing is to be resumed
    UnixMs created_unix_ms = 0;           ///< 0: now
    MemoryId memory = {};                 ///< of result and reflection; empty: there were none
    bool state_kept = true;               ///< false: only the last ones and named ones keep it
};

struct CheckpointLimits {
    std::size_t state_bytes_max = 16u << 20;
    std::size_t text_bytes_max = 64u << 10;  ///< of result, reflection and each step
    std::uint32_t states_kept = 100;         ///< of a task; beyond, named ones alone
};

/// Errors: invalid_argument or payload_too_large naming the field.
base::Result<void> check_checkpoint(const Checkpoint& checkpoint, const CheckpointLimits& limits);

/// What resume() tells beside the checkpoint, and what a model is shown of a task.
struct TaskSummary {
    std::string task = {};
    std::uint32_t checkpoints = 0;
    UnixMs began_unix_ms = 0, last_unix_ms = 0;
    bool finished = false;
    std::optional<double> progress = {};
    std::vector<std::string> results = {}, reflections = {};  ///< the most recent, oldest first
    std::vector<std::string> next_steps = {};                 ///< of the last checkpoint
    std::string text = {};                                    ///< all of it, for people and prompts
};

/// `recent`: the last checkpoints of the task, oldest first, at least one; `began` is the first
/// one's time. Pure.
TaskSummary summarise(const std::vector<Checkpoint>& recent, std::uint32_t checkpoints,
                      UnixMs began_unix_ms);

}  // namespace memory::tasks
