// What only the file of SQLite has: its owner, its damage, its bytes, its disk.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <set>
#include <thread>

#include "base/store/sqlite_gaps.h"
#include "base/store/store.h"
#include "store_fixture.h"
#include "support/fault_disk.h"
#include "support/seeds.h"

namespace base::store {
namespace {

using test::insert;
using test::make_table;

TEST(SqliteStore, OneProcessOwnsTheFile) {
    test::TempDir dir;
    const std::string path = dir.file("a.db");
    auto store = Store::open(path, {});
    ASSERT_TRUE(store);
    struct stat facts {};
    ASSERT_EQ(::stat(path.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0600u);
    const pid_t child = ::fork();
    if (child == 0) {
        const auto second = Store::open(path, {});
        ::_exit(!second && second.error().code == Code::failed_precondition &&
                        second.error().message.find(path) != std::string::npos
                    ? 0
                    : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
    store->reset();
    EXPECT_TRUE(Store::open(path, {}));
}

TEST(SqliteStore, AUrlIsRefusedAndNoFileMade) {
    const auto opened = Store::open("mysql://ann:geheim@localhost/x", {});
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, Code::invalid_argument);
    EXPECT_EQ(opened.error().message.find("geheim"), std::string::npos);
    EXPECT_FALSE(std::filesystem::exists("mysql:"));
}

TEST(SqliteStore, DamageIsSaidAndNothingIsWritten) {
    test::TempDir dir;
    const std::string path = dir.file("a.db");
    test::write_text(path, std::string(8'192, 'x'));
    const auto text = Store::open(path, {});
    ASSERT_FALSE(text);
    EXPECT_EQ(text.error().code, Code::data_loss);
    EXPECT_EQ(test::read_text(path), std::string(8'192, 'x'));

    const std::string other = dir.file("b.db");
    {
        auto store = *Store::open(other, {});
        make_table(*store);
        DG_OK(store->write([](Transaction& tx) -> Result<void> {
            for (std::int64_t i = 0; i < 2'000; ++i) {
                DG_TRY(tx.run("INSERT INTO t(k, v) VALUES ($1, 0)", {i}));
            }
            return {};
        }));
        DG_OK(store->check());
    }
    std::string bytes = test::read_text(other);
    for (std::size_t at = 5'000; at < bytes.size(); at += 3'000) bytes[at] = '\x7f';
    test::write_text(other, bytes);
    auto damaged = Store::open(other, {});
    const Result<void> checked =
        damaged ? (*damaged)->check() : Result<void>(std::unexpected(damaged.error()));
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, Code::data_loss);
}

/// The numbers of all canaries ("canary-123456-") in the files of a folder, wherever they stand.
std::set<std::int64_t> canaries_in(const std::string& folder) {
    std::set<std::int64_t> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const std::string bytes = test::read_text(entry.path().string());
        for (auto at = bytes.find("canary-"); at != std::string::npos;
             at = bytes.find("canary-", at + 1)) {
            found.insert(std::atoll(bytes.substr(at + 7, 6).c_str()));
        }
    }
    return found;
}

TEST(SqliteStore, ScrubLeavesNoByteOfWhatWasDeleted) {
    test::for_each_seed(6, [](Rng& rng) {
        test::TempDir dir;
        auto store = *Store::open(dir.file("a.db"), {});
        DG_OK(store->write([](Transaction& tx) -> Result<void> {
            DG_TRY(tx.run("CREATE TABLE d (k INTEGER PRIMARY KEY, v TEXT)"));
            DG_TRY(tx.run("CREATE INDEX d_v ON d(v)"));
            return {};
        }));
        std::set<std::int64_t> kept, gone;
        const auto change = [&](Transaction& tx) -> Result<void> {
            const auto key = static_cast<std::int64_t>(100'000 + rng.below(800'000));
            if (kept.contains(key) || gone.contains(key)) return {};
            const std::string text = fmt::format("canary-{}-", key) +
                                     std::string(rng.below(rng.below(10) == 0 ? 9'000 : 400), 'z');
            DG_TRY(tx.run("INSERT INTO d(k, v) VALUES ($1, $2)", {key, std::string_view(text)}));
            kept.insert(key);
            if (rng.below(2) == 0) return {};
            const std::int64_t victim =
                *std::next(kept.begin(), static_cast<std::ptrdiff_t>(rng.below(kept.size())));
            DG_TRY(tx.run("DELETE FROM d WHERE k = $1", {victim}));
            kept.erase(victim);
            gone.insert(victim);
            return {};
        };
        // More than once: what the store remembers of its pages must not come back.
        for (int round = 0; round < 3; ++round) {
            for (int group = 0; group < 20; ++group) {
                DG_OK(store->write([&](Transaction& tx) -> Result<void> {
                    for (int i = 0; i < 60; ++i) DG_TRY(change(tx));
                    return {};
                }));
                DG_OK(store->read([](Transaction& tx) {
                    return tx.query("SELECT v FROM d", {}, [](const Row&) { return true; });
                }));
            }
            EXPECT_GT(canaries_in(dir.path()).size(), kept.size());  // it finds what is there
            DG_OK(store->scrub());
            ASSERT_EQ(canaries_in(dir.path()), kept);
            DG_OK(store->check());
        }
        // When most of the file is free, it becomes smaller.
        const std::uint64_t before = store->bytes();
        DG_OK(store->write([](Transaction& tx) -> Result<void> {
            DG_TRY(tx.run("DELETE FROM d"));
            return {};
        }));
        DG_OK(store->scrub());
        EXPECT_TRUE(canaries_in(dir.path()).empty());
        EXPECT_LT(store->bytes(), before / 2);
        DG_OK(store->check());
    });
}

TEST(SqliteGaps, ADamagedPageIsSaidAndNeverReadBeyondItsEnd) {
    test::for_each_seed(200, [](Rng& rng) {
        std::string page(512, '\0');
        for (char& c : page) {
            c = static_cast<char>(rng.below(3) == 0 ? rng.below(256) : 0);
        }
        constexpr char kKinds[] = {2, 5, 10, 13};
        page[0] = kKinds[rng.below(4)];
        const auto layout = layout_of(page, rng.below(4) == 0);
        if (!layout) return;
        for (const PageGap& gap : layout->gaps) ASSERT_LE(gap.begin + gap.size, page.size());
    });
}

// --- the disk ------------------------------------------------------------------------------------

/// Writers that each insert pairs (2n, 2n + 1) in one work; what returned without an error is
/// acknowledged.
struct Load {
    std::set<std::int64_t> acknowledged, attempted;
    std::set<Code> errors;

    void run(Store& store, int writers, int each, std::int64_t first) {
        std::mutex mutex;
        std::vector<std::jthread> threads;
        for (int w = 0; w < writers; ++w) {
            threads.emplace_back([&, w] {
                for (int i = 0; i < each; ++i) {
                    const std::int64_t pair = first + w * each + i;
                    const std::string bytes(static_cast<std::size_t>(200 + pair % 3'000), 'b');
                    const Result<void> wrote = store.write([&](Transaction& tx) -> Result<void> {
                        DG_TRY(tx.run("INSERT INTO p(k, v) VALUES ($1, $2)",
                                      {2 * pair, std::string_view(bytes)}));
                        DG_TRY(tx.run("INSERT INTO p(k, v) VALUES ($1, $2)",
                                      {2 * pair + 1, std::string_view(bytes)}));
                        return {};
                    });
                    std::lock_guard lock(mutex);
                    attempted.insert(pair);
                    if (wrote)
                        acknowledged.insert(pair);
                    else
                        errors.insert(wrote.error().code);
                }
            });
        }
    }

    /// Both halves or none of each pair, every acknowledged one, no bad page.
    void verify(Store& store) {
        std::map<std::int64_t, int> halves;
        DG_OK(store.read([&](Transaction& tx) {
            return tx.query("SELECT k FROM p", {}, [&](const Row& row) {
                ++halves[row.integer(0) / 2];
                return true;
            });
        }));
        for (const auto& [pair, count] : halves) {
            ASSERT_EQ(count, 2) << "half a transaction: " << pair;
            ASSERT_TRUE(attempted.contains(pair));
        }
        for (const std::int64_t pair : acknowledged) {
            ASSERT_TRUE(halves.contains(pair)) << "lost: " << pair;
        }
        DG_OK(store.check());
    }
};

Result<std::unique_ptr<Store>> open_with_table(const std::string& path) {
    auto store = DG_TRY(Store::open(path, {}));
    DG_TRY(store->write([](Transaction& tx) -> Result<void> {
        DG_TRY(tx.run("CREATE TABLE IF NOT EXISTS p (k INTEGER PRIMARY KEY, v TEXT)"));
        return {};
    }));
    return store;
}

TEST(SqliteStore, PowerLossLosesNothingAcknowledged) {
    test::TempDir dir;
    std::uint64_t seed = 0;
    std::size_t acknowledged = 0;
    const std::uint64_t runs = test::fault_runs(250);
    test::for_each_seed(runs, [&](Rng& rng) {
        test::FaultDisk disk(++seed);
        Load load;
        for (int life = 0; life < 3; ++life) {
            disk.lose_power_after(1 + rng.below(rng.below(2) == 0 ? 40 : 400));
            if (auto store = open_with_table(dir.file("a.db"))) {
                load.run(**store, 1 + static_cast<int>(rng.below(4)), 20, life * 1'000);
            }
            disk.restart();
        }
        auto store = open_with_table(dir.file("a.db"));
        ASSERT_TRUE(store) << store.error().message;
        load.verify(**store);
        acknowledged += load.acknowledged.size();
    });
    EXPECT_GT(acknowledged, 2 * runs);
}

TEST(SqliteStore, AFullDiskRefusesAndGoesOnWhenThereIsRoom) {
    test::TempDir dir;
    std::uint64_t seed = 0;
    std::size_t refused = 0;
    const std::uint64_t runs = test::fault_runs(50);
    test::for_each_seed(runs, [&](Rng& rng) {
        test::FaultDisk disk(++seed);
        Load load;
        auto store = open_with_table(dir.file("a.db"));
        ASSERT_TRUE(store) << store.error().message;
        disk.limit(60'000 + rng.below(400'000));
        load.run(**store, 4, 30, 0);
        for (const Code code : load.errors) ASSERT_EQ(code, Code::resource_exhausted);
        refused += load.attempted.size() - load.acknowledged.size();
        load.verify(**store);
        disk.limit(0);
        const std::size_t before = load.acknowledged.size();
        load.run(**store, 2, 5, 1'000);
        ASSERT_EQ(load.acknowledged.size(), before + 10);
        load.verify(**store);
    });
    EXPECT_GT(refused, 5 * runs);
}

TEST(SqliteStore, FailingDisksLoseNothingAcknowledged) {
    test::TempDir dir;
    std::uint64_t seed = 0;
    std::size_t failed = 0;
    const std::uint64_t runs = test::fault_runs(125);
    test::for_each_seed(runs, [&](Rng& rng) {
        test::FaultDisk disk(++seed);
        Load load;
        {
            auto store = open_with_table(dir.file("a.db"));
            ASSERT_TRUE(store) << store.error().message;
            disk.fail_share(.002 + rng.uniform() * .05);
            load.run(**store, 3, 30, 0);
            disk.fail_share(0);
            load.run(**store, 2, 5, 1'000);
            failed += load.attempted.size() - load.acknowledged.size();
            if (rng.below(2) == 0) disk.lose_power_after(1);
        }
        disk.restart();
        auto store = open_with_table(dir.file("a.db"));
        ASSERT_TRUE(store) << store.error().message;
        load.verify(**store);
    });
    EXPECT_GT(failed, runs);
}

}  // namespace
}  // namespace base::store
