// A prompt that is read in parts beside a stream, and what may happen to it in the middle of a
// chunk. Whatever does, every request gets the tokens it gets alone.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "engine/batch/mean_pooling.h"
#include "engine/kv/spill_file.h"
#include "support/seeds.h"
#include "support/temp_dir.h"
#include "unit/engine/serving/sampled_requests.h"
#include "unit/engine/serving/serving_parts.h"

namespace {

using engine::Batcher;
using engine::RunningSet;
using namespace test;

std::vector<TokenId> generate_in(ServingParts& serving, const GenerateRequest& request) {
    const auto sink = std::make_shared<Collector>();
    EXPECT_TRUE(serving.batcher().submit(request, sink).has_value());
    sink->wait();
    return sink->ids();
}

/// The tokens `request` gets alone, without a cache, in passes that are never cut.
std::vector<TokenId> alone(const GenerateRequest& request) {
    ServingParts serving(
        {.pages = 16, .context_tokens = 512, .running_max = 1, .cache = {.pages_max = 0}});
    return generate_in(serving, request);
}

/// Prompts that do not fit a step are always cut, and the clock leaves a step one part.
ServingOptions always_in_parts(const base::Clock& clock) {
    return {.pages = 64,
            .context_tokens = 512,
            .budget = {.rows_max = 32,
                       .seconds_max = 0.005,
                       .prompt_rows_min = 1,
                       .parts = 10,
                       .parts_gain_min = 0.},
            .clock = clock};
}

/// A stream, and a prompt that is read beside it.
class HalfDoneChunk : public ::testing::Test {
protected:
    void start(ServingOptions options) { serving_.emplace(options); }
    void start() { start(always_in_parts(clock_)); }
    Batcher& batcher() { return serving_->batcher(); }

    std::shared_ptr<Collector> submit(const GenerateRequest& request) {
        auto sink = std::make_shared<Collector>();
        const auto id = batcher().submit(request, sink);
        EXPECT_TRUE(id.has_value());
        last_id_ = *id;
        return sink;
    }
    /// Starts the stream, then the reader.
    void read_beside_a_stream() {
        stream_sink_ = submit(stream_);
        reader_sink_ = submit(reader_);
        reader_id_ = last_id_;
    }
    /// Runs `act` between two steps, after `parts` of them that left a chunk of the reader half
    /// done.
    void when_half_done(const std::function<void(RunningSet&)>& act, std::uint32_t parts = 3) {
        std::uint32_t seen = 0;
        ASSERT_TRUE(batcher()
                        .call([&](RunningSet* running) {
                            seen += running->half_done() == reader_id_ ? 1 : 0;
                            if (seen < parts) return Batcher::Progress::more;
                            act(*running);
                            return Batcher::Progress::done;
                        })
                        .has_value());
    }
    void expect_as_alone(Collector& sink, const GenerateRequest& request) {
        const Completion done = sink.wait();
        EXPECT_EQ(done.reason, FinishReason::length) << (done.error ? done.error->message : "");
        EXPECT_EQ(sink.ids(), alone(request));
    }
    /// Nobody holds a page but the cache.
    void expect_no_page_lost() {
        batcher().stop();
        const engine::KvStats stats = serving_->pages().stats();
        EXPECT_EQ(stats.pages_taken, stats.pages_cached);
    }

    base::Rng rng_{31};
    TickingClock clock_;
    std::optional<ServingParts> serving_;
    const GenerateRequest stream_ = sampled(random_tokens(rng_, 5), 1, 200);
    GenerateRequest reader_ = sampled(random_tokens(rng_, 150), 2, 8);
    std::shared_ptr<Collector> stream_sink_, reader_sink_;
    engine::GenerationId reader_id_ = 0, last_id_ = 0;
};

TEST_F(HalfDoneChunk, ThePromptComesToItsEnd) {
    start();
    read_beside_a_stream();
    std::size_t streamed = 0;
    when_half_done([&](RunningSet&) { streamed = stream_sink_->events().size(); });
    EXPECT_GT(streamed, 0u);
    expect_as_alone(*reader_sink_, reader_);
    expect_as_alone(*stream_sink_, stream_);
    batcher().stop();
    const engine::StepCounters totals = batcher().stats().totals;
    EXPECT_EQ(totals.prompt_tokens, stream_.prompt.size() + reader_.prompt.size());
    EXPECT_GT(totals.steps, 60u) << "the prompt was not read in parts";
    expect_no_page_lost();
}

TEST_F(HalfDoneChunk, TheChunkIsFinishedWhenTheStreamIsGone) {
    start();
    read_beside_a_stream();
    when_half_done([&](RunningSet&) { batcher().cancel(reader_id_ - 1); });
    expect_as_alone(*reader_sink_, reader_);
    EXPECT_EQ(stream_sink_->wait().reason, FinishReason::cancelled);
    expect_no_page_lost();
}

TEST_F(HalfDoneChunk, CancellingTakesEffectInOneStepAndLeavesNothing) {
    start();
    read_beside_a_stream();
    std::size_t streamed = 0;
    when_half_done([&](RunningSet&) {
        streamed = stream_sink_->events().size();
        batcher().cancel(reader_id_);
    });
    EXPECT_EQ(reader_sink_->wait().reason, FinishReason::cancelled);
    EXPECT_TRUE(reader_sink_->events().empty());
    // What the cache has of it is sound: the same prompt again, and a longer one.
    expect_as_alone(*submit(reader_), reader_);
    GenerateRequest longer = reader_;
    longer.prompt.push_back(77);
    expect_as_alone(*submit(longer), longer);
    expect_as_alone(*stream_sink_, stream_);
    expect_no_page_lost();
}

TEST_F(HalfDoneChunk, ADeadlineEndsIt) {
    start();
    reader_.deadline = clock_.now() + std::chrono::milliseconds(400);
    read_beside_a_stream();
    const Completion done = reader_sink_->wait();
    EXPECT_EQ(done.reason, FinishReason::deadline);
    reader_.deadline = base::Instant::never();
    expect_as_alone(*submit(reader_), reader_);
    expect_as_alone(*stream_sink_, stream_);
    expect_no_page_lost();
}

TEST_F(HalfDoneChunk, StoppingEndsItWithTheRest) {
    start();
    read_beside_a_stream();
    when_half_done([](RunningSet&) {});
    expect_no_page_lost();
    EXPECT_EQ(reader_sink_->wait().reason, FinishReason::cancelled);
    EXPECT_EQ(stream_sink_->wait().reason, FinishReason::cancelled);
}

TEST_F(HalfDoneChunk, WhoIsSetAsideWithItResumesWithTheSameAnswer) {
    for (const bool to_disk : {false, true}) {
        const TempDir dir;
        const auto spill = engine::SpillFile::create(dir.path(), 64u << 20);
        ASSERT_TRUE(spill.has_value());
        ServingOptions options = always_in_parts(clock_);
        options.running_max = 2;
        if (to_disk) options.spill = spill->get();
        start(options);
        read_beside_a_stream();
        GenerateRequest urgent = sampled(random_tokens(rng_, 20), 3, 10);
        urgent.priority = 1;
        std::shared_ptr<Collector> urgent_sink;
        when_half_done([&](RunningSet&) { urgent_sink = submit(urgent); }, 25);
        expect_as_alone(*urgent_sink, urgent);
        expect_as_alone(*reader_sink_, reader_);
        expect_as_alone(*stream_sink_, stream_);
        expect_no_page_lost();
        EXPECT_GT(batcher().stats().totals.preempted, 0u);
        serving_.reset();
    }
}

TEST_F(HalfDoneChunk, NobodyFindsItInTheCache) {
    start();
    read_beside_a_stream();
    // The same prompt, and one that parts from it in the middle of a page.
    GenerateRequest fork = reader_;
    fork.prompt.resize(40);
    fork.prompt.push_back(99);
    std::shared_ptr<Collector> same_sink, fork_sink;
    when_half_done(
        [&](RunningSet&) {
            same_sink = submit(reader_);
            fork_sink = submit(fork);
        },
        15);
    expect_as_alone(*fork_sink, fork);
    expect_as_alone(*same_sink, reader_);
    expect_as_alone(*reader_sink_, reader_);
    expect_no_page_lost();
}

TEST_F(HalfDoneChunk, ANumberThatIsNoneEndsItAndNobodyElse) {
    start();
    read_beside_a_stream();
    const GenerateRequest other = sampled(random_tokens(rng_, 40), 4, 30);
    std::shared_ptr<Collector> other_sink;
    when_half_done(
        [&](RunningSet&) {
            other_sink = submit(other);
            const engine::KvSequence written = serving_->cache().take({}, reader_.prompt);
            ASSERT_GE(written.tokens(), 64u) << "two pages of the prompt are not written yet";
            std::memset(written.pages()[1].bytes(), 0x7e,  // NaN in F16
                        serving_->pages().geometry().page_bytes());
        },
        35);
    const Completion done = reader_sink_->wait();
    EXPECT_EQ(done.reason, FinishReason::error);
    ASSERT_TRUE(done.error.has_value());
    EXPECT_EQ(done.error->code, base::Code::internal) << done.error->message;
    EXPECT_TRUE(reader_sink_->events().empty());
    expect_as_alone(*other_sink, other);
    expect_as_alone(*stream_sink_, stream_);
    expect_no_page_lost();
}

TEST_F(HalfDoneChunk, AnEmbeddingBetweenItsPartsChangesNothing) {
    const std::vector<std::vector<TokenId>> texts = {random_tokens(rng_, 70), {1, 403}};
    const auto pool = [&] {
        auto pooling = std::make_shared<engine::MeanPooling>(
            serving_->decoder(), serving_->threads(), serving_->pages(), clock_, texts);
        EXPECT_TRUE(batcher()
                        .call([&](RunningSet* running) { return pooling->advance(*running); })
                        .has_value());
        return *pooling->result();
    };
    start();
    const auto expected = pool();
    read_beside_a_stream();
    when_half_done([](RunningSet&) {});
    EXPECT_EQ(pool(), expected);
    expect_as_alone(*reader_sink_, reader_);
    expect_as_alone(*stream_sink_, stream_);
    expect_no_page_lost();
}

/// Tenants, priorities, shared beginnings, cancels, deadlines, few pages, embeddings: whatever ends
/// by itself ends with the tokens it gets alone.
TEST(HalfDoneChunks, SoakWhereEveryPromptIsCut) {
    std::uint64_t half_done = 0, preempted = 0;
    test::for_each_seed(5, [&](base::Rng& rng) {
        const TickingClock clock;
        const TempDir dir;
        const auto spill = engine::SpillFile::create(dir.path(), 64u << 20);
        ASSERT_TRUE(spill.has_value());
        ServingOptions options = always_in_parts(clock);
        options.pages = static_cast<std::uint32_t>(14 + rng.below(12));
        options.running_max = static_cast<std::uint32_t>(2 + rng.below(6));
        options.budget.rows_max = static_cast<std::uint32_t>(10 + rng.below(60));
        if (rng.below(2) == 0) options.spill = spill->get();
        ServingParts serving(options);
        ServingParts reference(
            {.pages = 16, .context_tokens = 512, .running_max = 1, .cache = {.pages_max = 0}});
        // Answers seem short, so that more is admitted than fits.
        for (int i = 0; i < 60; ++i) generate_in(serving, greedy({1}, 1));
        const std::vector<TokenId> common = random_tokens(rng, 120);
        std::vector<GenerateRequest> requests;
        std::vector<std::shared_ptr<Collector>> sinks;
        for (std::uint64_t i = 0; i < 16; ++i) {
            std::vector<TokenId> prompt(common.begin(),
                                        common.begin() + 1 + static_cast<int>(rng.below(119)));
            for (std::uint64_t n = rng.below(80); n > 0; --n) {
                prompt.push_back(static_cast<TokenId>(3 + rng.below(500)));
            }
            GenerateRequest request =
                sampled(std::move(prompt), i, static_cast<std::uint32_t>(1 + rng.below(90)));
            request.tenant = std::string(1, static_cast<char>('a' + rng.below(3)));
            request.priority = static_cast<std::int32_t>(rng.below(3));
            if (rng.below(10) == 0) {
                request.deadline = clock.now() + std::chrono::milliseconds(rng.below(3000));
            }
            sinks.push_back(std::make_shared<Collector>());
            if (i > 0 && rng.below(6) == 0) {
                sinks.back()->on_each = [&serving, other = 61 + rng.below(i)](std::size_t n) {
                    if (n == 3) serving.batcher().cancel(other);
                };
            }
            ASSERT_TRUE(serving.batcher().submit(request, sinks.back()).has_value());
            requests.push_back(std::move(request));
            if (rng.below(3) > 0) continue;
            auto pooling = std::make_shared<engine::MeanPooling>(
                serving.decoder(), serving.threads(), serving.pages(), clock,
                std::vector<std::vector<TokenId>>{random_tokens(rng, 1 + rng.below(60))});
            ASSERT_TRUE(serving.batcher()
                            .call([&](RunningSet* running) {
                                half_done += running->half_done() != 0 ? 1 : 0;
                                return pooling->advance(*running);
                            })
                            .has_value());
            ASSERT_TRUE(pooling->result().has_value());
        }
        for (std::size_t i = 0; i < requests.size(); ++i) {
            const Completion done = sinks[i]->wait();
            if (done.reason == FinishReason::cancelled || done.reason == FinishReason::deadline) {
                continue;
            }
            ASSERT_EQ(done.reason, FinishReason::length)
                << (done.error ? done.error->message : "") << " request " << i;
            requests[i].deadline = base::Instant::never();
            ASSERT_EQ(sinks[i]->ids(), generate_in(reference, requests[i])) << "request " << i;
        }
        serving.batcher().stop();
        const engine::KvStats stats = serving.pages().stats();
        EXPECT_EQ(stats.pages_taken, stats.pages_cached);
        preempted += serving.batcher().stats().totals.preempted;
    });
    EXPECT_GT(half_done, 0u);
    EXPECT_GT(preempted, 0u);
}

}  // namespace
