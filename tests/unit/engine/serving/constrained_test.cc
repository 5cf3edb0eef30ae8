// Structured output through the whole engine, on the embedded smoke-test model: it writes stories,
// so whatever comes out as JSON is the grammar's doing.

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "base/core/rng.h"
#include "base/json/json.h"
#include "engine/constrain/matcher.h"
#include "engine/constrain/schema.h"
#include "engine/constrain/token_trie.h"
#include "engine/engine.h"

namespace {

namespace constrain = engine::constrain;
using engine::Completion;
using engine::Engine;
using engine::FinishReason;
using engine::GenerateRequest;
using engine::TokenEvent;
using engine::TokenId;

class Collector final : public engine::GenerationSink {
public:
    void on_token(const TokenEvent& event) override {
        const std::lock_guard lock(mutex_);
        events.push_back(event);
    }
    void on_finish(const Completion& end) override {
        const std::lock_guard lock(mutex_);
        completion = end;
        finished_ = true;
        changed_.notify_all();
    }
    void wait() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return finished_; });
    }
    std::string text() const {
        std::string text;
        for (const TokenEvent& event : events) text += event.text;
        return text + completion.text;
    }
    std::vector<TokenId> ids() const {
        std::vector<TokenId> ids;
        for (const TokenEvent& event : events) ids.push_back(event.id);
        return ids;
    }
    std::vector<TokenEvent> events;
    Completion completion;

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool finished_ = false;
};

const base::SystemClock kClock;

std::unique_ptr<Engine> open_smoke() {
    auto engine = Engine::open(DG_SOURCE_DIR "/assets/stories260K-f16.gguf",
                               {.threads = 2, .kv_bytes_max = 8u << 20}, kClock);
    EXPECT_TRUE(engine) << engine.error().message;
    return std::move(*engine);
}

std::shared_ptr<const constrain::Grammar> schema(std::string_view text,
                                                 constrain::SchemaOptions options = {}) {
    const auto grammar = constrain::compile_schema(*base::parse_json(text), options);
    EXPECT_TRUE(grammar) << grammar.error().message;
    return *grammar;
}

constexpr std::string_view kPerson = R"({"type":"object","properties":{
    "name":{"type":"string","maxLength":12},"mood":{"enum":["happy","unhappy","sleepy"]},
    "age":{"type":"integer","minimum":1,"maximum":120}},
    "required":["name","mood","age"],"additionalProperties":false})";

GenerateRequest request(std::shared_ptr<const constrain::Grammar> grammar, std::uint64_t seed,
                        std::uint32_t max_tokens = 200) {
    GenerateRequest r;
    r.prompt = {1, 403, 407};
    r.sampling = {.temperature = 1.f, .seed = seed};
    r.max_tokens = max_tokens;
    r.grammar = std::move(grammar);
    return r;
}

std::shared_ptr<Collector> start(Engine& engine, GenerateRequest r) {
    auto sink = std::make_shared<Collector>();
    const auto id = engine.submit(std::move(r), sink);
    EXPECT_TRUE(id) << id.error().message;
    return sink;
}

std::shared_ptr<Collector> run(Engine& engine, GenerateRequest r) {
    auto sink = start(engine, std::move(r));
    sink->wait();
    return sink;
}

TEST(Constrained, EveryAnswerThatEndsSatisfiesTheSchema) {
    const auto engine = open_smoke();
    for (const bool spaced : {false, true}) {
        const auto grammar =
            schema(kPerson, spaced ? constrain::SchemaOptions{.whitespace_max = 0, .compact = false}
                                   : constrain::SchemaOptions{.whitespace_max = 1});
        std::vector<std::shared_ptr<Collector>> sinks;
        for (std::uint64_t seed = 0; seed < 12; ++seed) {
            sinks.push_back(start(*engine, request(grammar, seed)));
        }
        int ended = 0;
        for (const auto& sink : sinks) {
            sink->wait();
            if (sink->completion.reason == FinishReason::length) {
                EXPECT_FALSE(base::parse_json(sink->text()).has_value());
                continue;
            }
            ASSERT_EQ(sink->completion.reason, FinishReason::stop);
            ++ended;
            const auto value = base::parse_json(sink->text());
            ASSERT_TRUE(value) << sink->text();
            EXPECT_TRUE(constrain::matches(grammar, sink->text()));
            EXPECT_GE(value->at("age").to_number<int>(), 1);
        }
        EXPECT_GT(ended, spaced ? 11 : 3);
    }
}

TEST(Constrained, TheSameTokensAloneAndInCompany) {
    const auto engine = open_smoke();
    const auto grammar = schema(kPerson, {.whitespace_max = 0});
    std::vector<std::shared_ptr<Collector>> together;
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        GenerateRequest r = request(seed % 2 == 0 ? grammar : nullptr, seed, 40);
        r.ignore_eos = true;
        together.push_back(start(*engine, std::move(r)));
    }
    for (std::uint64_t seed = 0; seed < 10; ++seed) {
        together[seed]->wait();
        GenerateRequest r = request(seed % 2 == 0 ? grammar : nullptr, seed, 40);
        r.ignore_eos = true;
        EXPECT_EQ(run(*engine, std::move(r))->ids(), together[seed]->ids()) << seed;
    }
}

TEST(Constrained, ForcedTokensComeOutWithoutSampling) {
    const auto engine = open_smoke();
    const std::string text = R"({"type": "story", "about": "Lily"})";
    const auto grammar = schema(
        R"({"type":"object","properties":{"type":{"const":"story"},"about":{"const":"Lily"}},
            "required":["type","about"],"additionalProperties":false})",
        {.whitespace_max = 0, .compact = false});
    GenerateRequest r = request(grammar, 1);
    r.top_logprobs = 2;
    const auto sink = run(*engine, std::move(r));
    EXPECT_EQ(sink->text(), text);
    EXPECT_EQ(sink->completion.reason, FinishReason::stop);
    for (const TokenEvent& event : sink->events) {
        ASSERT_TRUE(event.chosen);
        EXPECT_EQ(event.chosen->id, event.id);
        EXPECT_NEAR(event.chosen->logprob, 0.f, 1e-6f);
    }
    engine->stop();
    const auto stats = engine->stats();
    EXPECT_GT(stats.forced_tokens_total, sink->events.size() / 2);
    // Forced tokens are computed many at a time.
    EXPECT_LT(stats.steps_total, sink->events.size());
}

TEST(Constrained, TokensLimitCutsAnAnswerAnywhere) {
    const auto engine = open_smoke();
    const auto grammar = schema(R"({"const":"a long fixed text that is cut somewhere"})");
    for (std::uint32_t limit = 1; limit < 12; ++limit) {
        const auto sink = run(*engine, request(grammar, 3, limit));
        EXPECT_EQ(sink->completion.reason, FinishReason::length);
        EXPECT_EQ(sink->completion.completion_tokens, limit);
        EXPECT_TRUE(std::string_view("\"a long fixed text that is cut somewhere\"")
                        .starts_with(sink->text()));
    }
}

TEST(Constrained, TriggersLeaveTheTextBeforeThemFree) {
    const auto engine = open_smoke();
    GenerateRequest free = request(nullptr, 0, 30);
    free.sampling.temperature = 0.f;
    const std::string story = run(*engine, free)->text();
    ASSERT_GT(story.size(), 40u);
    // A word that the model writes by itself begins the grammar.
    const std::string trigger = story.substr(20, 8);
    GenerateRequest r = free;
    constrain::GrammarBuilder grammar;
    r.grammar = *grammar.build(grammar.sequence(
        {grammar.literal(trigger),
         grammar.choice({grammar.literal("\"first\""), grammar.literal("\"second\"")})}));
    r.grammar_triggers = {"never written", trigger};
    const auto sink = run(*engine, r);
    const std::string text = sink->text();
    const std::size_t at = text.find(trigger);
    ASSERT_NE(at, std::string::npos) << text;
    EXPECT_EQ(text.substr(0, at), story.substr(0, at));
    const std::string rest = text.substr(at + trigger.size());
    EXPECT_TRUE(rest.starts_with("\"first\"") || rest.starts_with("\"second\"")) << text;
    EXPECT_EQ(sink->completion.completion_tokens, 30u);  // free again, and going on
}

TEST(Constrained, PenaltiesAndBiasCannotBreakTheGrammar) {
    const auto engine = open_smoke();
    const auto grammar = schema(R"({"type":"array","items":{"enum":[1,2]},"maxItems":6,
                                   "minItems":6})",
                                {.whitespace_max = 0});
    for (std::uint64_t seed = 0; seed < 8; ++seed) {
        GenerateRequest r = request(grammar, seed);
        r.sampling.frequency_penalty = 50.f;
        r.sampling.repetition_penalty = 3.f;
        r.sampling.top_k = 2;
        r.sampling.logit_bias = {{engine->tokenizer().eos(), 1000.f}, {403, 1000.f}};
        const auto sink = run(*engine, std::move(r));
        EXPECT_EQ(sink->completion.reason, FinishReason::stop);
        EXPECT_TRUE(constrain::matches(grammar, sink->text())) << sink->text();
    }
}

TEST(Constrained, AnAnswerThatCannotGoOnIsAnError) {
    const auto engine = open_smoke();
    constrain::GrammarBuilder builder;
    // The vocabulary has no such control token: nothing can begin this text.
    const auto grammar = builder.build(builder.control("<|nowhere|>"));
    const auto sink = run(*engine, request(*grammar, 0));
    EXPECT_EQ(sink->completion.reason, FinishReason::error);
    ASSERT_TRUE(sink->completion.error);
    EXPECT_EQ(sink->completion.error->code, base::Code::failed_precondition);
    EXPECT_TRUE(sink->events.empty());
}

}  // namespace
