// Duplicates are found wherever the marks of what is kept are: in memory, in the store, half way.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <map>

#include "memory/truth/mark_tail.h"
#include "memory/truth/shard.h"
#include "support/fault_disk.h"
#include "support/seeds.h"
#include "truth_fixture.h"

namespace memory::truth {
namespace {

using test::need;
using test::note;

constexpr Shard::Limits kLimits{.content_bytes_max = 1 << 20, .versions_keep_ms = 1'000'000};

/// Short ones have one mark, long ones three.
std::string text_of(std::uint64_t number) {
    std::string text = fmt::format("note {}", number);
    for (int i = 0; number % 2 == 0 && i < 70; ++i) text += fmt::format(" word{}x{}", number, i);
    return text;
}

TEST(DuplicateMarks, RandomHistoriesFindWhatIsThereAndNothingElse) {
    std::uint64_t merged = 0;
    test::for_each_seed(60, [&](base::Rng& rng) {
        test::TempDir dir;
        test::FaultDisk disk(1);  // in memory, and without faults
        test::WallClock clock;
        auto shard = need(Shard::open(dir.file("a.db"), kLimits, clock));
        std::map<std::string, MemoryId> live;  // by text
        const auto any = [&] {
            return std::next(live.begin(), static_cast<std::ptrdiff_t>(rng.below(live.size())));
        };
        for (int step = 0; step < 120; ++step) {
            const std::string text = text_of(rng.below(24));
            switch (rng.below(8)) {
                case 0:
                    DG_OK(shard->settle_marks());
                    break;
                case 1:
                    shard.reset();
                    shard = need(Shard::open(dir.file("a.db"), kLimits, clock));
                    break;
                case 2: {
                    // What fails leaves nothing, not even in memory.
                    const NewEntry entry = note("undone " + text);
                    const auto refused =
                        shard->exchange(entry.scope.tenant, {}, {&entry, 1}, "", "",
                                        [](auto&, const auto&) -> base::Result<void> {
                                            return base::fail(base::Code::cancelled, "no");
                                        });
                    ASSERT_FALSE(refused);
                    break;
                }
                case 3:
                    if (live.empty()) break;
                    {
                        const auto victim = any();
                        DG_OK(shard->remove("t", victim->second, ""));
                        live.erase(victim);
                    }
                    break;
                case 4:
                    if (live.empty() || live.contains(text)) break;
                    {
                        const auto changed = any();
                        DG_OK(shard->update("t", changed->second, {.content = text}, ""));
                        live[text] = changed->second;
                        live.erase(changed);
                    }
                    break;
                default: {
                    const NewEntry entry = note(text);
                    const auto written =
                        need(shard->exchange(entry.scope.tenant, {}, {&entry, 1}, "", "", {}));
                    const Added& added = written.added[0];
                    ASSERT_EQ(added.how == Added::How::merged, live.contains(text)) << text;
                    if (live.contains(text)) {
                        ASSERT_EQ(added.id, live.at(text));
                        ++merged;
                    }
                    live[text] = added.id;
                }
            }
        }
        DG_OK(shard->settle_marks());
        ASSERT_EQ(shard->marks_behind(), 0u);
        for (const auto& [text, id] : live) {
            const NewEntry entry = note(text);
            ASSERT_EQ(
                need(shard->exchange(entry.scope.tenant, {}, {&entry, 1}, "", "", {})).added[0].id,
                id);
        }
    });
    EXPECT_GT(merged, 500u);
}

TEST(DuplicateMarks, FailingDisksHideNoDuplicate) {
    std::uint64_t seed = 0, kept = 0, failed = 0;
    const std::uint64_t runs = test::fault_runs(100);
    test::for_each_seed(runs, [&](base::Rng& rng) {
        test::TempDir dir;
        test::FaultDisk disk(++seed);
        test::WallClock clock;
        std::map<std::string, MemoryId> acknowledged;
        for (std::uint64_t life = 0; life < 3; ++life) {
            if (rng.below(2) == 0) disk.lose_power_after(100 + rng.below(400));
            if (auto shard = Shard::open(dir.file("a.db"), kLimits, clock)) {
                if (rng.below(2) == 0) disk.fail_share(rng.uniform() * .05);
                for (std::uint64_t i = 0; i < 30; ++i) {
                    const NewEntry entry = note(text_of(life * 30 + i));
                    if (const auto written =
                            (*shard)->exchange(entry.scope.tenant, {}, {&entry, 1}, "", "", {})) {
                        acknowledged[entry.content] = written->added[0].id;
                    } else {
                        ++failed;
                    }
                    if (rng.below(8) == 0 && !(*shard)->settle_marks()) ++failed;
                }
            }
            disk.fail_share(0);
            disk.restart();
        }
        auto shard = need(Shard::open(dir.file("a.db"), kLimits, clock));
        for (const auto& [text, id] : acknowledged) {
            const NewEntry entry = note(text);
            ASSERT_EQ(
                need(shard->exchange(entry.scope.tenant, {}, {&entry, 1}, "", "", {})).added[0].id,
                id)
                << text;
        }
        kept += acknowledged.size();
    });
    EXPECT_GT(kept, 20 * runs);
    EXPECT_GT(failed, runs);
}

TEST(DuplicateMarks, AFileOfAnEarlierFormatKeepsItsMarks) {
    test::TempDir dir;
    test::WallClock clock;
    const std::string path = dir.file("a.db");
    std::vector<NewEntry> entries;
    for (std::uint64_t i = 0; i < 40; ++i) entries.push_back(note(text_of(i)));
    {
        auto shard = need(Shard::open(path, kLimits, clock));
        DG_OK(shard->exchange(entries.front().scope.tenant, {}, entries, "", "", {}));
        DG_OK(shard->settle_marks());
    }
    // As it was before there were keys, and a line of how far marks are written.
    sqlite3* database = nullptr;
    ASSERT_EQ(sqlite3_open(path.c_str(), &database), SQLITE_OK);
    ASSERT_EQ(sqlite3_exec(database,
                           "DROP INDEX entry_sourced; DROP INDEX entry_key; "
                           "ALTER TABLE embedding DROP COLUMN key_id; "
                           "ALTER TABLE version DROP COLUMN sealed; "
                           "ALTER TABLE version DROP COLUMN key_id; "
                           "ALTER TABLE entry DROP COLUMN sealed; "
                           "ALTER TABLE entry DROP COLUMN key_id; "
                           "DELETE FROM meta WHERE name = 'marked'; DELETE FROM schema_step WHERE "
                           "part = 'memory' AND step > (SELECT max(step) - 8 FROM schema_step "
                           "WHERE part = 'memory')",
                           nullptr, nullptr, nullptr),
              SQLITE_OK);
    sqlite3_close(database);
    auto shard = need(Shard::open(path, kLimits, clock));
    for (const Added& added :
         need(shard->exchange(entries.front().scope.tenant, {}, entries, "", "", {})).added) {
        EXPECT_EQ(added.how, Added::How::merged);
    }
    EXPECT_EQ(shard->marks_behind(), 0u);  // nothing was made again from the texts
}

TEST(DuplicateMarks, ABatchEndsBeforeWhatIsNotCommitted) {
    MarkTail tail;
    tail.start(10);
    const std::int64_t marks[] = {7, 3};
    for (RowId row = 11; row <= 14; ++row) tail.add(1, row, marks);
    tail.confirm(11);
    tail.confirm(12);
    tail.confirm(14);
    MarkTail::Batch batch = tail.batch();
    EXPECT_EQ(batch.through, 12);
    ASSERT_EQ(batch.marks.size(), 4u);
    EXPECT_EQ(batch.marks[0], (MarkTail::Mark{.tenant = 1, .mark = 3, .row = 11}));
    EXPECT_EQ(batch.marks[3], (MarkTail::Mark{.tenant = 1, .mark = 7, .row = 12}));
    tail.forget(13);
    tail.doubt(12);
    tail.drop(12);
    EXPECT_FALSE(tail.doubted(12));
    EXPECT_EQ(tail.batch().through, 14);
    std::vector<RowId> rows;
    tail.find(7, 8, rows);
    EXPECT_EQ(rows, std::vector<RowId>{14});
}

}  // namespace
}  // namespace memory::truth
