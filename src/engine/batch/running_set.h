#pragma once
// The sequences that are computed together. One step: a row of each stream, and chunks of the
// prompts that are not in the cache yet, whole or in parts. Single-threaded; batcher.h puts it on a
// thread.
//
// Pages are promised by forecast, not reserved. When they run out after all, the least important
// sequence is set aside before the step: its KV goes to disk or is dropped, whichever costs less,
// and it waits again. Its tokens are known, so computing them again gives the same KV and the same
// answer.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/core/clock.h"
#include "engine/batch/admission.h"
#include "engine/batch/chunk_reader.h"
#include "engine/batch/generation.h"
#include "engine/batch/output_forecast.h"
#include "engine/batch/riders.h"
#include "engine/batch/set_aside.h"
#include "engine/batch/step_plan.h"
#include "engine/graph/decoder.h"
#include "engine/kv/kv_spill.h"
#include "engine/kv/prefix_cache.h"
#include "engine/tokenizer/tokenizer.h"

namespace base {
class ThreadPool;
}

namespace engine {

/// Work done, as totals.
struct StepCounters {
    std::uint64_t steps = 0, prompt_tokens = 0, completion_tokens = 0, forced_tokens = 0;
    std::uint64_t cached_tokens = 0;  ///< of prompts: found in the prefix cache
    std::uint64_t preempted = 0, swapped_out_bytes = 0;
    double prefill_seconds = 0, decode_seconds = 0;

    StepCounters& operator+=(const StepCounters& other);
};

/// What happened since the last reading.
struct StepReport {
    StepCounters counters;
    std::uint32_t rows = 0;                          ///< of the last step, in parts too
    std::map<std::string, std::uint64_t> generated;  ///< tokens by tenant
    std::vector<base::Duration> gaps;                ///< between tokens of one stream
};

/// What a running set works with. All must outlive it.
struct RunningParts {
    Decoder& decoder;
    const Tokenizer& tokenizer;
    base::ThreadPool& threads;
    KvPool& pages;
    PrefixCache& cache;
    KvSpill* spill = nullptr;  ///< null: what loses its place is computed again
    const base::Clock& clock;
};

class RunningSet {
public:
    RunningSet(const RunningParts& parts, const StepBudget& budget);

    std::size_t size() const { return running_.size(); }
    bool empty() const { return running_.empty(); }

    /// Whose chunk is half done; 0: nobody's.
    GenerationId half_done() const { return chunk_.owner(); }

    Verdict consider(Generation& generation) const;
    /// Returns the tokens its tenant is charged: those to compute before it streams, once; none,
    /// with `generation` left as it was, when its pages turn out not to be there. Pre: consider()
    /// said ready.
    std::optional<std::uint64_t> admit(std::unique_ptr<Generation>& generation);
    /// Sets the least important one of a priority below `priority` aside; false: there is none.
    bool make_way(std::int32_t priority);
    /// Those that lost their place since the last call.
    std::vector<std::unique_ptr<Generation>> take_set_aside();

    void cancel(GenerationId id);
    void finish_all(FinishReason reason);
    /// Ends what is past its deadline, computes one batch, and tells the sinks. Pre: !empty().
    void step();

    StepReport take_report();
    /// Rows at `depth` that other work may compute between two steps without making streams wait
    /// longer than they may.
    std::uint32_t rows_between_steps(std::uint32_t depth) const;
    /// Other work holds pages for now: a sequence that finds none waits for them.
    void share_pages(bool shared) { pages_shared_ = shared; }
    /// Asked when nobody who runs can give pages: makes those that wait give up the ones they still
    /// hold, and returns whether any did.
    using Surrender = std::function<bool()>;
    void on_famine(Surrender surrender) { surrender_ = std::move(surrender); }
    /// Takes back what those hold that were set aside. False: they hold nothing.
    bool take_back_pages();
    /// Other work computed such rows.
    void observe(const StepShape& shape, double seconds) { cost_.observe(shape, seconds); }

private:
    /// Somebody else will give pages back.
    bool others_hold_pages() const { return pages_shared_ || !running_.empty(); }
    void end_overdue();
    std::vector<SequenceWork> work() const;
    StepPlan plan();
    void prepare(StepPlan& plan);
    void read_in_parts(const StepPlan& plan);
    bool begin_chunk(Generation& generation, std::uint32_t rows);
    void take_chunk(std::size_t index);
    void compute_whole(const StepPlan& plan);
    bool find_pages(std::size_t index, std::uint32_t rows);
    std::optional<std::size_t> least_important(std::size_t than) const;
    void set_aside(std::size_t index);
    void end(std::unique_ptr<Generation>& generation, FinishReason reason);
    bool swap_out(Generation& generation);
    bool swap_in(Generation& generation);
    StepShape shape_of(std::span<const RowShare> shares) const;
    void count_whole(std::span<const RowShare> shares, double seconds);
    void pass_over_others(std::size_t index, std::uint32_t rows);
    bool advance(std::size_t index, std::uint32_t rows);
    void tell_next(std::size_t index, std::span<float> logits);
    void tell(Generation& generation, std::span<float> logits);
    void forget_finished();

    RunningParts parts_;
    const StepBudget budget_;
    StepCost cost_;
    OutputForecast forecast_;
    SwapRate swap_rate_;
    Admission admission_;
    ChunkReader chunk_;
    Riders riders_;
    base::Instant told_;                                ///< when the streams last had a token
    std::vector<std::unique_ptr<Generation>> running_;  ///< null: gone in this step
    std::vector<std::unique_ptr<Generation>> set_aside_;
    bool pages_shared_ = false;
    Surrender surrender_;
    std::vector<BatchRow> rows_;
    StepReport report_;
};

}  // namespace engine
