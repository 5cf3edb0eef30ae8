// What requests share and what they lose: cached prefixes, kept prefixes, set aside and resumed.
// Whatever happens, a request gets the tokens it gets alone.

#include <gtest/gtest.h>

#include <optional>

#include "base/core/rng.h"
#include "support/seeds.h"
#include "support/temp_dir.h"
#include "unit/engine/serving/sampled_requests.h"
#include "unit/engine/serving/serving_parts.h"

namespace {

using base::Code;
using namespace test;

/// The bytes of `count` KV pages of the smoke-test model.
std::uint64_t pages(std::uint64_t count) {
    static const std::uint64_t page_bytes = [] {
        const engine::EngineStats stats = open_smoke(kClock)->stats();
        return stats.kv_bytes / stats.kv_pages_total;
    }();
    return count * page_bytes;
}

/// The tokens `request` gets alone, without a cache, in small steps.
std::vector<TokenId> alone(const GenerateRequest& request) {
    const auto engine =
        open_smoke(kClock, {.batch_tokens_max = 8, .running_max = 1, .prefix_cache = false});
    return generate(*engine, request).sink->ids();
}

/// Teaches the engine that answers are short, so that it admits more than fits.
void teach_short_answers(Engine& engine) {
    for (int i = 0; i < 100; ++i) generate(engine, greedy({1}, 1));
}

TEST(SharedKv, TheSecondRequestStartsWhereTheFirstOneWas) {
    const auto engine = open_smoke(kClock);
    base::Rng rng(7);
    std::vector<TokenId> prompt = random_tokens(rng, 100);
    generate(*engine, sampled(prompt, 1, 4));
    prompt.push_back(77);
    const GenerateRequest second = sampled(prompt, 2, 10);
    const Outcome again = generate(*engine, second);
    EXPECT_EQ(again.completion.cached_tokens, 100u);
    EXPECT_EQ(again.sink->ids(), alone(second));
    const engine::EngineStats stats = engine->stats();
    EXPECT_EQ(stats.prefix_hits_total, 1u);
    EXPECT_EQ(stats.cached_tokens_total, 100u);
}

TEST(SharedKv, AnotherTenantFindsNothing) {
    const auto engine = open_smoke(kClock);
    base::Rng rng(8);
    GenerateRequest request = sampled(random_tokens(rng, 100), 1, 4);
    request.tenant = "a";
    generate(*engine, request);
    request.tenant = "b";
    EXPECT_EQ(generate(*engine, request).completion.cached_tokens, 0u);
    EXPECT_GT(generate(*engine, request).completion.cached_tokens, 0u);
}

TEST(SharedKv, OffMeansNothingIsKept) {
    const auto engine = open_smoke(kClock, {.prefix_cache = false});
    base::Rng rng(9);
    const GenerateRequest request = sampled(random_tokens(rng, 100), 1, 4);
    generate(*engine, request);
    EXPECT_EQ(generate(*engine, request).completion.cached_tokens, 0u);
    EXPECT_EQ(engine->stats().kv_pages_used, 0u);
}

TEST(SharedKv, AgentsThatArriveTogetherReadTheirSystemPromptOnce) {
    const auto engine = open_smoke(kClock, {.batch_tokens_max = 64, .running_max = 16});
    base::Rng rng(10);
    const std::vector<TokenId> system = random_tokens(rng, 320);
    constexpr std::uint32_t kAgents = 12;
    std::vector<std::shared_ptr<Collector>> sinks;
    std::vector<GenerateRequest> requests;
    for (std::uint32_t agent = 0; agent < kAgents; ++agent) {
        std::vector<TokenId> prompt = system;
        for (int i = 0; i < 5; ++i) prompt.push_back(static_cast<TokenId>(3 + rng.below(500)));
        requests.push_back(sampled(std::move(prompt), agent, 20));
        sinks.push_back(std::make_shared<Collector>());
        ASSERT_TRUE(engine->submit(requests.back(), sinks.back()).has_value());
    }
    std::uint64_t cached = 0;
    for (std::uint32_t agent = 0; agent < kAgents; ++agent) {
        cached += sinks[agent]->wait().cached_tokens;
        EXPECT_EQ(sinks[agent]->ids(), alone(requests[agent])) << "agent " << agent;
    }
    EXPECT_EQ(cached, (kAgents - 1) * 320u);
    engine->stop();  // counters are published after the step
    EXPECT_EQ(engine->stats().prompt_tokens_total, 320u + kAgents * 5);
}

TEST(SharedKv, SetAsideAndComputedAgainGivesTheSameAnswer) {
    const auto engine = open_smoke(kClock, {.kv_bytes_max = pages(8)});
    teach_short_answers(*engine);
    base::Rng rng(11);
    std::vector<std::shared_ptr<Collector>> sinks;
    std::vector<GenerateRequest> requests;
    for (std::uint64_t i = 0; i < 6; ++i) {
        requests.push_back(sampled(random_tokens(rng, 20), i, 120));
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
    EXPECT_EQ(engine->stats().swapped_out_bytes_total, 0u);
}

TEST(SharedKv, SwappedOutAndBackGivesTheSameAnswer) {
    const TickingClock clock;
    const test::TempDir dir;
    EngineOptions options{.kv_bytes_max = pages(8)};
    options.kv_spill_dir = dir.path();
    const auto engine = open_smoke(clock, options);
    teach_short_answers(*engine);
    base::Rng rng(12);
    std::vector<std::shared_ptr<Collector>> sinks;
    std::vector<GenerateRequest> requests;
    for (std::uint64_t i = 0; i < 6; ++i) {
        requests.push_back(sampled(random_tokens(rng, 20), i, 120));
        sinks.push_back(std::make_shared<Collector>());
        ASSERT_TRUE(engine->submit(requests.back(), sinks.back()).has_value());
    }
    for (std::size_t i = 0; i < requests.size(); ++i) {
        EXPECT_EQ(sinks[i]->wait().reason, FinishReason::length);
        EXPECT_EQ(sinks[i]->ids(), alone(requests[i])) << "request " << i;
    }
    engine->stop();
    EXPECT_GT(engine->stats().swapped_out_bytes_total, 0u);
}

/// A prompt of 12 pages of 16, urgent, comes while two others run that share 6.
struct UrgentAmongSharers {
    UrgentAmongSharers() {
        options.kv_bytes_max = pages(16);
        options.kv_spill_dir = dir.path();
        base::Rng rng(21);
        const std::vector<TokenId> system = random_tokens(rng, 6 * 32);
        for (std::uint64_t i = 0; i < 2; ++i) {
            std::vector<TokenId> prompt = system;
            for (int j = 0; j < 40; ++j) prompt.push_back(static_cast<TokenId>(3 + rng.below(500)));
            sharers.push_back(sampled(std::move(prompt), i, 60));
        }
        urgent = sampled(random_tokens(rng, 12 * 32), 7, 20);
        urgent.priority = 1;
    }
    const test::TempDir dir;
    EngineOptions options;
    std::vector<GenerateRequest> sharers;
    GenerateRequest urgent;
};

TEST(SharedKv, WhatWaitsSwappedOutGivesItsSharedPagesToWhoRunsAlone) {
    UrgentAmongSharers with;
    const TickingClock clock;
    const auto engine = open_smoke(clock, with.options);
    teach_short_answers(*engine);
    std::vector<std::shared_ptr<Collector>> sinks;
    const auto urgent = std::make_shared<Collector>();
    for (const GenerateRequest& request : with.sharers) {
        sinks.push_back(std::make_shared<Collector>());
        if (sinks.size() == 2) {
            sinks[1]->on_each = [&](std::size_t tokens) {
                if (tokens != 5) return;
                EXPECT_TRUE(engine->submit(with.urgent, urgent).has_value());
            };
        }
        ASSERT_TRUE(engine->submit(request, sinks.back()).has_value());
    }
    for (std::size_t i = 0; i < sinks.size(); ++i) {
        EXPECT_EQ(sinks[i]->wait().reason, FinishReason::length);
        EXPECT_EQ(sinks[i]->ids(), alone(with.sharers[i])) << "request " << i;
    }
    const Completion done = urgent->wait();
    EXPECT_EQ(done.reason, FinishReason::length) << (done.error ? done.error->message : "");
    EXPECT_EQ(urgent->ids(), alone(with.urgent));
    engine->stop();
    EXPECT_GT(engine->stats().swapped_out_bytes_total, 0u);
}

TEST(SharedKv, WhoWaitsForPagesDoesNotTakeItsPrefixInEveryStep) {
    const auto engine = open_smoke(kClock, {.kv_bytes_max = pages(16)});
    base::Rng rng(22);
    std::vector<TokenId> prompt = random_tokens(rng, 6 * 32);
    generate(*engine, sampled(prompt, 1, 4));
    prompt.push_back(77);
    // 11 pages, 6 of them cached, beside a request that is expected to take 7.
    const GenerateRequest waits = sampled(prompt, 2, 150);
    const auto waiting = std::make_shared<Collector>();
    const auto running = std::make_shared<Collector>();
    running->on_each = [&](std::size_t tokens) {
        if (tokens != 2) return;
        EXPECT_TRUE(engine->submit(waits, waiting).has_value());
    };
    ASSERT_TRUE(engine->submit(sampled({5, 403}, 3, 200), running).has_value());
    EXPECT_EQ(running->wait().reason, FinishReason::length);
    EXPECT_EQ(waiting->wait().reason, FinishReason::length);
    EXPECT_EQ(waiting->ids(), alone(waits));
    EXPECT_EQ(engine->stats().prefix_hits_total, 1u);
}

TEST(SharedKv, AnUrgentRequestWhosePrefixIsCachedMakesItsWay) {
    const auto engine = open_smoke(kClock, {.kv_bytes_max = pages(16)});
    base::Rng rng(23);
    std::vector<TokenId> prompt = random_tokens(rng, 6 * 32);
    generate(*engine, sampled(prompt, 1, 4));
    prompt.push_back(77);
    GenerateRequest urgent = sampled(prompt, 2, 150);
    urgent.priority = 1;
    const auto urgent_sink = std::make_shared<Collector>();
    const auto running = std::make_shared<Collector>();
    std::size_t tokens_before = 0;
    running->on_each = [&](std::size_t tokens) {
        if (tokens != 2) return;
        EXPECT_TRUE(engine->submit(urgent, urgent_sink).has_value());
    };
    urgent_sink->on_each = [&](std::size_t tokens) {
        if (tokens == 1) tokens_before = running->events().size();
    };
    ASSERT_TRUE(engine->submit(sampled({1, 403}, 3, 200), running).has_value());
    EXPECT_EQ(running->wait().reason, FinishReason::length);
    EXPECT_EQ(urgent_sink->wait().reason, FinishReason::length);
    EXPECT_LT(tokens_before, 20u) << "it waited for the other one's end";
}

TEST(SharedKv, AnUrgentRequestTakesTheOnlyPlace) {
    const auto engine = open_smoke(kClock, {.running_max = 1});
    base::Rng rng(13);
    const GenerateRequest slow = sampled(random_tokens(rng, 10), 1, 300);
    GenerateRequest urgent = sampled(random_tokens(rng, 10), 2, 5);
    urgent.priority = 1;
    auto slow_sink = std::make_shared<Collector>();
    auto urgent_sink = std::make_shared<Collector>();
    std::size_t slow_tokens_before = 0;
    slow_sink->on_each = [&](std::size_t tokens) {
        if (tokens != 10) return;
        EXPECT_TRUE(engine->submit(urgent, urgent_sink).has_value());
    };
    urgent_sink->on_each = [&](std::size_t tokens) {
        if (tokens == 5) slow_tokens_before = slow_sink->events().size();
    };
    ASSERT_TRUE(engine->submit(slow, slow_sink).has_value());
    EXPECT_EQ(slow_sink->wait().reason, FinishReason::length);
    EXPECT_EQ(urgent_sink->wait().reason, FinishReason::length);
    EXPECT_LT(slow_tokens_before, 20u) << "it did not wait for the slow one's end";
    EXPECT_EQ(slow_sink->ids(), alone(slow));
    EXPECT_EQ(urgent_sink->ids(), alone(urgent));
}

TEST(SharedKv, CancelInTheMiddleOfALongPromptTakesEffectInOneStep) {
    const auto engine = open_smoke(kClock, {.batch_tokens_max = 8, .running_max = 2});
    auto stream = std::make_shared<Collector>();
    auto reader = std::make_shared<Collector>();
    base::Rng rng(14);
    const std::vector<TokenId> prompt = random_tokens(rng, 400);
    std::optional<engine::GenerationId> reading;
    stream->on_each = [&](std::size_t tokens) {
        if (tokens == 3) reading = *engine->submit(sampled(prompt, 1, 5), reader);
        if (tokens == 13) engine->cancel(*reading);
    };
    ASSERT_TRUE(engine->submit(sampled({1, 403}, 2, 40), stream).has_value());
    const Completion cancelled = reader->wait();
    EXPECT_EQ(cancelled.reason, FinishReason::cancelled);
    EXPECT_EQ(cancelled.completion_tokens, 0u);
    EXPECT_EQ(stream->wait().reason, FinishReason::length);
    engine->stop();
    EXPECT_LE(engine->stats().prompt_tokens_total, 2u + 12 * 8u);
    EXPECT_GT(engine->stats().prompt_tokens_total, 2u);
}

TEST(SharedKv, AKeptPrefixIsContinuedByItsId) {
    const auto engine = open_smoke(kClock);
    base::Rng rng(15);
    const std::vector<TokenId> prefix = random_tokens(rng, 96);
    const auto kept = engine->keep_prefix("a", prefix, std::chrono::hours(1));
    ASSERT_TRUE(kept.has_value()) << kept.error().message;
    EXPECT_EQ(kept->tokens, 96u);
    ASSERT_EQ(engine->kept_prefixes("a").size(), 1u);
    EXPECT_TRUE(engine->kept_prefixes("b").empty());

    GenerateRequest request = sampled({42, 43}, 3, 10);
    request.tenant = "a";
    request.cache_id = kept->id;
    const Outcome outcome = generate(*engine, request);
    EXPECT_EQ(outcome.completion.prompt_tokens, 98u);
    EXPECT_EQ(outcome.completion.cached_tokens, 96u);
    std::vector<TokenId> whole = prefix;
    whole.insert(whole.end(), {42, 43});
    EXPECT_EQ(outcome.sink->ids(), alone(sampled(whole, 3, 10)));

    GenerateRequest whole_chat = sampled(whole, 3, 10);
    whole_chat.tenant = "a";
    whole_chat.cache_id = kept->id;
    whole_chat.prompt_has_prefix = true;
    const Outcome chat = generate(*engine, whole_chat);
    EXPECT_EQ(chat.completion.prompt_tokens, 98u);
    EXPECT_GE(chat.completion.cached_tokens, 96u);
    EXPECT_EQ(chat.sink->ids(), outcome.sink->ids());
    whole_chat.prompt.erase(whole_chat.prompt.begin());
    const auto other = engine->submit(whole_chat, std::make_shared<Collector>());
    ASSERT_FALSE(other.has_value());
    EXPECT_EQ(other.error().code, Code::invalid_argument);
    EXPECT_EQ(other.error().subject, "cache_id");

    request.tenant = "b";
    EXPECT_EQ(engine->submit(request, std::make_shared<Collector>()).error().code, Code::not_found);
    EXPECT_EQ(engine->drop_prefix("b", kept->id).error().code, Code::not_found);
    EXPECT_TRUE(engine->drop_prefix("a", kept->id).has_value());
    EXPECT_TRUE(engine->kept_prefixes("a").empty());
}

TEST(SharedKv, KeepingPrefixesTeachesNothingOfAnswers) {
    const auto engine = open_smoke(kClock, {.kv_bytes_max = pages(8)});
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(engine->keep_prefix("", {1, 403}, std::chrono::hours(1)).has_value());
    }
    base::Rng rng(24);
    std::vector<std::shared_ptr<Collector>> sinks;
    for (std::uint64_t i = 0; i < 4; ++i) {
        sinks.push_back(std::make_shared<Collector>());
        const GenerateRequest request = sampled(random_tokens(rng, 20), i, 120);
        ASSERT_TRUE(engine->submit(request, sinks.back()).has_value());
    }
    for (const auto& sink : sinks) EXPECT_EQ(sink->wait().reason, FinishReason::length);
    engine->stop();
    EXPECT_EQ(engine->stats().preempted_total, 0u) << "answers were taken for short ones";
}

TEST(SharedKv, EmbeddingWaitsForPagesInsteadOfFailing) {
    const auto engine = open_smoke(kClock, {.kv_bytes_max = pages(4)});
    const std::vector<std::string> texts = {"once upon a time there was a little girl named Lily"};
    const auto expected = open_smoke(kClock)->embed(texts);
    auto sink = std::make_shared<Collector>();
    std::atomic<bool> running{false};
    sink->on_each = [&](std::size_t) { running = true; };
    ASSERT_TRUE(engine->submit(sampled({1, 403}, 2, 120), sink).has_value());
    while (!running) std::this_thread::yield();
    const auto vectors = engine->embed(texts);
    ASSERT_TRUE(vectors.has_value()) << vectors.error().message;
    EXPECT_EQ(*vectors, *expected);
    EXPECT_EQ(sink->wait().reason, FinishReason::length);
}

/// Tenants, priorities, sessions, shared beginnings, cancels, few pages: whatever is not cancelled
/// ends with the tokens it gets alone.
TEST(SharedKv, SoakUnderFewPages) {
    test::for_each_seed(6, [](base::Rng& rng) {
        EngineOptions options{.kv_bytes_max = pages(10 + rng.below(10))};
        options.batch_tokens_max = static_cast<std::uint32_t>(10 + rng.below(60));
        options.running_max = static_cast<std::uint32_t>(2 + rng.below(7));
        const test::TempDir dir;
        if (rng.below(2) == 0) options.kv_spill_dir = dir.path();
        const auto engine = open_smoke(kClock, options);
        const auto reference =
            open_smoke(kClock, {.batch_tokens_max = 32, .running_max = 1, .prefix_cache = false});
        if (rng.below(2) == 0) teach_short_answers(*engine);
        const std::vector<TokenId> common = random_tokens(rng, 90);
        std::vector<GenerateRequest> requests;
        std::vector<std::shared_ptr<Collector>> sinks;
        for (std::uint64_t i = 0; i < 30; ++i) {
            std::vector<TokenId> prompt(common.begin(),
                                        common.begin() + 1 + static_cast<int>(rng.below(89)));
            for (std::uint64_t n = rng.below(20); n > 0; --n) {
                prompt.push_back(static_cast<TokenId>(3 + rng.below(500)));
            }
            GenerateRequest request =
                sampled(std::move(prompt), i, static_cast<std::uint32_t>(1 + rng.below(120)));
            request.tenant = std::string(1, static_cast<char>('a' + rng.below(3)));
            request.priority = static_cast<std::int32_t>(rng.below(3));
            if (rng.below(3) == 0) request.session = "s" + std::to_string(rng.below(4));
            sinks.push_back(std::make_shared<Collector>());
            const auto id = engine->submit(request, sinks.back());
            ASSERT_TRUE(id.has_value()) << id.error().message;
            if (rng.below(8) == 0) engine->cancel(*id);
            requests.push_back(std::move(request));
        }
        for (std::size_t i = 0; i < requests.size(); ++i) {
            const Completion done = sinks[i]->wait();
            if (done.reason == FinishReason::cancelled) continue;
            ASSERT_EQ(done.reason, FinishReason::length)
                << (done.error ? done.error->message : "") << " request " << i;
            requests[i].tenant = {};
            ASSERT_EQ(sinks[i]->ids(), generate(*reference, requests[i]).sink->ids())
                << "request " << i;
        }
        engine->stop();
        EXPECT_EQ(engine->stats().kv_pages_used, engine->stats().kv_pages_cached);
    });
}

}  // namespace
