// Answers that go on when the context is full: what is forgotten, that nothing else changes, and
// that what was computed behind a gap is never taken for the text without one.

#include "engine/batch/context_shift.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/core/rng.h"
#include "base/exec/thread_pool.h"
#include "engine/graph/model.h"
#include "engine/kv/kv_sequence.h"
#include "engine/model_files/gguf.h"
#include "support/seeds.h"
#include "support/temp_dir.h"
#include "unit/engine/serving/sampled_requests.h"

namespace {

using base::Code;
using engine::ContextOverflow;
using engine::ContextShift;
using namespace test;

constexpr std::uint32_t kWindow = 128;
constexpr std::uint32_t kPage = 32;
constexpr std::uint32_t kKept = 40;  // of which whole pages are made

EngineOptions small_window() {
    return {.context_tokens_max = kWindow};
}

/// Pages of KV in all; forget what ended, so that nothing but the answers holds them.
EngineOptions with_pages(std::uint64_t pages) {
    static const std::uint64_t page_bytes = [] {
        const engine::EngineStats stats = open_smoke(kClock)->stats();
        return stats.kv_bytes / stats.kv_pages_total;
    }();
    EngineOptions options = small_window();
    options.kv_bytes_max = pages * page_bytes;
    return options;
}

GenerateRequest endless(std::vector<TokenId> prompt, std::uint32_t max_tokens) {
    GenerateRequest request = greedy(std::move(prompt), max_tokens);
    request.ignore_eos = true;
    request.context_overflow = ContextOverflow::shift;
    request.context_keep_tokens = kKept;
    return request;
}

GenerateRequest endless_sampled(std::vector<TokenId> prompt, std::uint64_t seed,
                                std::uint32_t max_tokens) {
    GenerateRequest request = endless(std::move(prompt), max_tokens);
    request.sampling = {.temperature = 0.9f, .top_p = 0.95f, .seed = seed};
    return request;
}

std::vector<TokenId> alone(const GenerateRequest& request) {
    EngineOptions options = small_window();
    options.batch_tokens_max = 8;
    options.running_max = 1;
    options.prefix_cache = false;
    return generate(*open_smoke(kClock, options), request).sink->ids();
}

/// Row by row with the decoder itself, dropping the same pages when the window is full.
std::vector<TokenId> reference(const GenerateRequest& request, const ContextShift& shift) {
    const engine::GgufFile file = *engine::GgufFile::open(asset("assets/stories260K-f16.gguf"));
    engine::Model model = *engine::load_model(file, {kWindow, 1});
    base::ThreadPool threads(1);
    engine::KvPool pages(model.decoder->kv_geometry(), kWindow / kPage);
    engine::KvSequence kv = pages.sequence();
    std::vector<TokenId> tokens = request.prompt;
    for (std::size_t at = 0; at + 1 < request.prompt.size() + request.max_tokens; ++at) {
        if (kv.tokens() == shift.window_tokens) {
            EXPECT_TRUE(kv.drop_middle(shift.keep_tokens, shift.drop_tokens).has_value());
        }
        EXPECT_TRUE(kv.grow_to(kv.tokens() + 1).has_value());
        const engine::BatchRow row{tokens[at], &kv, kv.tokens(), true};
        const std::span<float> logits = model.decoder->logits(threads, std::span(&row, 1));
        kv.advance(1);
        if (at + 1 < tokens.size()) continue;
        tokens.push_back(static_cast<TokenId>(std::ranges::max_element(logits) - logits.begin()));
    }
    tokens.erase(tokens.begin(),
                 tokens.begin() + static_cast<std::ptrdiff_t>(request.prompt.size()));
    return tokens;
}

/// Teaches the engine that answers are short, so that it admits more than fits.
void teach_short_answers(Engine& engine) {
    for (int i = 0; i < 100; ++i) generate(engine, greedy({1}, 1));
}

TEST(ContextShiftPlan, KeepsTheBeginningInWholePagesAndDropsHalfOfTheRest) {
    const ContextShift shift = *engine::plan_shift(512, 40, 32);
    EXPECT_EQ(shift.window_tokens, 512u);
    EXPECT_EQ(shift.keep_tokens, 64u);
    EXPECT_EQ(shift.drop_tokens, 224u);
    EXPECT_EQ(engine::plan_shift(512, 0, 32)->keep_tokens, 32u) << "the first tokens always stay";
    EXPECT_EQ(engine::plan_shift(100, 32, 32)->drop_tokens, 32u);
}

TEST(ContextShiftPlan, RefusesWhatLeavesNothingToDrop) {
    for (const auto& [window, keep] : {std::pair{32u, 0u}, {64u, 0u}, {128u, 65u}, {128u, 500u}}) {
        const auto plan = engine::plan_shift(window, keep, 32);
        ASSERT_FALSE(plan.has_value()) << window << " " << keep;
        EXPECT_EQ(plan.error().code, Code::invalid_argument);
        EXPECT_EQ(plan.error().subject, "context_overflow");
    }
}

TEST(ContextShiftPlan, RowsNeverCrossAShift) {
    test::for_each_seed(200, [](base::Rng& rng) {
        const auto window = static_cast<std::uint32_t>(96 + rng.below(500));
        const ContextShift shift =
            *engine::plan_shift(window, static_cast<std::uint32_t>(rng.below(33)), 32);
        std::uint32_t held = 0;
        for (std::uint64_t left = 3000; left > 0;) {
            const auto want =
                static_cast<std::uint32_t>(1 + rng.below(std::min<std::uint64_t>(left, 300)));
            const std::uint32_t rows = shift.rows_within(held, want);
            ASSERT_GE(rows, 1u);
            ASSERT_LE(rows, want);
            held = shift.depth(held) + rows;
            ASSERT_LE(held, window);
            left -= rows;
        }
    });
}

TEST(EndlessAnswer, GoesOnPastTheWindowAsTheReferenceDoes) {
    base::Rng rng(3);
    const GenerateRequest request = endless(random_tokens(rng, 50), 400);
    const auto engine = open_smoke(kClock, small_window());
    const Outcome first = generate(*engine, request);
    EXPECT_EQ(first.completion.reason, FinishReason::length);
    EXPECT_EQ(first.completion.completion_tokens, 400u);
    const std::vector<TokenId> ids = first.sink->ids();
    EXPECT_EQ(ids, reference(request, *engine::plan_shift(kWindow, kKept, kPage)));
    EXPECT_EQ(ids, alone(request));
    EXPECT_EQ(generate(*engine, request).sink->ids(), ids) << "with what is cached";
    // 449 tokens were computed; each shift drops a page of the 64 tokens behind the kept ones.
    EXPECT_EQ(first.completion.context_dropped_tokens, 352u);
}

TEST(EndlessAnswer, WithoutAShiftTheAnswerEndsWithTheContext) {
    base::Rng rng(4);
    GenerateRequest request = endless(random_tokens(rng, 50), 400);
    request.context_overflow = ContextOverflow::stop;
    const auto engine = open_smoke(kClock, small_window());
    const Outcome cut = generate(*engine, request);
    EXPECT_EQ(cut.completion.reason, FinishReason::length);
    EXPECT_EQ(cut.completion.completion_tokens, kWindow - 50);
    EXPECT_EQ(cut.completion.context_dropped_tokens, 0u);
    request.context_overflow = ContextOverflow::shift;
    const std::vector<TokenId> longer = generate(*engine, request).sink->ids();
    const std::vector<TokenId> shorter = cut.sink->ids();
    EXPECT_TRUE(std::ranges::equal(shorter, std::span(longer).first(shorter.size())));
}

TEST(EndlessAnswer, WithoutALimitItIsAsLongAsTheContext) {
    GenerateRequest request = endless({1, 403, 407}, 0);
    EXPECT_EQ(generate(*open_smoke(kClock, small_window()), request).completion.completion_tokens,
              kWindow);
}

TEST(EndlessAnswer, ABeginningThatFillsTheContextIsRefused) {
    base::Rng rng(5);
    GenerateRequest request = endless(random_tokens(rng, 100), 10);
    request.context_keep_tokens = 97;
    const auto refused =
        open_smoke(kClock, small_window())->submit(request, std::make_shared<Collector>());
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Code::invalid_argument);
    EXPECT_EQ(refused.error().subject, "context_overflow");
}

/// Many at once in room for two: they lose their places before, between and after shifts.
void all_as_alone(const base::Clock& clock, EngineOptions options, bool swaps) {
    const auto engine = open_smoke(clock, std::move(options));
    teach_short_answers(*engine);
    base::Rng rng(11);
    std::vector<std::shared_ptr<Collector>> sinks;
    std::vector<GenerateRequest> requests;
    for (std::uint64_t i = 0; i < 6; ++i) {
        requests.push_back(endless_sampled(random_tokens(rng, 20 + 15 * i), i, 250));
        sinks.push_back(std::make_shared<Collector>());
        ASSERT_TRUE(engine->submit(requests.back(), sinks.back()).has_value());
    }
    for (std::size_t i = 0; i < requests.size(); ++i) {
        const Completion done = sinks[i]->wait();
        EXPECT_EQ(done.reason, FinishReason::length) << (done.error ? done.error->message : "");
        EXPECT_EQ(sinks[i]->ids(), alone(requests[i])) << "request " << i;
    }
    engine->stop();
    EXPECT_GT(engine->stats().preempted_total, 0u);
    EXPECT_EQ(engine->stats().swapped_out_bytes_total > 0, swaps);
}

TEST(EndlessAnswer, SetAsideAndComputedAgainItIsTheSame) {
    all_as_alone(kClock, with_pages(8), false);
}

TEST(EndlessAnswer, WithoutACacheItIsReadAgainFromTheStart) {
    EngineOptions options = with_pages(8);
    options.prefix_cache = false;
    all_as_alone(kClock, options, false);
}

/// Every look moves it a millisecond, so that steps and swaps take known times.
class TickingClock final : public base::Clock {
public:
    base::Instant now() const override { return base::Instant{now_ns_ += 1'000'000}; }
    std::int64_t unix_ns() const override { return 1'700'000'000'000'000'000; }

private:
    mutable std::atomic<std::int64_t> now_ns_{1};
};

TEST(EndlessAnswer, SwappedOutAndBackItIsTheSame) {
    const test::TempDir dir;
    EngineOptions options = with_pages(8);
    options.kv_spill_dir = dir.path();
    all_as_alone(TickingClock(), options, true);
}

/// One shift, then the text as it stands in the pages and the text as it was written.
void finds_only_what_is_true(std::uint64_t pages, bool keeps_all) {
    const ContextShift shift = *engine::plan_shift(kWindow, kKept, kPage);
    const auto engine = open_smoke(kClock, with_pages(pages));
    test::for_each_seed(10, [&](base::Rng& rng) {
        const std::vector<TokenId> prompt = random_tokens(rng, 70);
        // 129 tokens are computed and 97 held.
        const Outcome endless = generate(*engine, endless_sampled(prompt, rng.below(1'000), 60));
        ASSERT_EQ(endless.completion.context_dropped_tokens, shift.drop_tokens);
        std::vector<TokenId> history = prompt;
        for (const TokenId id : endless.sink->ids()) history.push_back(id);
        history.pop_back();  // known, never computed

        const GenerateRequest whole =
            endless_sampled({history.begin(), history.begin() + 120}, 2, 4);
        const Outcome again = generate(*engine, whole);
        EXPECT_EQ(again.sink->ids(), alone(whole));
        EXPECT_GE(again.completion.cached_tokens, keeps_all ? 96u : 0u);

        std::vector<TokenId> spliced = history;
        const auto gap = spliced.begin() + shift.keep_tokens;
        spliced.erase(gap, gap + shift.drop_tokens);
        spliced.push_back(99);
        const GenerateRequest shorter = endless_sampled(spliced, 1, 20);
        const Outcome found = generate(*engine, shorter);
        EXPECT_EQ(found.sink->ids(), alone(shorter));
        EXPECT_LT(found.completion.cached_tokens, shift.keep_tokens + kPage);
        EXPECT_GE(found.completion.cached_tokens, keeps_all ? shift.keep_tokens : 0u);
    });
}

TEST(EndlessAnswer, WhatFollowsAGapIsNotFoundUnderTheTextWithoutIt) {
    finds_only_what_is_true(64, true);
}

/// Where the pages from before the gap are gone, those behind it must not take their names.
TEST(EndlessAnswer, WhatFollowsAGapTakesNoNameThatIsFree) {
    finds_only_what_is_true(kWindow / kPage, false);
    finds_only_what_is_true(kWindow / kPage + 1, false);
}

}  // namespace
