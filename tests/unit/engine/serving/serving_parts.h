#pragma once
// What an engine is made of, with the batcher in reach: the smoke-test model, its pages and cache,
// and a batcher whose budget, clock and room a test chooses.

#include <memory>

#include "base/exec/thread_pool.h"
#include "engine/batch/batcher.h"
#include "engine/graph/model.h"
#include "engine/model_files/gguf.h"
#include "unit/engine/serving/engine_fixture.h"

namespace test {

struct ServingOptions {
    std::uint32_t pages = 8;
    std::uint32_t context_tokens = 256;
    std::uint32_t running_max = 4;
    engine::StepBudget budget{.rows_max = 32, .gap_ratio_max = 3., .prompt_rows_min = 1};
    engine::PrefixCacheLimits cache = {};
    engine::KvSpill* spill = nullptr;
    const base::Clock& clock = kClock;
};

class ServingParts {
public:
    explicit ServingParts(const ServingOptions& options = {})
        : model_(*engine::load_model(file_, {options.context_tokens, options.budget.rows_max})),
          pages_(model_.decoder->kv_geometry(), options.pages),
          cache_(pages_, {}, options.clock, options.cache) {
        auto running =
            std::make_unique<engine::RunningSet>(engine::RunningParts{.decoder = *model_.decoder,
                                                                      .tokenizer = *tokenizer_,
                                                                      .threads = threads_,
                                                                      .pages = pages_,
                                                                      .cache = cache_,
                                                                      .spill = options.spill,
                                                                      .clock = options.clock},
                                                 options.budget);
        batcher_ = std::make_unique<engine::Batcher>(
            std::move(running),
            engine::BatcherLimits{.running_max = options.running_max,
                                  .context_tokens = options.context_tokens},
            options.clock);
    }

    engine::Batcher& batcher() { return *batcher_; }
    engine::KvPool& pages() { return pages_; }
    engine::PrefixCache& cache() { return cache_; }
    engine::Decoder& decoder() { return *model_.decoder; }
    base::ThreadPool& threads() { return threads_; }

private:
    engine::GgufFile file_ = *engine::GgufFile::open(asset("assets/stories260K-f16.gguf"));
    engine::Model model_;
    std::shared_ptr<const engine::Tokenizer> tokenizer_ =
        *engine::Tokenizer::create(*engine::load_vocabulary(file_));
    base::ThreadPool threads_{1};
    engine::KvPool pages_;
    engine::PrefixCache cache_;
    std::unique_ptr<engine::Batcher> batcher_;
};

/// Every look moves it a millisecond, so that whatever is done between two looks takes one.
class TickingClock final : public base::Clock {
public:
    base::Instant now() const override { return base::Instant{now_ns_ += 1'000'000}; }
    std::int64_t unix_ns() const override { return 1'700'000'000'000'000'000; }

private:
    mutable std::atomic<std::int64_t> now_ns_{1};
};

}  // namespace test
