// The engine's thread with other work on it: a call that takes many parts, as embedding does.

#include "engine/batch/batcher.h"

#include <gtest/gtest.h>

#include "base/exec/thread_pool.h"
#include "engine/graph/model.h"
#include "engine/model_files/gguf.h"
#include "unit/engine/serving/engine_fixture.h"

namespace {

using engine::Batcher;
using engine::RunningSet;
using namespace test;

/// What an engine is made of, with the batcher in reach.
class BatcherTest : public ::testing::Test {
protected:
    static constexpr std::uint32_t kContextTokens = 256;

    BatcherTest() : pool_(model_.decoder->kv_geometry(), 8) {
        auto running = std::make_unique<RunningSet>(
            engine::RunningParts{.decoder = *model_.decoder,
                                 .tokenizer = *tokenizer_,
                                 .threads = threads_,
                                 .pages = pool_,
                                 .cache = cache_,
                                 .clock = kClock},
            engine::StepBudget{.rows_max = 32, .gap_ratio_max = 3., .prompt_rows_min = 1});
        batcher_ = std::make_unique<Batcher>(
            std::move(running),
            engine::BatcherLimits{.running_max = 4, .context_tokens = kContextTokens}, kClock);
    }

    engine::GgufFile file_ = *engine::GgufFile::open(asset("assets/stories260K-f16.gguf"));
    engine::Model model_ = *engine::load_model(file_, {kContextTokens, 32});
    std::shared_ptr<const engine::Tokenizer> tokenizer_ =
        *engine::Tokenizer::create(*engine::load_vocabulary(file_));
    base::ThreadPool threads_{1};
    engine::KvPool pool_;
    engine::PrefixCache cache_{pool_, {}, kClock};
    std::unique_ptr<Batcher> batcher_;
};

class FinishedFlag final : public engine::GenerationSink {
public:
    bool finished = false;  ///< on the engine's thread only
    void on_token(const TokenEvent&) override {}
    void on_finish(const Completion& completion) override {
        finished = completion.reason == FinishReason::length;
    }
};

TEST_F(BatcherTest, ARequestIsServedBesideALongCallThatBeganFirst) {
    constexpr int kPartsMax = 200;
    const auto sink = std::make_shared<FinishedFlag>();
    int parts = 0;
    ASSERT_TRUE(batcher_->call([&](RunningSet*) {
        if (parts++ == 0) {
            EXPECT_TRUE(batcher_->submit(greedy({1, 403}, 5), sink).has_value());
        }
        const bool enough = sink->finished || parts == kPartsMax;
        return enough ? Batcher::Progress::done : Batcher::Progress::more;
    }));
    EXPECT_LT(parts, kPartsMax) << "the request waited for the end of the call";
    batcher_->stop();
}

TEST_F(BatcherTest, WhoHasNoRoomBesideACallWaitsForItsPages) {
    engine::KvSequence held = pool_.sequence();
    const auto sink = std::make_shared<Collector>();
    int parts = 0;
    ASSERT_TRUE(batcher_->call([&](RunningSet* running) {
        if (parts++ == 0) {
            EXPECT_TRUE(held.grow_to(7 * 32).has_value());
            EXPECT_TRUE(batcher_->submit(greedy({1, 403}, 100), sink).has_value());
        }
        EXPECT_TRUE(running->empty());
        if (parts < 20) return Batcher::Progress::more;
        held = engine::KvSequence();
        return Batcher::Progress::done;
    }));
    EXPECT_EQ(sink->wait().reason, FinishReason::length);
    batcher_->stop();
}

}  // namespace
