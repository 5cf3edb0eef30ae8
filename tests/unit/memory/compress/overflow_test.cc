// Sessions that grow too large are compressed without being asked, and nothing is lost by it.
#include <gtest/gtest.h>

#include <functional>
#include <set>
#include <utility>

#include "../store/store_fixture.h"
#include "memory/compress/compression.h"
#include "memory/compress/summarizer.h"

namespace test {
namespace {

/// Writes one sentence of all, unless it is told to fail or to write nonsense.
class OneSentence final : public memory::compress::Summarizer {
public:
    const std::string& id() const override { return id_; }
    base::Result<std::vector<memory::compress::Sentence>> summarize(
        std::span<const std::string> texts, std::uint32_t) override {
        ++calls;
        if (meanwhile) std::exchange(meanwhile, nullptr)();
        if (failing) return base::fail(base::Code::unavailable, "the model is away");
        memory::compress::Sentence one{.text = "Zebras were spoken of.", .of = {0}};
        one.of.push_back(static_cast<std::uint32_t>(texts.size()) - (astray ? 0 : 1));
        return std::vector{one};
    }
    std::atomic<bool> failing = false, astray = false;
    std::atomic<int> calls = 0;
    std::function<void()> meanwhile;  ///< done once, while the model writes

private:
    const std::string id_ = "one-sentence";
};

class Overflow : public MemoryTest {
protected:
    void SetUp() override {
        options.compress_when.entries_per_session_max = 20;
        options.summarizer = writer;
        MemoryTest::SetUp();
    }
    void say(int from, int to, std::string session = "s") {
        for (int i = from; i < to; ++i) {
            add(fmt::format("turn {} of the talk about zebras and their {} stripes", i, i * 7), "t",
                session);
        }
        const auto settled = store->settle();
        ASSERT_TRUE(settled) << settled.error().message;
    }
    std::vector<memory::Entry> all() {
        const memory::Filter filter{.scope = {.tenant = "t"}, .labels = {}};
        return store->list(filter, memory::Order::created_ascending, 1'000)->entries;
    }
    std::shared_ptr<OneSentence> writer = std::make_shared<OneSentence>();
};

TEST_F(Overflow, ASessionIsCompressedToHalfAndOthersStay) {
    say(0, 20);
    say(0, 5, "other");
    EXPECT_EQ(all().size(), 25u);
    EXPECT_EQ(store->stats().sessions_compressed, 0u);
    say(20, 21);
    EXPECT_EQ(store->stats().sessions_compressed, 1u);
    EXPECT_LE(all().size(), 15u);
    std::set<memory::MemoryId> named;
    std::size_t summaries = 0;
    for (const auto& entry : all()) {
        if (entry.sources.empty()) continue;
        ++summaries;
        EXPECT_EQ(entry.content, "Zebras were spoken of.");
        for (const auto& span : entry.sources) named.insert(span.source);
    }
    EXPECT_GE(summaries, 1u);
    EXPECT_EQ(named.size() + all().size() - summaries, 26u) << "each is there, or named by one";
    EXPECT_EQ(store->stats().summaries_by_model, summaries);
    EXPECT_EQ(store->stats().summaries_picked, 0u);
    EXPECT_EQ(store->stats().summary_error, "");

    const auto done = store->compressor().list("t", 10);
    ASSERT_EQ(done->size(), 1u);
    EXPECT_EQ((*done)[0].by, "overflow");
    EXPECT_EQ((*done)[0].summaries_by_model, summaries);
    ASSERT_TRUE(store->compressor().undo("t", (*done)[0].id, "me"));
    EXPECT_EQ(all().size(), 26u);
}

TEST_F(Overflow, AModelThatIsAwayOrWritesNonsenseLeavesPickedSentencesAndAReason) {
    for (const bool nonsense : {false, true}) {
        writer->failing = !nonsense;
        writer->astray = nonsense;
        say(0, 21, nonsense ? "b" : "a");
        EXPECT_EQ(store->stats().summaries_by_model, 0u);
        EXPECT_GT(store->stats().summaries_picked, 0u);
        EXPECT_NE(store->stats().summary_error, "");
        const auto done = store->compressor().list("t", 1);
        ASSERT_EQ(done->size(), 1u);
        EXPECT_NE((*done)[0].summary_error, "");
        EXPECT_EQ((*done)[0].summaries_by_model, 0u);
    }
    EXPECT_GT(writer->calls, 1);
    for (const auto& entry : all()) {
        EXPECT_NE(entry.content.find("turn"), std::string::npos) << "words of theirs alone";
    }
}

TEST_F(Overflow, TokensCountAsWellAndPinnedOnesStayWithoutEnd) {
    options.compress_when = {.tokens_per_session_max = 200};
    open(std::make_shared<LetterEmbedder>());
    say(0, 8);
    EXPECT_EQ(store->stats().sessions_compressed, 0u);
    say(8, 30);
    EXPECT_GE(store->stats().sessions_compressed, 1u);
    EXPECT_LT(all().size(), 30u);
    // What cannot be made smaller is not tried with every write.
    writer->calls = 0;
    for (int i = 0; i < 40; ++i) {
        memory::NewEntry entry{.type = memory::MemoryType::episodic,
                               .scope = {.tenant = "t", .session = "pinned"},
                               .content = fmt::format("pinned turn {} of zebras", i)};
        entry.pinned = true;
        ASSERT_TRUE(store->add(entry));
    }
    ASSERT_TRUE(store->settle());
    const memory::Filter filter{.scope = {.tenant = "t", .session = "pinned"}, .labels = {}};
    EXPECT_EQ(store->list(filter, memory::Order::created_ascending, 100)->entries.size(), 40u);
    EXPECT_EQ(writer->calls, 0);
}

TEST_F(Overflow, WhatIsWrittenWhileASessionIsCompressedIsSeenAfterwards) {
    writer->meanwhile = [&] {
        for (int i = 100; i < 140; ++i) add(fmt::format("turn {} of the talk", i), "t", "s");
    };
    say(0, 21);
    EXPECT_EQ(writer->meanwhile, nullptr);
    EXPECT_EQ(store->stats().sessions_compressed, 2u);
    EXPECT_LE(all().size(), 20u);
}

TEST_F(Overflow, WhatGrewWhileNobodyWatchedIsSeenWithTheNextWrite) {
    options.compress_when = {};
    open(std::make_shared<LetterEmbedder>());
    say(0, 40);
    EXPECT_EQ(all().size(), 40u);
    options.compress_when.entries_per_session_max = 20;
    open(std::make_shared<LetterEmbedder>());
    say(40, 41);
    EXPECT_EQ(store->stats().sessions_compressed, 1u);
    EXPECT_LE(all().size(), 11u);
}

}  // namespace
}  // namespace test
