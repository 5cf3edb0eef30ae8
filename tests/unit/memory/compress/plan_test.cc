// What a policy means, case by case, and what no plan may do.
#include "memory/compress/plan.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "support/seeds.h"

namespace memory::compress {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr UnixMs kHourMs = 3'600'000;
constexpr UnixMs kNow = 1'000 * kHourMs;

Entry entry(std::string id, std::string content, float importance, UnixMs hours_ago) {
    Entry one;
    one.id = std::move(id);
    one.scope = {.tenant = "t", .session = "s"};
    one.content = std::move(content);
    one.importance = importance;
    one.created_unix_ms = kNow - hours_ago * kHourMs;
    return one;
}

Plan planned(const std::vector<Entry>& entries, const Policy& policy = {}) {
    return plan(entries, {}, policy, kNow);
}

TEST(Plan, ImportantOnesStayHoweverOld) {
    const Plan got = planned({entry("a", "the vault code is in the blue safe", .9f, 900)});
    EXPECT_THAT(got.keep, ElementsAre(Decision{"a", Reason::important}));
    EXPECT_THAT(got.drop, IsEmpty());
}

TEST(Plan, RecentOnesStayHoweverUnimportant) {
    const Plan got =
        planned({entry("a", "small talk", .01f, 2), entry("b", "more talk", .01f, 30)});
    EXPECT_THAT(got.keep, ElementsAre(Decision{"a", Reason::recent}));
    EXPECT_THAT(got.drop, ElementsAre(Decision{"b", Reason::unimportant}));
}

TEST(Plan, ExpiredOnesGoUnlessPinned) {
    Entry over = entry("a", "parking ticket", .9f, 2), pinned = entry("b", "never this", .1f, 900);
    over.expires_unix_ms = pinned.expires_unix_ms = kNow - 1;
    pinned.pinned = true;
    Entry later = entry("c", "still good", .9f, 900);
    later.expires_unix_ms = kNow + 1;
    const Plan got = planned({over, pinned, later});
    EXPECT_THAT(got.keep,
                ElementsAre(Decision{"b", Reason::pinned}, Decision{"c", Reason::important}));
    EXPECT_THAT(got.drop, ElementsAre(Decision{"a", Reason::expired}));
}

TEST(Plan, OverTheLimitNeighboursAreJoinedInsteadOfDropped) {
    std::vector<Entry> entries;
    for (int i = 0; i < 20; ++i) {
        entries.push_back(
            entry(fmt::format("e{:02}", i), fmt::format("word{} alone", i), .5f, 900 - i));
    }
    entries.push_back(entry("recent", "just now", .5f, 1));
    const Plan got = planned(entries, {.entries_per_session_max = 5, .merge_over_limit = true});
    EXPECT_THAT(got.drop, IsEmpty());
    EXPECT_THAT(got.keep, ElementsAre(Decision{"recent", Reason::recent}));
    ASSERT_EQ(got.merge.size(), 4u);
    EXPECT_THAT(got.merge[1].ids, ElementsAre("e05", "e06", "e07", "e08", "e09"));
    EXPECT_EQ(got.merge[1].sources.size(), 3u + 5u);
}

TEST(Plan, SimilarOldOnesBecomeOneThatNamesThemAll) {
    const std::vector<Entry> entries = {
        entry("a", "The deploy failed on node seven. Disk was full.", .4f, 100),
        entry("b", "The deploy failed on node seven. Disk was full again.", .8f, 90),
        entry("c", "Lunch was good today, thanks for asking.", .8f, 80)};
    const Plan got = planned(entries, {.merge_similarity = .7f});
    ASSERT_EQ(got.merge.size(), 1u);
    const Merge& merge = got.merge[0];
    EXPECT_THAT(merge.ids, ElementsAre("a", "b"));
    EXPECT_EQ(merge.summary, "The deploy failed on node seven. Disk was full again.");
    EXPECT_EQ(merge.importance, .8f);
    EXPECT_EQ(merge.created_unix_ms, entries[0].created_unix_ms);
    EXPECT_THAT(merge.sources, ElementsAre(SourceSpan{.source = "a", .begin = 0, .end = 32},
                                           SourceSpan{.source = "b", .begin = 33, .end = 53},
                                           SourceSpan{.source = "a"}, SourceSpan{.source = "b"}));
    EXPECT_THAT(got.keep, ElementsAre(Decision{"c", Reason::important}));
}

TEST(Plan, VectorsDecideWhereThereAreAny) {
    const std::vector<Entry> entries = {
        entry("a", "car", .8f, 100), entry("b", "automobile", .8f, 90), entry("c", "car", .8f, 80)};
    const std::vector<std::vector<float>> vectors = {{1, 0}, {1, .1f}, {0, 1}};
    const Plan got = plan(entries, vectors, {}, kNow);
    ASSERT_EQ(got.merge.size(), 1u);
    EXPECT_THAT(got.merge[0].ids, ElementsAre("a", "b"));
}

TEST(Plan, ALargeSessionLosesItsLeastImportant) {
    std::vector<Entry> entries = {
        entry("a", "one apple", .9f, 100), entry("b", "two pears", .5f, 90),
        entry("c", "three figs", .7f, 80), entry("d", "four nuts", .1f, 1)};
    entries[1].pinned = true;
    const Plan got = planned(entries, {.entries_per_session_max = 2});
    EXPECT_THAT(got.keep,
                ElementsAre(Decision{"b", Reason::pinned}, Decision{"d", Reason::recent}));
    EXPECT_THAT(got.drop,
                ElementsAre(Decision{"a", Reason::over_limit}, Decision{"c", Reason::over_limit}));
    entries[2].scope.session = "another";
    EXPECT_EQ(planned(entries, {.entries_per_session_max = 2}).drop.size(), 1u);
}

TEST(Plan, ChineseTextIsComparedByPairs) {
    const Plan got =
        planned({entry("a", "服务器磁盘已满。", .8f, 100), entry("b", "服务器磁盘已满！", .8f, 90),
                 entry("c", "今天天气很好", .8f, 80)});
    ASSERT_EQ(got.merge.size(), 1u);
    EXPECT_EQ(got.merge[0].summary, "服务器磁盘已满。");
}

TEST(PlanProperty, EveryEntryOnceNothingPinnedOrRecentTouchedAnyOrderTheSame) {
    test::for_each_seed(300, [](base::Rng& rng) {
        const std::vector<std::string> words = {"disk", "full", "node", "tea", "rain", "满", "了."};
        std::vector<Entry> entries;
        for (std::uint64_t i = rng.below(25); i > 0; --i) {
            std::string text;
            for (std::uint64_t k = 1 + rng.below(5); k > 0; --k) text += words[rng.below(7)] + " ";
            Entry one =
                entry("mem-" + std::to_string(100 + i), text, static_cast<float>(rng.uniform()),
                      static_cast<UnixMs>(rng.below(60)));
            one.pinned = rng.below(6) == 0;
            one.scope.session = rng.below(2) == 0 ? "s" : "r";
            if (rng.below(5) == 0) one.expires_unix_ms = kNow + (rng.below(2) == 0 ? -1 : 1);
            entries.push_back(one);
        }
        const Policy policy{
            .entries_per_session_max = static_cast<std::uint32_t>(1 + rng.below(12)),
            .merge_similarity = .5f};
        const Plan got = planned(entries, policy);
        std::map<MemoryId, std::string> fate;
        const auto note = [&](const MemoryId& id, std::string what) {
            ASSERT_TRUE(fate.emplace(id, std::move(what)).second) << id << " twice";
        };
        for (const Decision& one : got.keep) note(one.id, "keep");
        for (const Decision& one : got.drop) note(one.id, std::string(reason_name(one.reason)));
        std::map<std::string, std::uint32_t> left;
        std::map<MemoryId, const Entry*> by_id;
        for (const Entry& one : entries) by_id[one.id] = &one;
        for (const Merge& one : got.merge) {
            for (const MemoryId& id : one.ids) {
                note(id, "merge");
                ASSERT_EQ(by_id[id]->scope, by_id[one.ids[0]]->scope);
            }
            ++left[by_id[one.ids[0]]->scope.session];
            std::string joined;
            for (const SourceSpan& span : one.sources) {
                if (span.end == 0) continue;
                joined += (joined.empty() ? "" : " ") +
                          by_id[span.source]->content.substr(span.begin, span.end - span.begin);
            }
            ASSERT_EQ(joined, one.summary);
        }
        ASSERT_EQ(fate.size(), entries.size());
        std::uint32_t pinned = 0;
        for (const Entry& one : entries) {
            const std::string& what = fate[one.id];
            const bool expired = one.expires_unix_ms != 0 && one.expires_unix_ms <= kNow;
            pinned += one.pinned;
            if (what == "keep") ++left[one.scope.session];
            if (one.pinned) {
                ASSERT_EQ(what, "keep");
            }
            if (!one.pinned && expired) {
                ASSERT_EQ(what, "expired");
            }
            const bool recent = one.created_unix_ms > kNow - 24 * kHourMs;
            if (recent && !expired && !one.pinned) {
                ASSERT_TRUE(what == "keep" || what == "over_limit");
            }
            if (one.importance >= policy.importance_min) {
                ASSERT_NE(what, "unimportant");
            }
        }
        for (const auto& [session, count] : left) {
            ASSERT_LE(count, std::max(policy.entries_per_session_max, pinned));
        }
        std::ranges::reverse(entries);
        ASSERT_EQ(planned(entries, policy), got);
    });
}

}  // namespace
}  // namespace memory::compress
