// Plans over a store: previewed, applied at once, taken back.
#include "memory/compress/compression.h"

#include <set>

#include "../store/store_fixture.h"
#include "memory/forget/forget.h"
#include "support/seeds.h"

namespace test {
namespace {

using memory::MemoryId;
using memory::compress::Compression;
using memory::compress::Request;

class Compress : public MemoryTest {
protected:
    std::string tenant = "t";
    void SetUp() override {
        MemoryTest::SetUp();
        open(nullptr);  // likeness by words
    }

    MemoryId said(std::string content, float importance = .5f, bool pinned = false,
                  std::string session = "s") {
        memory::NewEntry entry;
        entry.type = memory::MemoryType::episodic;
        entry.scope = {.tenant = tenant, .session = std::move(session)};
        entry.content = std::move(content);
        entry.created_unix_ms = clock.unix_ns() / 1'000'000;
        entry.importance = importance;
        entry.pinned = pinned;
        clock.advance(std::chrono::minutes(1));
        auto added = store->add(entry);
        EXPECT_TRUE(added) << added.error().message;
        return added ? added->id : "";
    }
    void days_later() { clock.advance(std::chrono::hours(72)); }
    Request request(float similarity = .6f) {
        Request out{.scope = {.tenant = tenant}, .by = "tester"};
        out.policy.merge_similarity = similarity;
        return out;
    }
    Compression applied(const Request& with) {
        auto done = store->compressor().apply(with);
        EXPECT_TRUE(done) << done.error().message;
        return done.value_or(Compression{});
    }
    std::map<MemoryId, memory::Entry> all() {
        std::map<MemoryId, memory::Entry> out;
        auto page = store->list({.scope = {.tenant = tenant}, .labels = {}},
                                memory::Order::created_ascending, 1000);
        EXPECT_TRUE(page);
        for (auto& entry : page->entries) out[entry.id] = entry;
        return out;
    }
};

TEST_F(Compress, LikeOnesBecomeOneThatNamesItsSources) {
    const MemoryId a = said("The build of the parser failed with a timeout on Monday");
    const MemoryId b = said("The build of the parser failed with a timeout on Tuesday");
    const MemoryId c = said("Lunch was good");
    const MemoryId d = said("An unimportant remark", .1f);
    const MemoryId e = said("A remark that is pinned", .1f, true);
    days_later();
    const MemoryId f = said("A recent remark", .1f);

    const auto preview = store->compressor().preview(request());
    ASSERT_TRUE(preview) << preview.error().message;
    EXPECT_EQ(preview->entries_before, 6u);
    EXPECT_EQ(preview->entries_after, 4u);
    EXPECT_LT(preview->tokens_after, preview->tokens_before);
    EXPECT_EQ(all().size(), 6u) << "a preview changes nothing";

    const Compression done = applied(request());
    EXPECT_EQ(done.entries_after, preview->entries_after);
    EXPECT_EQ(done.tokens_after, preview->tokens_after);
    EXPECT_EQ(done.merged, 2u);
    EXPECT_EQ(done.dropped, 1u);
    EXPECT_EQ(done.summaries, 1u);
    auto left = all();
    ASSERT_EQ(left.size(), 4u);
    EXPECT_TRUE(left.contains(c) && left.contains(e) && left.contains(f));
    EXPECT_FALSE(left.contains(d));
    for (const MemoryId& id : {c, e, f}) left.erase(id);
    const memory::Entry summary = left.begin()->second;
    std::set<std::string> sources;
    for (const auto& span : summary.sources) sources.insert(span.source);
    EXPECT_EQ(sources, (std::set<std::string>{a, b}));
    EXPECT_EQ(summary.metadata.at("compression").as_string(), done.id);
    EXPECT_EQ(search("parser timeout").hits.at(0).entry.id, summary.id);
    EXPECT_EQ(store->history("t", a)->at(0).change, "compressed");
}

TEST_F(Compress, UndoBringsBackWhatWas) {
    for (int i = 0; i < 6; ++i) said(fmt::format("The same old report of the night, number {}", i));
    const MemoryId own = said("Nothing like the others at all");
    days_later();
    const auto before = all();
    const Compression done = applied(request());
    EXPECT_EQ(all().size(), 2u);
    const auto undone = store->compressor().undo("t", done.id, "tester");
    ASSERT_TRUE(undone) << undone.error().message;
    EXPECT_GT(undone->undone_unix_ms, 0);
    const auto after = all();
    ASSERT_EQ(after.size(), before.size());
    for (const auto& [id, entry] : before) {
        ASSERT_TRUE(after.contains(id));
        EXPECT_EQ(after.at(id).content, entry.content);
        EXPECT_EQ(after.at(id).created_unix_ms, entry.created_unix_ms);
    }
    std::size_t found = 0;
    for (const auto& hit : search("report night").hits) found += before.contains(hit.entry.id);
    EXPECT_GE(found, 6u) << "none of them is lost to search";
    EXPECT_EQ(search("report night").hits.size(), found) << "no summary is left";
    EXPECT_EQ(store->compressor().undo(tenant, done.id, "").error().code,
              base::Code::failed_precondition);
    EXPECT_EQ(store->compressor().undo("u", done.id, "").error().code, base::Code::not_found);
    EXPECT_EQ(after.at(own).version, 1u);
}

TEST_F(Compress, TooLateIsSaid) {
    said("one two three four");
    said("one two three four five");
    days_later();
    const Compression done = applied(request());
    clock.advance(std::chrono::hours(24 * 31));
    EXPECT_EQ(store->compressor().undo(tenant, done.id, "").error().code,
              base::Code::failed_precondition);
    EXPECT_EQ(store->compressor().get("t", done.id)->undone_unix_ms, 0);
}

TEST_F(Compress, TheSameRequestIsDoneOnce) {
    said("one two three four");
    said("one two three four five");
    days_later();
    Request with = request();
    with.idempotency_key = "k";
    const Compression first = applied(with);
    said("one two three four");
    said("one two three four five");
    days_later();
    EXPECT_EQ(applied(with).id, first.id);
    EXPECT_EQ(all().size(), 3u);
    with.idempotency_key = "l";
    EXPECT_NE(applied(with).id, first.id);
    EXPECT_EQ(store->compressor().list("t", 10)->size(), 2u);
}

TEST_F(Compress, NothingToDoIsARecordToo) {
    const Compression done = applied(request());
    EXPECT_EQ(done.entries_before, 0u);
    EXPECT_TRUE(store->compressor().get("t", done.id));
}

TEST_F(Compress, AWrongPolicyIsNamed) {
    Request wrong = request();
    wrong.policy.importance_min = 2;
    EXPECT_EQ(store->compressor().apply(wrong).error().subject, "importance_min");
    wrong = request();
    wrong.policy.entries_per_session_max = 0;
    EXPECT_EQ(store->compressor().preview(wrong).error().subject, "entries_per_session_max");
}

TEST_F(Compress, WhatIsForgottenIsNotBroughtBack) {
    const MemoryId a = said("canary alpha beta gamma delta epsilon one");
    const MemoryId b = said("canary alpha beta gamma delta epsilon two");
    days_later();
    const Compression done = applied(request());
    ASSERT_TRUE(store->forgetting().forget({.tenant = "t", .target = {.ids = {a}}}));
    ASSERT_TRUE(store->forgetting().finish());
    EXPECT_TRUE(all().empty()) << "the summary was made from it";
    ASSERT_TRUE(store->compressor().undo(tenant, done.id, ""));
    const auto left = all();
    ASSERT_EQ(left.size(), 1u);
    EXPECT_TRUE(left.contains(b));
}

TEST_F(Compress, UndoIsTheInverseOfAnyPlan) {
    for_each_seed(20, [this](base::Rng& rng) {
        tenant += 't';
        static constexpr const char* kWords[] = {"red", "green", "blue", "fast", "slow", "fox"};
        for (int i = 0; i < 30; ++i) {
            std::string text = fmt::format("n{}", rng.below(4));
            for (int w = 0; w < 5; ++w) text += std::string(" ") + kWords[rng.below(6)];
            said(text, static_cast<float>(rng.uniform()), rng.below(8) == 0,
                 fmt::format("s{}", rng.below(2)));
        }
        days_later();
        const auto before = all();
        Request with = request(static_cast<float>(rng.uniform()));
        with.policy.importance_min = static_cast<float>(rng.uniform());
        with.policy.entries_per_session_max = static_cast<std::uint32_t>(1 + rng.below(20));
        const Compression done = applied(with);
        EXPECT_EQ(all().size(), done.entries_after);
        ASSERT_TRUE(store->compressor().undo(tenant, done.id, ""));
        const auto after = all();
        ASSERT_EQ(after.size(), before.size());
        for (const auto& [id, entry] : before) {
            ASSERT_TRUE(after.contains(id));
            EXPECT_EQ(after.at(id).content, entry.content);
        }
    });
}

}  // namespace
}  // namespace test
