#include "memory/memory.h"

#include <fmt/format.h>

#include <thread>

#include "store_fixture.h"

namespace test {
namespace {

using base::Code;
using memory::Query;

TEST_P(AnyMemory, WhatWasWrittenIsFoundAtOnceByItsWords) {
    const auto id = add("Ann is allergic to walnuts");
    add("Bob sails on weekends");
    const auto answer = search("walnut allergy");
    ASSERT_FALSE(answer.hits.empty());
    EXPECT_EQ(answer.hits[0].entry.id, id);
    EXPECT_GT(answer.hits[0].parts.keyword, 0);
}

TEST_P(AnyMemory, VectorsFollowAndFindWhatSharesNoWord) {
    const auto id = add("qqqq zzzz");
    add("an ordinary sentence about the weather");
    ASSERT_TRUE(store->settle());
    const auto answer = search("zzqqzzqq");
    ASSERT_FALSE(answer.hits.empty());
    EXPECT_EQ(answer.hits[0].entry.id, id);
    EXPECT_GT(answer.hits[0].parts.vector, 0);
    EXPECT_EQ(store->stats().embeddings_pending, 0u);
}

TEST_P(AnyMemory, NoTenantFindsAnothersEntries) {
    add("the secret of the first", "first");
    EXPECT_TRUE(search("secret", "second").hits.empty());
    EXPECT_EQ(search("secret", "first").hits.size(), 1u);
}

TEST_P(AnyMemory, AnEmbedderThatIsAwayCostsMeaningNotTheAnswer) {
    auto letters = std::make_shared<LetterEmbedder>();
    letters->failing = true;
    open(letters);
    const auto id = add("the vault holds the key");
    const auto answer = search("vault");
    EXPECT_TRUE(answer.embedding_missing);
    ASSERT_FALSE(answer.hits.empty());
    EXPECT_EQ(answer.hits[0].entry.id, id);
    EXPECT_EQ(store->stats().embeddings_pending, 1u);
    const auto settled = store->settle();
    ASSERT_FALSE(settled);
    EXPECT_EQ(settled.error().code, Code::unavailable);
}

TEST_P(AnyMemory, AnotherModelEmbedsEverythingAgainWhileReadsGoOn) {
    for (int i = 0; i < 150; ++i) add(fmt::format("entry number {}", i));
    ASSERT_TRUE(store->settle());
    open(std::make_shared<LetterEmbedder>("letters-2"));
    EXPECT_FALSE(search("number 17").hits.empty());
    ASSERT_TRUE(store->settle());
    EXPECT_EQ(store->stats().embeddings_pending, 0u);
    EXPECT_EQ(store->stats().embedder, "letters-2");
}

TEST_P(AnyMemory, AReopenedStoreFindsTheSame) {
    for (int i = 0; i < 40; ++i) add(fmt::format("kept number {} of many", i), "t", "s");
    ASSERT_TRUE(store->settle());
    const auto before = search("number 23");
    open(std::make_shared<LetterEmbedder>());
    const auto after = search("number 23");
    ASSERT_EQ(before.hits.size(), after.hits.size());
    for (std::size_t i = 0; i < before.hits.size(); ++i) {
        EXPECT_EQ(before.hits[i].entry.id, after.hits[i].entry.id) << i;
        EXPECT_FLOAT_EQ(before.hits[i].score, after.hits[i].score) << i;
    }
}

TEST_P(AnyMemory, UpdatesAndRemovalsReachTheSearchBeforeTheyReturn) {
    const auto id = add("the meeting is on Monday");
    ASSERT_TRUE(store->update("t", id, {.content = "the meeting is on Friday"}));
    EXPECT_EQ(search("Friday").hits.at(0).entry.content, "the meeting is on Friday");
    for (const auto& hit : search("Monday").hits) EXPECT_EQ(hit.parts.keyword, 0);
    ASSERT_TRUE(store->remove("t", id));
    EXPECT_TRUE(search("meeting").hits.empty());
    ASSERT_TRUE(store->restore("t", id, 1));
    EXPECT_EQ(search("meeting").hits.at(0).entry.content, "the meeting is on Monday");
    const auto history = store->history("t", id);
    ASSERT_TRUE(history);
    ASSERT_EQ(history->size(), 4u);
    EXPECT_EQ(history->front().change, "restored");
    EXPECT_EQ(history->back().change, "added");
}

TEST_P(AnyMemory, NeighboursComeWithAHitAndOnlyOnce) {
    for (const char* text :
         {"first we met", "then we ate soup", "then we talked", "last we left"}) {
        add(text, "t", "evening");
    }
    Query query;
    query.text = "soup";
    query.limit = 1;
    query.neighbours = 1;
    query.filter.scope.tenant = "t";
    const auto answer = store->search(query);
    ASSERT_TRUE(answer);
    ASSERT_EQ(answer->hits.size(), 1u);
    ASSERT_EQ(answer->hits[0].before.size(), 1u);
    EXPECT_EQ(answer->hits[0].before[0].content, "first we met");
    ASSERT_EQ(answer->hits[0].after.size(), 1u);
    EXPECT_EQ(answer->hits[0].after[0].content, "then we talked");
}

TEST_P(AnyMemory, ABudgetOfTokensIsKept) {
    for (int i = 0; i < 30; ++i) add(fmt::format("the budget line number {} has some words", i));
    Query query;
    query.text = "budget line";
    query.limit = 30;
    query.tokens_max = 50;
    query.filter.scope.tenant = "t";
    const auto answer = store->search(query);
    ASSERT_TRUE(answer);
    EXPECT_GE(answer->hits.size(), 3u);
    EXPECT_LE(answer->hits.size(), 8u);
}

TEST_P(AnyMemory, AccessesAreCountedAndSurvive) {
    const auto id = add("counted");
    for (int i = 0; i < 3; ++i) search("counted");
    ASSERT_TRUE(store->settle());
    open(std::make_shared<LetterEmbedder>());
    EXPECT_EQ(store->get("t", id)->access_count, 3u);
}

TEST_P(AnyMemory, BadQuestionsAreRefusedByName) {
    const auto refused = [&](Query query) {
        query.filter.scope.tenant = "t";
        const auto answer = store->search(query);
        return answer ? std::string("none") : answer.error().subject;
    };
    EXPECT_EQ(refused({.text = ""}), "query");
    EXPECT_EQ(refused({.text = "x", .limit = 0}), "limit");
    EXPECT_EQ(refused({.text = "x", .embedding = {1, 2}}), "embedding");
    EXPECT_EQ(refused({.text = "x", .embedding = std::vector<float>(32, NAN)}), "embedding");
    EXPECT_EQ(refused({.text = std::string(20'000, 'x')}), "query");
}

TEST_P(AnyMemory, ABatchIsAllOrNoneAndOfOneTenant) {
    std::vector<memory::NewEntry> batch(3);
    for (int i = 0; i < 3; ++i) {
        batch[static_cast<std::size_t>(i)].content = fmt::format("batch entry {}", i);
        batch[static_cast<std::size_t>(i)].scope.tenant = i == 2 ? "other" : "t";
    }
    const auto mixed = store->add(batch);
    ASSERT_FALSE(mixed);
    EXPECT_EQ(mixed.error().code, Code::invalid_argument);
    EXPECT_TRUE(search("batch").hits.empty());
    batch[2].scope.tenant = "t";
    batch[2].importance = 7;
    EXPECT_FALSE(store->add(batch));
    EXPECT_TRUE(search("batch").hits.empty());
    batch[2].importance = .5f;
    EXPECT_EQ(store->add(batch)->size(), 3u);
    EXPECT_EQ(search("batch").hits.size(), 3u);
}

TEST_P(AnyMemory, WritersAndReadersAtOnceLoseNothing) {
    constexpr int kThreads = 4, kEach = 60;
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < kEach; ++i) {
                memory::NewEntry entry;
                entry.content = fmt::format("writer{} wrote item{} here", t, i);
                entry.scope.tenant = t % 2 == 0 ? "even" : "odd";
                ASSERT_TRUE(store->add(entry));
                Query query;
                query.text = fmt::format("writer{} item{}", t, i);
                query.filter.scope.tenant = entry.scope.tenant;
                const auto answer = store->search(query);
                ASSERT_TRUE(answer);
                ASSERT_FALSE(answer->hits.empty());
                EXPECT_EQ(answer->hits[0].entry.content, entry.content);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    for (const char* tenant : {"even", "odd"}) {
        const auto page =
            store->list({.scope = {.tenant = tenant}}, memory::Order::created_ascending, 1000, "");
        ASSERT_TRUE(page);
        EXPECT_EQ(page->entries.size(), static_cast<std::size_t>(kThreads / 2 * kEach));
    }
}

INSTANTIATE_TEST_SUITE_P(Backends, AnyMemory, ::testing::ValuesIn(backends()),
                         [](const auto& backend) { return backend.param; });

}  // namespace
}  // namespace test
