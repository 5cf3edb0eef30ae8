// What is written is there, with every state it had, and only for its tenant.
#include "memory/truth/truth.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/seeds.h"
#include "truth_fixture.h"

namespace memory::truth {
namespace {

using base::Code;
using test::add;
using test::all;
using test::need;
using test::note;
using How = Added::How;

class TruthOver : public test::TruthTest {};

NewEntry full() {
    NewEntry entry = note("Ann takes the 7:15 train");
    entry.type = MemoryType::semantic;
    entry.scope = {"t", "ann", "planner", "s1", "r1"};
    entry.speaker = "Ann";
    entry.media = {Media::Kind::audio, "file:///a.ogg"};
    entry.metadata = {{"topic", "travel"}, {"n", 18'446'744'073'709'551'615ull}, {"f", 0.1}};
    entry.created_unix_ms = 1'600'000'000'123;
    entry.valid_to_unix_ms = 1'900'000'000'000;
    entry.importance = .75f;
    entry.ttl_ms = 1'000'000;
    entry.sources = {{"doc-1", 3, 9, 2}};
    return entry;
}

TEST_P(TruthOver, KeepsEveryField) {
    auto truth = open();
    const Added added = add(*truth, full());
    truth.reset();
    truth = open();
    const Entry entry = need(truth->get("t", added.id));
    const NewEntry wrote = full();
    EXPECT_EQ(entry.type, wrote.type);
    EXPECT_EQ(entry.scope, wrote.scope);
    EXPECT_EQ(entry.content, wrote.content);
    EXPECT_EQ(entry.speaker, wrote.speaker);
    EXPECT_EQ(entry.media, wrote.media);
    EXPECT_EQ(entry.metadata, wrote.metadata);
    EXPECT_EQ(entry.created_unix_ms, wrote.created_unix_ms);
    EXPECT_EQ(entry.recorded_unix_ms, clock_.ms);
    EXPECT_EQ(entry.valid_from_unix_ms, wrote.created_unix_ms);
    EXPECT_EQ(entry.valid_to_unix_ms, wrote.valid_to_unix_ms);
    EXPECT_EQ(entry.expires_unix_ms, clock_.ms + wrote.ttl_ms);
    EXPECT_EQ(entry.importance, wrote.importance);
    EXPECT_EQ(entry.sources, wrote.sources);
    EXPECT_EQ(entry.version, 1u);
    EXPECT_EQ(need(test::get_rows(*truth, "t", std::vector<RowId>{1, 2})).size(), 1u);
    DG_OK(truth->check());
}

TEST_P(TruthOver, ABatchIsAllOrNone) {
    auto truth = open();
    std::vector<NewEntry> batch{note("a"), note("b"), note("c", "other")};
    EXPECT_FALSE(truth->add(batch, "", ""));
    EXPECT_TRUE(all(*truth, "t").empty());
    batch.pop_back();
    const Written written = need(truth->add(batch, "", ""));
    ASSERT_EQ(written.changes.size(), 2u);
    EXPECT_LT(written.changes[0].sequence, written.changes[1].sequence);
    EXPECT_EQ(written.changes[1].entry.content, "b");
    EXPECT_EQ(all(*truth, "t").size(), 2u);
}

TEST_P(TruthOver, IdsAndSequencesAscendWhenTheClockGoesBack) {
    auto truth = open();
    MemoryId last_id;
    Sequence last_sequence = 0;
    test::for_each_seed(60, [&](base::Rng& rng) {
        clock_.ms += static_cast<std::int64_t>(rng.below(2'000'000)) - 1'000'000;
        if (rng.below(8) == 0) truth.reset(), truth = open();
        NewEntry entry = note("entry " + std::to_string(rng.next()));
        entry.created_unix_ms = 5 + static_cast<UnixMs>(rng.below(100));
        const Written written = need(truth->add({&entry, 1}, "", ""));
        EXPECT_GT(written.added[0].id, last_id);
        EXPECT_GT(written.changes[0].sequence, last_sequence);
        last_id = written.added[0].id;
        last_sequence = written.changes[0].sequence;
        EXPECT_EQ(need(truth->get("t", last_id)).created_unix_ms, entry.created_unix_ms);
    });
}

TEST_P(TruthOver, VersionsAreKeptAndComeBack) {
    auto truth = open();
    const MemoryId id = add(*truth, note("tea")).id;
    clock_.ms += 10;
    EXPECT_EQ(
        need(truth->update("t", id, {.content = "coffee", .importance = .9f}, "bob")).entry.version,
        2u);
    const auto stale = truth->update("t", id, {.content = "x", .expected_version = 1}, "");
    ASSERT_FALSE(stale);
    EXPECT_EQ(stale.error().code, Code::failed_precondition);
    const auto empty = truth->update("t", id, {.content = ""}, "");
    ASSERT_FALSE(empty);
    EXPECT_EQ(empty.error().subject, "content");
    const auto nan = truth->update("t", id, {.importance = std::nanf("")}, "");
    ASSERT_FALSE(nan);
    EXPECT_EQ(nan.error().subject, "importance");

    EXPECT_TRUE(need(truth->remove("t", id, "eve")).gone);
    EXPECT_FALSE(truth->get("t", id));
    EXPECT_FALSE(truth->remove("t", id, ""));
    EXPECT_FALSE(truth->restore("t", id, 9, ""));
    const Change back = need(truth->restore("t", id, 1, "ann"));
    EXPECT_EQ(back.entry.content, "tea");
    EXPECT_EQ(back.entry.version, 4u);
    EXPECT_EQ(back.entry.importance, .5f);

    const auto history = need(truth->history("t", id));
    ASSERT_EQ(history.size(), 4u);
    const char* const changes[] = {"restored", "removed", "updated", "added"};
    const char* const by[] = {"ann", "eve", "bob", "tester"};
    const char* const content[] = {"tea", "coffee", "coffee", "tea"};
    for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(history[i].change, changes[i]);
        EXPECT_EQ(history[i].by, by[i]);
        EXPECT_EQ(history[i].entry.content, content[i]);
        EXPECT_EQ(history[i].entry.version, 4 - i);
    }
}

TEST_P(TruthOver, RepeatsAnswerWithTheFirstForADay) {
    auto truth = open();
    NewEntry entry = note("once");
    entry.idempotency_key = "k1";
    const Added first = add(*truth, entry);
    entry.content = "twice";
    const Added again = add(*truth, entry);
    EXPECT_EQ(again.how, How::repeated);
    EXPECT_EQ(again.id, first.id);
    NewEntry elsewhere = note("elsewhere", "u");
    elsewhere.idempotency_key = "k1";
    EXPECT_EQ(add(*truth, elsewhere).how, How::added);
    clock_.ms += 24ll * 3600 * 1000 + 1;
    EXPECT_EQ(add(*truth, entry).how, How::added);
    // Within a batch, too.
    std::vector<NewEntry> batch{note("p"), note("q")};
    batch[0].idempotency_key = batch[1].idempotency_key = "k2";
    const auto added = need(truth->add(batch, "", "")).added;
    EXPECT_EQ(added[1].how, How::repeated);
    EXPECT_EQ(added[1].id, added[0].id);
}

TEST_P(TruthOver, DuplicatesGiveTheirSources) {
    auto truth = open();
    NewEntry entry = note("Ann lives in Oslo.");
    entry.sources = {{"doc-1", 0, 10, 0}};
    const Added first = add(*truth, entry);
    entry.sources = {{"doc-2", 5, 9, 1}};
    entry.content = "ann lives in Oslo";
    entry.importance = .8f;
    const Added second = add(*truth, entry);
    EXPECT_EQ(second.how, How::merged);
    EXPECT_EQ(second.id, first.id);
    EXPECT_EQ(second.version, 2u);
    const Entry kept = need(truth->get("t", first.id));
    EXPECT_EQ(kept.content, "Ann lives in Oslo.");
    EXPECT_EQ(kept.sources.size(), 2u);
    EXPECT_EQ(kept.importance, .8f);
    // Nothing new: nothing written.
    const Written third = need(truth->add({&entry, 1}, "", ""));
    EXPECT_EQ(third.added[0].version, 2u);
    EXPECT_TRUE(third.changes.empty());
    EXPECT_EQ(need(truth->history("t", first.id))[0].change, "merged");

    const auto apart = [&](auto change) {
        NewEntry other = entry;
        change(other);
        EXPECT_EQ(add(*truth, other).how, How::added);
    };
    apart([](auto& e) { e.scope.user = "bob"; });
    apart([](auto& e) { e.type = MemoryType::semantic; });
    apart([](auto& e) { e.metadata["labels"] = base::json::array{"hr"}; });
    apart([](auto& e) { e.speaker = "Ann"; });
    apart([](auto& e) { e.valid_to_unix_ms = 1'900'000'000'000; });
    apart([](auto& e) { e.content = "Ann does not live in Oslo"; });
    apart([](auto& e) { e.pinned = true; });
    // A removed one takes nothing.
    DG_OK(truth->remove("t", first.id, ""));
    EXPECT_NE(add(*truth, entry).id, first.id);
}

TEST_P(TruthOver, EventsMergeOnlyWithThemselves) {
    auto truth = open();
    for (const MemoryType type : {MemoryType::episodic, MemoryType::short_term}) {
        NewEntry turn = note("ok");
        turn.type = type;
        turn.scope.session = "s";
        turn.speaker = "Ann";
        EXPECT_EQ(add(*truth, turn).how, How::added);
        EXPECT_EQ(add(*truth, turn).how, How::added);  // said twice
        turn.created_unix_ms = 77;
        EXPECT_EQ(add(*truth, turn).how, How::added);
        EXPECT_EQ(add(*truth, turn).how, How::merged);  // the same turn, sent again
        turn.created_unix_ms = 78;
        EXPECT_EQ(add(*truth, turn).how, How::added);
        turn.speaker = "Bob";
        EXPECT_EQ(add(*truth, turn).how, How::added);
        turn.scope.session = "s2";
        EXPECT_EQ(add(*truth, turn).how, How::added);
    }
}

TEST_P(TruthOver, ReplayingACorpusTenTimesAddsNothing) {
    auto truth = open();
    base::Rng rng(7);
    std::vector<NewEntry> corpus;
    for (int i = 0; i < 300; ++i) {
        std::string text = "Note " + std::to_string(i) + ":";
        for (std::uint64_t n = 5 + rng.below(90); n > 0; --n) {
            text += " word" + std::to_string(rng.below(500));
        }
        NewEntry entry = note(text);
        entry.type = static_cast<MemoryType>(rng.below(kMemoryTypes));
        entry.scope.session = std::to_string(rng.below(5));
        entry.created_unix_ms = 1'650'000'000'000 + i;
        if (rng.below(2) == 0) entry.sources = {{"doc", static_cast<std::uint64_t>(i), 1'000, 0}};
        corpus.push_back(entry);
    }
    need(truth->add(corpus, "", ""));
    const std::size_t first = all(*truth, "t").size();
    EXPECT_EQ(first, corpus.size());
    for (int round = 0; round < 10; ++round) {
        clock_.ms += 3'600'000;
        std::reverse(corpus.begin(), corpus.end());
        for (const Added& added : need(truth->add(corpus, "", "")).added) {
            EXPECT_EQ(added.how, How::merged);
        }
    }
    const StoreStats stats = need(truth->stats());
    EXPECT_EQ(stats.entries, first);
    EXPECT_EQ(stats.versions, 0u);
}

TEST_P(TruthOver, ExpiryAndSweepLeavePinnedAndForgetOldVersions) {
    auto truth = open();
    NewEntry brief = note("brief");
    brief.ttl_ms = 1'000;
    const MemoryId id = add(*truth, brief).id;
    NewEntry pinned = note("pinned");
    pinned.ttl_ms = 1'000;
    pinned.pinned = true;
    const MemoryId pinned_id = add(*truth, pinned).id;
    clock_.ms += 1'000;
    EXPECT_FALSE(truth->get("t", id));  // before any sweep
    DG_OK(truth->get("t", pinned_id));
    const auto gone = need(truth->sweep(clock_.ms));
    ASSERT_EQ(gone.size(), 1u);
    EXPECT_TRUE(gone[0].gone);
    EXPECT_EQ(gone[0].entry.scope.tenant, "t");
    EXPECT_TRUE(need(truth->sweep(clock_.ms)).empty());
    EXPECT_EQ(need(truth->restore("t", id, 1, "")).entry.expires_unix_ms, 0);
    DG_OK(truth->get("t", id));
    DG_OK(truth->remove("t", id, ""));
    clock_.ms += 31ll * 24 * 3600 * 1000;
    need(truth->sweep(clock_.ms));
    EXPECT_FALSE(truth->history("t", id));
    EXPECT_FALSE(truth->restore("t", id, 1, ""));
    EXPECT_EQ(need(truth->stats()).versions, 0u);
    // An index that slept through all of it still hears that it is gone.
    bool heard = false;
    DG_OK(truth->changes("t", 0, "", [&](Change&& change) {
        heard = heard || (change.gone && change.row == 1);
        return true;
    }));
    EXPECT_TRUE(heard);
}

TEST_P(TruthOver, WhatIsSaidAgainLivesOn) {
    auto truth = open();
    NewEntry entry = note("soon over");
    entry.ttl_ms = 1'000;
    const MemoryId id = add(*truth, entry).id;
    clock_.ms += 900;
    EXPECT_EQ(add(*truth, entry).how, How::merged);
    clock_.ms += 900;
    EXPECT_EQ(need(truth->get("t", id)).version, 1u);
    entry.ttl_ms = 0;
    EXPECT_EQ(add(*truth, entry).how, How::merged);
    clock_.ms += 1'000'000;
    EXPECT_EQ(need(truth->get("t", id)).expires_unix_ms, 0);
}

TEST_P(TruthOver, AccessesAreCountedAndFlushed) {
    auto truth = open();
    const std::vector<MemoryId> ids{add(*truth, note("a")).id, add(*truth, note("b")).id};
    truth->touch("t", ids, 50);
    truth->touch("t", {&ids[0], 1}, 40);
    truth->touch("other", ids, 99);  // not theirs
    truth->touch("t", std::vector<MemoryId>{"mem-nonsense"}, 99);
    EXPECT_EQ(need(truth->get("t", ids[0])).access_count, 0u);
    DG_OK(truth->flush_touches());
    EXPECT_EQ(need(truth->get("t", ids[0])).access_count, 2u);
    EXPECT_EQ(need(truth->get("t", ids[0])).accessed_unix_ms, 50);
    truth->touch("t", {&ids[1], 1}, 60);
    truth.reset();
    truth = open();
    EXPECT_EQ(need(truth->get("t", ids[1])).access_count, 2u);
    EXPECT_EQ(need(truth->get("t", ids[1])).accessed_unix_ms, 60);
    EXPECT_EQ(need(truth->get("t", ids[0])).version, 1u);
}

TEST_P(TruthOver, EmbeddingsFollowTheirModelAndVersion) {
    auto truth = open();
    NewEntry embedded = note("embedded");
    embedded.embedding = {.5f, .25f};
    const MemoryId id = add(*truth, embedded, "m1").id;
    NewEntry bare = note("bare");
    bare.speaker = "Ann";
    const MemoryId bare_id = add(*truth, bare, "m1").id;
    add(*truth, note("elsewhere", "u"), "m1");
    EXPECT_EQ(need(truth->stats()).embeddings_pending, 2u);

    auto pending = need(truth->unembedded("m1", 10));
    ASSERT_EQ(pending.size(), 2u);
    std::sort(pending.begin(), pending.end(), [](auto& a, auto& b) { return a.tenant < b.tenant; });
    EXPECT_EQ(pending[0].text, "Ann: bare");
    const std::vector<float> vectors{1, 0, 0, 1};
    EXPECT_FALSE(truth->set_embeddings("m1", pending, vectors, 3));
    const auto changes = need(truth->set_embeddings("m1", pending, vectors, 2));
    EXPECT_EQ(changes.size(), 2u);
    EXPECT_TRUE(need(truth->unembedded("m1", 10)).empty());
    // A change of the words takes the vector; one of the importance does not.
    EXPECT_EQ(need(truth->update("t", id, {.importance = 1.f}, "")).embedding, embedded.embedding);
    EXPECT_TRUE(need(truth->update("t", id, {.content = "new"}, "")).embedding.empty());
    const auto again = need(truth->unembedded("m1", 10));
    ASSERT_EQ(again.size(), 1u);
    // It changes while it is embedded: the vector is of the old words.
    DG_OK(truth->update("t", id, {.content = "newer"}, ""));
    EXPECT_TRUE(need(truth->set_embeddings("m1", again, std::vector<float>{1, 1}, 2)).empty());
    EXPECT_EQ(need(truth->unembedded("m1", 10)).size(), 1u);
    // Another model: all over again, and the first one's are still served.
    EXPECT_EQ(need(truth->unembedded("m2", 10)).size(), 3u);
    std::size_t with = 0;
    DG_OK(truth->changes("t", 0, "m1", [&](Change&& change) {
        with += !change.embedding.empty();
        EXPECT_EQ(change.embedding.empty(), change.entry.id != bare_id);
        return true;
    }));
    EXPECT_EQ(with, 1u);
    EXPECT_EQ(need(truth->unembedded("m1", 10)).size(), 1u);
}

TEST_P(TruthOver, ChangesTellTheLastStateOnce) {
    auto truth = open();
    std::vector<NewEntry> batch;
    for (int i = 0; i < 5'000; ++i) batch.push_back(note("entry " + std::to_string(i)));
    const Written written = need(truth->add(batch, "", ""));
    DG_OK(truth->update("t", written.added[7].id, {.content = "changed"}, ""));
    DG_OK(truth->remove("t", written.added[9].id, ""));
    std::vector<RowId> rows;
    Sequence last = 0;
    std::size_t gone = 0;
    DG_OK(truth->changes("t", 0, "", [&](Change&& change) {
        EXPECT_GT(change.sequence, last);
        last = change.sequence;
        gone += change.gone;
        rows.push_back(change.row);
        return true;
    }));
    EXPECT_EQ(rows.size(), 5'000u);
    EXPECT_EQ(gone, 1u);
    EXPECT_EQ(rows[4'999], written.changes[9].row);
    EXPECT_EQ(rows[4'998], written.changes[7].row);
    std::size_t after = 0;
    DG_OK(truth->changes("t", last - 1, "", [&](Change&&) { return ++after, true; }));
    EXPECT_EQ(after, 1u);
}

TEST_P(TruthOver, PagesGoThroughEverythingOnce) {
    auto truth = open();
    std::vector<NewEntry> batch;
    for (int i = 0; i < 95; ++i) {
        batch.push_back(note("entry " + std::to_string(i)));
        batch.back().created_unix_ms = 1'000 + i / 10;  // many of the same time
        batch.back().metadata["even"] = i % 2 == 0;
    }
    need(truth->add(batch, "", ""));
    Filter filter{.scope = {.tenant = "t"}};
    filter.metadata = need(parse_metadata_expression("even = true"));
    for (const Order order : {Order::created_ascending, Order::created_descending}) {
        std::vector<Entry> got;
        std::string cursor;
        do {
            const Page page = need(truth->list(filter, order, 7, cursor));
            got.insert(got.end(), page.entries.begin(), page.entries.end());
            cursor = page.next;
        } while (!cursor.empty());
        ASSERT_EQ(got.size(), 48u);
        for (std::size_t i = 1; i < got.size(); ++i) {
            const bool up = order == Order::created_ascending;
            EXPECT_EQ(got[i].id > got[i - 1].id, up);
        }
    }
    for (const char* bad : {"x", "<1.2", ">", ">1", ">1.", ">1.2x", ">9999999999999999999.1"}) {
        const auto page = truth->list(filter, Order::created_ascending, 7, bad);
        ASSERT_FALSE(page) << bad;
        EXPECT_EQ(page.error().subject, "cursor");
    }
}

TEST_P(TruthOver, TheNumberOfShardsStays) {
    if (GetParam() != "sqlite") GTEST_SKIP() << "one shard";
    {
        auto truth = open();
        for (int i = 0; i < 40; ++i) add(*truth, note("x", "tenant " + std::to_string(i)));
        EXPECT_FALSE(Truth::open({.location = location_}, clock_));  // open already
    }
    auto truth = need(Truth::open({.location = location_, .shards = 7}, clock_));
    EXPECT_EQ(need(truth->tenants()).size(), 40u);
    EXPECT_FALSE(std::filesystem::exists(location_ + "/memory-2.db"));
    truth.reset();
    std::filesystem::remove(location_ + "/memory-1.db");
    const auto missing = Truth::open({.location = location_}, clock_);
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Code::data_loss);
}

INSTANTIATE_TEST_SUITE_P(Databases, TruthOver, ::testing::Values("sqlite", "postgresql"),
                         [](const auto& database) { return database.param; });

}  // namespace
}  // namespace memory::truth
