#include "base/sim/sim_disk.h"

#include <gtest/gtest.h>

#include <set>

#include "base/sim/sim_clock.h"

namespace {

using base::Code;
using base::Disk;
using base::sim::SimClock;
using base::sim::SimDisk;

std::string zeros(std::size_t bytes) {
    return std::string(bytes, '\0');
}

TEST(SimDisk, WhatIsSyncedStaysAndWhatIsNotIsKeptOrLostSectorBySector) {
    std::set<std::string> found;
    for (std::uint64_t seed = 1; seed <= 400; ++seed) {
        SimDisk disk(seed);
        auto file = *disk.open("d/a", Disk::Mode::fresh);
        ASSERT_TRUE(file->write(0, std::string(1536, '1')));
        ASSERT_TRUE(file->sync());
        ASSERT_TRUE(disk.sync_dir("d"));
        ASSERT_TRUE(file->write(500, std::string(600, '2')));
        disk.restart(SimDisk::Stop::power);
        EXPECT_EQ(file->sync().error().code, Code::unavailable);  // of the time before
        const std::string content = disk.content("d/a");
        ASSERT_EQ(content.size(), 1536u);
        std::string pattern;
        for (std::size_t at = 0; at < 1536; ++at) {
            const bool may_change = at >= 500 && at < 1100;
            ASSERT_TRUE(content[at] == '1' || (may_change && content[at] == '2'));
            if (at == 505 || at == 600 || at == 1030) pattern.push_back(content[at]);
        }
        found.insert(pattern);
    }
    EXPECT_EQ(found.size(), 8u);  // every combination of three sectors
}

TEST(SimDisk, AnUnsyncedNameMayGoAndComeBack) {
    std::set<std::string> found;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SimDisk disk(seed);
        auto file = *disk.open("d/a", Disk::Mode::fresh);
        ASSERT_TRUE(file->write(0, "x"));
        ASSERT_TRUE(file->sync());
        ASSERT_TRUE(disk.sync_dir("d"));
        ASSERT_TRUE(disk.rename("d/a", "d/b"));
        EXPECT_EQ(*disk.list("d"), std::vector<std::string>{"b"});
        disk.restart(SimDisk::Stop::power);
        const std::vector<std::string> names = *disk.list("d");
        ASSERT_EQ(names.size(), 1u);
        found.insert(names[0]);
    }
    EXPECT_EQ(found, (std::set<std::string>{"a", "b"}));
}

TEST(SimDisk, AProcessThatEndsLosesNothingOfTheKernels) {
    SimDisk disk(1);
    auto file = *disk.open("a", Disk::Mode::fresh);
    ASSERT_TRUE(file->write(0, "never synced"));
    auto lock = disk.lock("lock");
    EXPECT_EQ(disk.lock("lock").error().code, Code::failed_precondition);
    disk.restart(SimDisk::Stop::process);
    EXPECT_EQ(disk.content("a"), "never synced");
    EXPECT_TRUE(disk.lock("lock"));
}

TEST(SimDisk, AFailedSyncForgetsAndALaterOneSucceeds) {
    int lost = 0;
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        SimDisk disk(seed);
        auto file = *disk.open("d/a", Disk::Mode::fresh);
        ASSERT_TRUE(file->reserve(4096));
        ASSERT_TRUE(file->sync());
        ASSERT_TRUE(disk.sync_dir("d"));
        ASSERT_TRUE(file->write(0, std::string(4096, 'x')));
        disk.fail_nth(1);
        EXPECT_FALSE(file->sync());
        EXPECT_TRUE(file->sync());
        EXPECT_EQ(disk.content("d/a"), std::string(4096, 'x'));
        disk.restart(SimDisk::Stop::power);
        lost += disk.content("d/a") == std::string(4096, 'x') ? 0 : 1;
    }
    EXPECT_GT(lost, 0);
}

TEST(SimDisk, StopsInTheMiddleAndIsFullAtItsLimit) {
    SimDisk disk(5);
    auto file = *disk.open("a", Disk::Mode::fresh);
    disk.limit(1000);
    EXPECT_TRUE(file->write(0, zeros(1000)));
    EXPECT_EQ(file->write(1000, "x").error().code, Code::resource_exhausted);
    EXPECT_EQ(file->reserve(1001).error().code, Code::resource_exhausted);
    EXPECT_TRUE(file->write(0, "fits over what is there"));
    disk.limit(0);
    disk.stop_after(2);
    EXPECT_TRUE(file->write(0, "1"));
    EXPECT_FALSE(disk.stopped());
    EXPECT_EQ(file->write(0, "2").error().code, Code::unavailable);
    EXPECT_TRUE(disk.stopped());
    EXPECT_EQ(disk.list(".").error().code, Code::unavailable);
}

TEST(SimDisk, ASeedRepeatsItself) {
    const auto run = [](std::uint64_t seed) {
        SimDisk disk(seed);
        disk.set_faults({.write = 0.3, .read = 0});
        std::string log;
        auto file = disk.open("a", Disk::Mode::fresh);
        for (int i = 0; file && i < 50; ++i) {
            log += (*file)->write(static_cast<std::uint64_t>(i) * 300, std::string(300, 'x')) ? 'w'
                                                                                              : '-';
        }
        disk.restart(SimDisk::Stop::power);
        const std::vector<std::string> names = *disk.list(".");
        for (const std::string& name : names) log += disk.content(name);
        return log;
    };
    EXPECT_EQ(run(3), run(3));
    EXPECT_NE(run(3), run(4));
}

TEST(SimClock, MovesWhenItIsMovedAndItsWallClockJumps) {
    SimClock clock;
    const base::Instant before = clock.now();
    const std::int64_t wall = clock.unix_ns();
    clock.advance(std::chrono::seconds(2));
    EXPECT_EQ(clock.now() - before, std::chrono::seconds(2));
    EXPECT_EQ(clock.unix_ns() - wall, 2'000'000'000);
    clock.set_unix_ns(5);
    EXPECT_EQ(clock.unix_ns(), 5);
    EXPECT_EQ(clock.now() - before, std::chrono::seconds(2));
}

}  // namespace
