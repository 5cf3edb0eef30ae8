#pragma once
// The sequences that are computed together. One step: a decode row of each, and chunks of the
// prompts that are not in the cache yet. Single-threaded; batcher.h puts it on a thread.

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "engine/batch/generation.h"
#include "engine/batch/step_plan.h"
#include "engine/graph/decoder.h"
#include "engine/kv/kv_sequence.h"
#include "engine/tokenizer/tokenizer.h"

namespace base {
class ThreadPool;
}

namespace engine {

/// Work done, as totals.
struct StepCounters {
    std::uint64_t steps = 0, prompt_tokens = 0, completion_tokens = 0, forced_tokens = 0;
    double prefill_seconds = 0, decode_seconds = 0;

    StepCounters& operator+=(const StepCounters& other);
};

/// What happened since the last reading.
struct StepReport {
    StepCounters counters;
    std::uint32_t rows = 0;                          ///< of the last step
    std::map<std::string, std::uint64_t> generated;  ///< tokens by tenant
    std::vector<base::Duration> gaps;                ///< between tokens of one stream
};

class RunningSet {
public:
    /// All references must outlive this.
    RunningSet(Decoder& decoder, const Tokenizer& tokenizer, base::ThreadPool& pool, KvPool& kv,
               const base::Clock& clock, const StepBudget& budget);

    std::size_t size() const { return running_.size(); }
    bool empty() const { return running_.empty(); }

    /// Whether the KV pages it may need are there.
    bool has_room_for(const Generation& generation) const;
    /// Returns the tokens that have to be computed before it streams. Pre: has_room_for().
    std::uint64_t admit(std::unique_ptr<Generation> generation);
    void cancel(GenerationId id);
    void finish_all(FinishReason reason);
    /// Ends what is past its deadline, computes one batch, and tells the sinks. Pre: !empty().
    void step();

    StepReport take_report();

private:
    void end_overdue();
    std::vector<RowShare> plan();
    std::vector<RowShare> prepare_rows();
    void count_step(std::span<const RowShare> shares, double seconds);
    void take_tokens(std::span<const RowShare> shares, std::span<float> logits);
    void forget_finished();

    Decoder& decoder_;
    const Tokenizer& tokenizer_;
    base::ThreadPool& pool_;
    KvPool& kv_;
    const base::Clock& clock_;
    const StepBudget budget_;
    StepCost cost_;
    std::vector<std::unique_ptr<Generation>> running_;  ///< null: finished in this step
    std::vector<BatchRow> rows_;
    StepReport report_;
};

}  // namespace engine
