#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "../index/changes.h"
#include "memory/embed/hashed_ngrams.h"
#include "memory/recall/recall.h"
#include "memory/recall/weights.h"
#include "support/seeds.h"

namespace {

using memory::Query;
using memory::recall::Ranking;

struct Turn {
    std::string session, speaker, content;
};

/// An index of turns a minute apart, slots in their order.
std::unique_ptr<memory::index::TenantIndex> index_of(const std::vector<Turn>& turns,
                                                     memory::Embedder* embedder = nullptr) {
    auto index = memory::index::TenantIndex::make(embedder ? embedder->dims() : 0, "");
    std::vector<memory::truth::Change> changes;
    for (const Turn& turn : turns) {
        const auto number = static_cast<std::int64_t>(changes.size() + 1);
        memory::truth::Change change{number, number, false, {}, {}};
        change.entry.scope = {.tenant = "t", .session = turn.session};
        change.entry.speaker = turn.speaker;
        change.entry.content = turn.content;
        change.entry.created_unix_ms = change.entry.valid_from_unix_ms = number * 60'000;
        if (embedder != nullptr) {
            change.embedding.resize(embedder->dims());
            const std::string_view text = turn.content;
            EXPECT_TRUE(embedder->embed({&text, 1}, memory::EmbedSide::document, change.embedding));
        }
        changes.push_back(std::move(change));
    }
    EXPECT_TRUE(index->apply(changes).has_value());
    return index;
}

Query asking(std::string text, std::uint32_t limit = 10) {
    Query query;
    query.text = std::move(text);
    query.limit = limit;
    return query;
}

Ranking ranked(memory::index::TenantIndex& index, const Query& query,
               std::span<const float> embedding = {}) {
    const auto reader = index.read();
    auto ranking = memory::recall::rank(*reader, query, embedding,
                                        memory::recall::weights_for(embedding.empty() ? "" : "m"),
                                        1'000'000'000);
    EXPECT_TRUE(ranking.has_value()) << ranking.error().message;
    return std::move(*ranking);
}

const std::vector<Turn> kTalk = {
    {"s1", "Ann", "What did the veterinarian say about your parrot?"},
    {"s1", "Bob", "That she has to lose weight and fly more every morning."},
    {"s1", "Ann", "Oh dear."},
    {"s2", "Bob", "Our train to Lisbon leaves at seven, do not be late."},
    {"s2", "Ann", "I will bring coffee for the two of us."},
};

TEST(Rank, AnAnswerIsFoundByTheWordsOfWhatItAnswers) {
    const auto index = index_of(kTalk);
    const Ranking ranking = ranked(*index, asking("veterinarian parrot", 2));
    ASSERT_GE(ranking.ranked.size(), 2u);
    std::set<memory::index::Slot> first = {ranking.ranked[0].slot, ranking.ranked[1].slot};
    EXPECT_TRUE(first.contains(1)) << "the turn behind the question";
}

TEST(Rank, WhoIsNamedIsPreferred) {
    const auto index = index_of({{"a", "Ann", "I moved to Rome with my cat."},
                                 {"b", "Bob", "I moved to Rome with my cat."}});
    EXPECT_EQ(ranked(*index, asking("When did Bob move to Rome?")).ranked[0].slot, 1u);
    EXPECT_EQ(ranked(*index, asking("When did Ann move to Rome?")).ranked[0].slot, 0u);
}

TEST(Rank, AStatementComesBeforeAQuestionInTheSameWords) {
    const auto index = index_of(
        {{"a", "", "You bought the red bicycle?"}, {"b", "", "You bought the red bicycle."}});
    EXPECT_EQ(ranked(*index, asking("red bicycle")).ranked[0].slot, 1u);
}

TEST(Rank, TheTimeAskedForDecidesBetweenEquals) {
    auto index = memory::index::TenantIndex::make(0, "");
    std::vector<memory::truth::Change> changes;
    for (const std::int64_t day : {19'480, 19'520, 19'560}) {
        const auto number = static_cast<std::int64_t>(changes.size() + 1);
        memory::truth::Change change{number, number, false, {}, {}};
        change.entry.scope.tenant = "t";
        change.entry.content = "We met at the harbour.";
        change.entry.created_unix_ms = change.entry.valid_from_unix_ms = day * 86'400'000;
        changes.push_back(std::move(change));
    }
    ASSERT_TRUE(index->apply(changes).has_value());
    // Day 19,520 is 12 June 2023.
    EXPECT_EQ(ranked(*index, asking("harbour in June 2023")).ranked[0].slot, 1u);
}

TEST(Rank, ContextBringsNobodyPastTheFilter) {
    const auto index = index_of(kTalk);
    Query query = asking("veterinarian parrot coffee");
    query.filter.scope.session = "s2";
    for (const auto& hit : ranked(*index, query).ranked) EXPECT_GE(hit.slot, 3u);
}

TEST(Rank, ConfidenceTellsAnAnswerFromNone) {
    const auto index = index_of(kTalk);
    const float known = ranked(*index, asking("When does the train to Lisbon leave?")).confidence;
    const float unknown = ranked(*index, asking("Who won the chess tournament?")).confidence;
    EXPECT_GT(known, .5f);
    EXPECT_LT(unknown, .5f);
}

TEST(Rank, AVectorOfZerosIsNoVector) {
    const auto embedder = memory::embed::make_hashed_ngrams();
    const auto index = index_of(kTalk, embedder.get());
    const std::vector<float> zeros(embedder->dims());
    const Ranking with = ranked(*index, asking("train Lisbon"), zeros);
    for (const auto& hit : with.ranked) EXPECT_EQ(hit.parts.vector, 0.f);
}

TEST(Rank, AWordNobodyWroteIsFoundByVectorsAlone) {
    const auto embedder = memory::embed::make_hashed_ngrams();
    const auto index = index_of(kTalk, embedder.get());
    std::vector<float> vector(embedder->dims());
    const std::string_view text = "veterinarians";  // another form, another term to no stemmer
    ASSERT_TRUE(embedder->embed({&text, 1}, memory::EmbedSide::query, vector));
    const Ranking ranking = ranked(*index, asking("xyzzy"), vector);
    ASSERT_FALSE(ranking.ranked.empty());
    EXPECT_EQ(ranking.ranked[0].slot, 0u);
}

// Whatever is in the index: ordered, within the filter, within the limit and its spare, every part
// in bounds, and twice the same.
TEST(Rank, IsOrderedBoundedAndRepeatable) {
    test::for_each_seed(60, [](base::Rng& rng) {
        auto index = memory::index::TenantIndex::make(16, "");
        std::vector<memory::truth::Change> changes;
        const std::uint64_t entries = rng.below(400);
        for (std::uint64_t i = 0; i < entries; ++i) {
            const auto number = static_cast<std::int64_t>(i + 1);
            changes.push_back({number, number, false, test::random_entry(rng), {}});
            if (rng.below(3) != 0) changes.back().embedding = test::direction(rng, 16);
        }
        ASSERT_TRUE(index->apply(changes).has_value());
        Query query = asking(test::words(rng, 1 + rng.below(6), 300));
        query.limit = 1 + static_cast<std::uint32_t>(rng.below(20));
        query.explain = true;
        if (rng.below(2) == 0) {
            query.filter.types = {static_cast<memory::MemoryType>(rng.below(5))};
        }
        const std::vector<float> embedding = test::direction(rng, 16);
        const Ranking once = ranked(*index, query, embedding);
        const Ranking again = ranked(*index, query, embedding);
        ASSERT_EQ(once.ranked.size(), again.ranked.size());
        EXPECT_LE(once.ranked.size(), query.limit + 16u);
        EXPECT_GE(once.confidence, 0.f);
        EXPECT_LE(once.confidence, 1.f);
        std::set<memory::index::Slot> seen;
        const auto reader = index->read();
        for (std::size_t i = 0; i < once.ranked.size(); ++i) {
            const auto& [slot, parts, words] = once.ranked[i];
            EXPECT_EQ(slot, again.ranked[i].slot);
            EXPECT_EQ(words, again.ranked[i].words);
            EXPECT_TRUE(seen.insert(slot).second);
            if (i > 0) {
                EXPECT_LE(parts.total, once.ranked[i - 1].parts.total);
            }
            for (const float part : {parts.keyword, parts.vector, parts.session, parts.entity,
                                     parts.substance, parts.time}) {
                EXPECT_GE(part, 0.f);
                EXPECT_LE(part, 1.0001f);
            }
            if (!query.filter.types.empty()) {
                EXPECT_EQ(reader->facts(slot).type, query.filter.types[0]);
            }
        }
    });
}

}  // namespace
