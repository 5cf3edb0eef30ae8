// The engine's thread with other work on it: a call that takes many parts, as embedding does.

#include "engine/batch/batcher.h"

#include <gtest/gtest.h>

#include "unit/engine/serving/serving_parts.h"

namespace {

using engine::Batcher;
using engine::RunningSet;
using namespace test;

class BatcherTest : public ::testing::Test {
protected:
    ServingParts parts_;
    Batcher& batcher_ = parts_.batcher();
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
    ASSERT_TRUE(batcher_.call([&](RunningSet*) {
        if (parts++ == 0) {
            EXPECT_TRUE(batcher_.submit(greedy({1, 403}, 5), sink).has_value());
        }
        const bool enough = sink->finished || parts == kPartsMax;
        return enough ? Batcher::Progress::done : Batcher::Progress::more;
    }));
    EXPECT_LT(parts, kPartsMax) << "the request waited for the end of the call";
    batcher_.stop();
}

TEST_F(BatcherTest, WhoHasNoRoomBesideACallWaitsForItsPages) {
    engine::KvSequence held = parts_.pages().sequence();
    const auto sink = std::make_shared<Collector>();
    int parts = 0;
    ASSERT_TRUE(batcher_.call([&](RunningSet* running) {
        if (parts++ == 0) {
            EXPECT_TRUE(held.grow_to(7 * 32).has_value());
            EXPECT_TRUE(batcher_.submit(greedy({1, 403}, 100), sink).has_value());
        }
        EXPECT_TRUE(running->empty());
        if (parts < 20) return Batcher::Progress::more;
        held = engine::KvSequence();
        return Batcher::Progress::done;
    }));
    EXPECT_EQ(sink->wait().reason, FinishReason::length);
    batcher_.stop();
}

}  // namespace
