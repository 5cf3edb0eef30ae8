// The whole token factory on the embedded smoke-test model.

#include "engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <fstream>
#include <iterator>
#include <mutex>
#include <optional>
#include <thread>

#include "base/files/files.h"
#include "engine/kernels/kernels.h"
#include "support/seeds.h"
#include "unit/engine/serving/engine_fixture.h"

namespace {

using base::Code;
using namespace test;

TEST(Engine, GreedyTextIsLlama2cs) {
    const auto engine = open_smoke(kClock);
    const auto prompt = engine->tokenizer().encode("Once upon a time");
    EXPECT_EQ(prompt, (std::vector<TokenId>{1, 403, 407, 261, 378}));
    const auto [sink, completion] = generate(*engine, greedy(prompt, 197));
    EXPECT_EQ(completion.reason, FinishReason::length);
    EXPECT_EQ(completion.prompt_tokens, 5u);
    EXPECT_EQ(completion.completion_tokens, 197u);
    std::ifstream in(asset("tests/golden/engine/stories260k-greedy-200.txt"));
    const std::string golden((std::istreambuf_iterator<char>(in)), {});
    const std::string text = "Once upon a time" + sink->text();
    ASSERT_GT(golden.size(), 400u);
    EXPECT_EQ(text.substr(0, golden.size()), golden);
}

TEST(Engine, OpensFromMemoryAsFromAFile) {
    const auto bytes = base::read_file(asset("assets/stories260K-f16.gguf"));
    ASSERT_TRUE(bytes.has_value());
    const auto engine =
        Engine::open_bytes(std::as_bytes(std::span(*bytes)), "embedded", {.threads = 1}, kClock);
    ASSERT_TRUE(engine.has_value()) << engine.error().message;
    const auto a = generate(**engine, greedy({1, 403}, 20));
    const auto b = generate(*open_smoke(kClock), greedy({1, 403}, 20));
    EXPECT_EQ(a.sink->ids(), b.sink->ids());
}

TEST(Engine, ConcurrentRequestsGetTheTokensTheyGetAlone) {
    const auto engine = open_smoke(kClock, {.batch_tokens_max = 24, .running_max = 5});
    const auto request = [](std::uint64_t seed) {
        base::Rng rng(seed);
        GenerateRequest r;
        r.prompt = {1};
        for (std::uint64_t i = 0; i < rng.below(60); ++i) {
            r.prompt.push_back(static_cast<TokenId>(3 + rng.below(500)));
        }
        r.sampling = {.temperature = 0.9f, .top_p = 0.95f, .seed = seed};
        r.max_tokens = static_cast<std::uint32_t>(1 + rng.below(40));
        r.ignore_eos = true;
        return r;
    };
    constexpr std::uint64_t kRequests = 24;
    std::vector<std::shared_ptr<Collector>> together;
    for (std::uint64_t seed = 1; seed <= kRequests; ++seed) {
        together.push_back(std::make_shared<Collector>());
        ASSERT_TRUE(engine->submit(request(seed), together.back()).has_value());
    }
    for (std::uint64_t seed = 1; seed <= kRequests; ++seed) {
        EXPECT_EQ(together[seed - 1]->wait().seed, seed);
        const auto alone = generate(*engine, request(seed));
        EXPECT_EQ(together[seed - 1]->ids(), alone.sink->ids()) << "seed " << seed;
    }
    EXPECT_EQ(engine->stats().kv_pages_used, engine->stats().kv_pages_cached) << "held by nobody";
    EXPECT_EQ(engine->stats().requests_total, 2 * kRequests);
}

TEST(Engine, StopStringsEndTheTextBeforeThem) {
    const auto engine = open_smoke(kClock);
    GenerateRequest request = greedy(engine->tokenizer().encode("Once upon a time"), 100);
    request.stop = {"outside in", "named Lily. She l"};
    const auto [sink, completion] = generate(*engine, request);
    EXPECT_EQ(completion.reason, FinishReason::stop);
    EXPECT_EQ(completion.stop_string, "named Lily. She l");
    EXPECT_EQ(sink->text(), ", there was a little girl ");
}

TEST(Engine, LogprobsComeWithEveryToken) {
    const auto engine = open_smoke(kClock);
    GenerateRequest request = greedy({1, 403}, 5);
    request.top_logprobs = 3;
    const auto [sink, completion] = generate(*engine, request);
    ASSERT_EQ(sink->events().size(), 5u);
    for (const TokenEvent& event : sink->events()) {
        ASSERT_TRUE(event.chosen.has_value());
        ASSERT_EQ(event.top.size(), 3u);
        EXPECT_EQ(event.top[0].id, event.id) << "greedy takes the most likely";
        EXPECT_FLOAT_EQ(event.top[0].logprob, event.chosen->logprob);
        EXPECT_LE(event.chosen->logprob, 0.f);
        EXPECT_GE(event.top[0].logprob, event.top[1].logprob);
        EXPECT_EQ(event.chosen->bytes, engine->tokenizer().piece(event.id, true));
    }
}

TEST(Engine, GenerationFillsTheContextAndEndsWithLength) {
    const auto engine = open_smoke(kClock, {.context_tokens_max = 64});
    GenerateRequest request = greedy({1, 403, 407}, 0);
    request.ignore_eos = true;
    const auto [sink, completion] = generate(*engine, request);
    EXPECT_EQ(completion.reason, FinishReason::length);
    EXPECT_EQ(completion.completion_tokens, 61u);
}

TEST(Engine, CancelEndsWithinOneStep) {
    const auto engine = open_smoke(kClock);
    auto sink = std::make_shared<Collector>();
    std::atomic<engine::GenerationId> id{0};
    std::size_t when_cancelled = 0;
    sink->on_each = [&](std::size_t tokens) {
        while (id == 0) std::this_thread::yield();  // until submit below has returned
        if (when_cancelled > 0) return;
        when_cancelled = tokens;
        engine->cancel(id);
    };
    GenerateRequest request = greedy({1, 403}, 400);
    request.ignore_eos = true;
    id = *engine->submit(std::move(request), sink);
    const Completion completion = sink->wait();
    ASSERT_GT(when_cancelled, 0u);
    EXPECT_EQ(completion.reason, FinishReason::cancelled);
    EXPECT_EQ(completion.completion_tokens, when_cancelled);
    EXPECT_EQ(engine->stats().kv_pages_used, engine->stats().kv_pages_cached) << "held by nobody";
    engine->cancel(id);      // finished: ignored
    engine->cancel(12'345);  // unknown: ignored
    EXPECT_EQ(generate(*engine, greedy({1}, 2)).completion.completion_tokens, 2u);
}

TEST(Engine, DeadlinesEndRunningAndQueuedRequests) {
    ManualClock clock;
    const auto engine = open_smoke(clock, {.batch_tokens_max = 8, .running_max = 1});
    auto running = std::make_shared<Collector>();
    running->on_each = [&](std::size_t tokens) {
        if (tokens == 3) clock.advance(1'000'000);
    };
    GenerateRequest request = greedy({1, 403}, 0);
    request.ignore_eos = true;
    request.deadline = base::Instant{500'000};
    auto queued = std::make_shared<Collector>();
    ASSERT_TRUE(engine->submit(request, running).has_value());
    ASSERT_TRUE(engine->submit(request, queued).has_value());
    EXPECT_EQ(running->wait().reason, FinishReason::deadline);
    EXPECT_EQ(running->ids().size(), 3u);
    const Completion never_ran = queued->wait();
    EXPECT_EQ(never_ran.reason, FinishReason::deadline);
    EXPECT_EQ(never_ran.started, base::Instant{});
}

TEST(Engine, CompletionTimesAreInOrder) {
    const auto engine = open_smoke(kClock);
    const Completion c = generate(*engine, greedy({1, 403}, 3)).completion;
    EXPECT_LT(base::Instant{}, c.submitted);
    EXPECT_LE(c.submitted, c.started);
    EXPECT_LE(c.started, c.first_token);
    EXPECT_LE(c.first_token, c.finished);
}

TEST(Engine, BadRequestsAreRefusedWithTheReason) {
    const auto engine = open_smoke(kClock, {.context_tokens_max = 32});
    const auto refused = [&](const GenerateRequest& request) {
        const auto id = engine->submit(request, std::make_shared<Collector>());
        EXPECT_FALSE(id.has_value());
        return id ? base::Error{} : id.error();
    };
    EXPECT_EQ(refused(greedy({}, 1)).subject, "prompt");
    EXPECT_EQ(refused(greedy({512}, 1)).subject, "prompt");
    EXPECT_EQ(refused(greedy({-1}, 1)).subject, "prompt");
    const base::Error too_long = refused(greedy(std::vector<TokenId>(40, 5), 1));
    EXPECT_EQ(too_long.code, Code::invalid_argument);
    EXPECT_NE(too_long.message.find("40"), std::string::npos);
    EXPECT_NE(too_long.message.find("32"), std::string::npos);
    GenerateRequest many = greedy({1}, 1);
    many.top_logprobs = 21;
    EXPECT_EQ(refused(many).subject, "top_logprobs");
    GenerateRequest hot = greedy({1}, 1);
    hot.sampling.temperature = -1.f;
    EXPECT_EQ(refused(hot).subject, "temperature");
}

TEST(Engine, AFullQueueRefuses) {
    const auto engine = open_smoke(kClock, {.queue_depth_max = 2, .running_max = 1});
    std::mutex hold;
    std::condition_variable reached;
    bool first_is_running = false, may_go_on = false;
    auto first = std::make_shared<Collector>();
    first->on_each = [&](std::size_t) {
        std::unique_lock lock(hold);
        first_is_running = true;
        reached.notify_all();
        reached.wait(lock, [&] { return may_go_on; });
    };
    ASSERT_TRUE(engine->submit(greedy({1}, 2), first).has_value());
    {
        std::unique_lock lock(hold);
        reached.wait(lock, [&] { return first_is_running; });
    }
    std::vector<std::shared_ptr<Collector>> waiting;
    for (int i = 0; i < 2; ++i) {
        waiting.push_back(std::make_shared<Collector>());
        EXPECT_TRUE(engine->submit(greedy({1}, 1), waiting.back()).has_value());
    }
    EXPECT_EQ(engine->stats().queued, 2u);
    const auto refused = engine->submit(greedy({1}, 1), std::make_shared<Collector>());
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Code::resource_exhausted);
    {
        const std::lock_guard lock(hold);
        may_go_on = true;
        reached.notify_all();
    }
    for (const auto& sink : waiting) EXPECT_EQ(sink->wait().reason, FinishReason::length);
}

TEST(Engine, RequestsWaitForPagesInsteadOfFailing) {
    // A page: keys and values of 5 layers, 4 heads of 8 values, 32 tokens. Room for three.
    const std::size_t page = 5 * 2 * engine::kv_plane_bytes(engine::KvType::f16, 32, 4, 8);
    const auto engine = open_smoke(kClock, {.kv_bytes_max = 3 * page});
    EXPECT_EQ(engine->stats().kv_pages_total, 3u);
    EXPECT_EQ(engine->info().context_tokens, 96u);
    std::vector<std::shared_ptr<Collector>> sinks;
    for (int i = 0; i < 6; ++i) {
        sinks.push_back(std::make_shared<Collector>());
        GenerateRequest request = greedy({1, 403}, 50);
        request.ignore_eos = true;
        ASSERT_TRUE(engine->submit(request, sinks.back()).has_value());
    }
    for (const auto& sink : sinks) {
        EXPECT_EQ(sink->wait().reason, FinishReason::length);
        EXPECT_EQ(sink->ids(), sinks[0]->ids());
    }
}

TEST(Engine, StopCancelsWhatRunsAndWhatWaits) {
    const auto engine = open_smoke(kClock, {.running_max = 1});
    std::atomic<bool> stopping{false};
    std::vector<std::shared_ptr<Collector>> sinks;
    const auto submit = [&] {
        auto sink = std::make_shared<Collector>();
        sink->on_each = [&](std::size_t) {
            while (!stopping) std::this_thread::yield();  // the first request stays the running one
        };
        GenerateRequest request = greedy({1}, 0);
        request.ignore_eos = true;
        const auto id = engine->submit(std::move(request), sink);
        if (id) sinks.push_back(std::move(sink));
        return id ? std::nullopt : std::optional(id.error().code);
    };
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(submit().has_value());
    std::thread first([&] { engine->stop(); });
    std::thread second([&] { engine->stop(); });
    while (submit() != Code::cancelled) std::this_thread::yield();
    stopping = true;
    first.join();
    second.join();
    for (const auto& sink : sinks) EXPECT_EQ(sink->wait().reason, FinishReason::cancelled);
    const std::vector<std::string> texts = {"x"};
    EXPECT_EQ(engine->embed(texts).error().code, Code::cancelled);
}

TEST(Engine, DecodersEmbedByMeanPooling) {
    const auto engine = open_smoke(kClock);
    const std::vector<std::string> texts = {"a little girl named Lily", "a little boy named Tom",
                                            "a little girl named Lily"};
    const auto vectors = engine->embed(texts);
    ASSERT_TRUE(vectors.has_value()) << vectors.error().message;
    ASSERT_EQ(vectors->size(), 3u);
    EXPECT_EQ((*vectors)[0], (*vectors)[2]);
    EXPECT_NE((*vectors)[0], (*vectors)[1]);
    double square = 0.;
    for (const float value : (*vectors)[0]) square += static_cast<double>(value * value);
    EXPECT_NEAR(square, 1., 1e-5);
    const std::vector<std::string> too_long = {"fine", std::string(6000, 'x')};
    const auto refused = engine->embed(too_long);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().subject, "input[1]");
}

TEST(Engine, AModelWithoutAChatTemplateSaysSo) {
    const auto engine = open_smoke(kClock);
    const auto text = engine->render_chat({}, nullptr, true, {});
    ASSERT_FALSE(text.has_value());
    EXPECT_EQ(text.error().code, Code::failed_precondition);
}

TEST(Engine, WrongFilesAndOptionsAreErrors) {
    EXPECT_EQ(Engine::open("/nowhere.gguf", {}, kClock).error().code, Code::not_found);
    const auto rows = Engine::open(asset("assets/stories260K-f16.gguf"),
                                   {.batch_tokens_max = 4, .running_max = 4}, kClock);
    ASSERT_FALSE(rows.has_value());
    EXPECT_EQ(rows.error().subject, "batch_tokens_max");
    for (const EngineOptions& options :
         {EngineOptions{.batch_tokens_max = UINT32_MAX}, EngineOptions{.queue_depth_max = 0},
          EngineOptions{.threads = 5000}}) {
        const auto refused = Engine::open(asset("assets/stories260K-f16.gguf"), options, kClock);
        ASSERT_FALSE(refused.has_value());
        EXPECT_EQ(refused.error().code, Code::invalid_argument);
    }
    const auto tiny =
        Engine::open(asset("assets/stories260K-f16.gguf"), {.kv_bytes_max = 100}, kClock);
    ASSERT_FALSE(tiny.has_value());
    EXPECT_EQ(tiny.error().code, Code::resource_exhausted);
}

TEST(Engine, StatsCountTokensAndTime) {
    const auto engine = open_smoke(kClock);
    generate(*engine, greedy({1, 403, 407}, 10));
    engine->stop();  // counters are published after the step that told the sink
    const auto stats = engine->stats();
    EXPECT_EQ(stats.prompt_tokens_total, 3u);
    EXPECT_EQ(stats.completion_tokens_total, 10u);
    EXPECT_GE(stats.steps_total, 10u);
    EXPECT_GT(stats.prefill_seconds_total, 0.);
    EXPECT_GT(stats.decode_seconds_total, 0.);
    EXPECT_GT(stats.load_seconds, 0.);
    EXPECT_GT(stats.weights_bytes, 500'000u);
}

}  // namespace
