#include "engine/batch/generation.h"

#include <gtest/gtest.h>

#include <limits>

#include "unit/engine/serving/engine_fixture.h"

namespace {

using namespace test;

TEST(Generation, ALogitThatIsNotFiniteFailsItAndNamesTheToken) {
    const auto engine = open_smoke(kClock);
    auto sink = std::make_shared<Collector>();
    engine::Generation generation(greedy({1, 403, 407}, 8), sink, 8, base::Instant{1});
    std::vector<float> logits(512, 0.f);
    logits[5] = 1.f;
    generation.accept(logits, engine->tokenizer(), base::Instant{2});
    EXPECT_FALSE(generation.ended());
    logits[9] = std::numeric_limits<float>::quiet_NaN();
    generation.accept(logits, engine->tokenizer(), base::Instant{3});
    EXPECT_TRUE(generation.ended());
    const Completion completion = sink->wait();
    EXPECT_EQ(completion.reason, FinishReason::error);
    ASSERT_TRUE(completion.error.has_value());
    EXPECT_EQ(completion.error->code, base::Code::internal);
    EXPECT_EQ(completion.completion_tokens, 1u);
    EXPECT_NE(completion.error->message.find("token 2"), std::string::npos)
        << completion.error->message;
    EXPECT_NE(completion.error->message.find("position 4"), std::string::npos);
}

TEST(Generation, RowsLeftAreTheTokensNotComputed) {
    const auto engine = open_smoke(kClock);
    auto sink = std::make_shared<Collector>();
    engine::Generation generation(greedy({1, 403, 407}, 8), sink, 8, base::Instant{1});
    EXPECT_EQ(generation.rows_left(), 3u);
    EXPECT_FALSE(generation.streams());
    std::vector<float> logits(512, 0.f);
    logits[5] = 1.f;
    generation.accept(logits, engine->tokenizer(), base::Instant{2});
    EXPECT_TRUE(generation.streams());
    EXPECT_EQ(generation.rows_left(), 4u);
    EXPECT_EQ(generation.row_at(3).token, 5);
    generation.finish(FinishReason::cancelled, base::Instant{3});
}

}  // namespace
