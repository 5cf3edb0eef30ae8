// What a caller sees, on the machine's own disk.
#include "base/journal/journal.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

#include "base/files/linux_disk.h"
#include "support/temp_dir.h"

namespace {

using base::Code;
using base::Result;
using base::journal::Address;
using base::journal::Group;
using base::journal::Journal;
using base::journal::Options;

struct Found {
    Address at;
    std::string record;
    bool operator==(const Found&) const = default;
};

std::vector<Found> all_of(const Journal& journal, Address from = {}) {
    std::vector<Found> found;
    const Result<void> scanned =
        journal.scan(from, [&](Address at, std::string_view record) -> Result<bool> {
            found.push_back(Found{at, std::string(record)});
            return true;
        });
    EXPECT_TRUE(scanned) << scanned.error().message;
    return found;
}

Group group_of(std::initializer_list<std::string_view> records) {
    Group group;
    for (const std::string_view record : records) group.add(record);
    return group;
}

class JournalTest : public testing::Test {
protected:
    std::unique_ptr<Journal> open() {
        auto journal = Journal::open(disk_, dir_, options_);
        EXPECT_TRUE(journal) << journal.error().message;
        return journal ? *std::move(journal) : nullptr;
    }
    std::vector<std::string> segments() {
        std::vector<std::string> names = *disk_.list(dir_);
        std::erase_if(names, [](const std::string& name) { return !name.ends_with(".journal"); });
        return names;
    }

    test::TempDir temp_;
    base::LinuxDisk disk_;
    std::string dir_ = temp_.file("a/journal");
    Options options_{.segment_bytes = 64 << 10};
};

TEST_F(JournalTest, WhatWasCommittedIsThereAfterReopening) {
    std::vector<Found> expected;
    {
        auto journal = open();
        EXPECT_TRUE(all_of(*journal).empty());
        for (int i = 0; i < 100; ++i) {
            const std::string first(static_cast<std::size_t>(i) * 37, 'a');
            const Group group = group_of({first, "", "second"});
            const Address at = *journal->commit(group);
            expected.push_back(Found{at, first});
            expected.push_back(Found{group.address(at, 1), ""});
            expected.push_back(Found{group.address(at, 2), "second"});
        }
        EXPECT_EQ(all_of(*journal), expected);
        EXPECT_GT(journal->stats().segments, 1u);
    }
    auto journal = open();
    EXPECT_EQ(all_of(*journal), expected);
    for (const Found& found : expected) EXPECT_EQ(*journal->read(found.at), found.record);
    EXPECT_TRUE(std::ranges::is_sorted(expected, {}, &Found::at));
    for (const std::size_t i : {0u, 1u, 150u, 299u}) {
        EXPECT_EQ(
            all_of(*journal, expected[i].at),
            std::vector<Found>(expected.begin() + static_cast<std::ptrdiff_t>(i), expected.end()));
    }
    const Address more = *journal->commit(group_of({"more"}));
    EXPECT_GT(more, expected.back().at);
    EXPECT_EQ(all_of(*journal).back(), (Found{more, "more"}));
}

TEST_F(JournalTest, RecordsHoldAddressesOfOthersOfTheirGroup) {
    auto journal = open();
    const Address earlier = *journal->commit(group_of({"earlier"}));
    Group group;
    group.add("target");
    const std::size_t in = group.add("see ........ and ........");
    group.refer(in, 4, 0);
    group.refer(in, 17, in);
    const Address first = *journal->commit(group);
    EXPECT_GT(first, earlier);
    const std::string record = *journal->read(group.address(first, in));
    std::uint64_t target = 0, self = 0;
    std::memcpy(&target, record.data() + 4, sizeof(target));
    std::memcpy(&self, record.data() + 17, sizeof(self));
    EXPECT_EQ(target, first.n);
    EXPECT_EQ(self, group.address(first, in).n);
    EXPECT_EQ(*journal->read(Address{target}), "target");
    journal.reset();
    EXPECT_EQ(open()->read(Address{self}), record);
}

TEST_F(JournalTest, CallbacksComeInOrderOnceDurable) {
    auto journal = open();
    std::vector<int> called;
    bool durable = true;
    for (int i = 0; i < 500; ++i) {
        const Group group = group_of({std::to_string(i)});
        const Result<Address> at = journal->append(group, [&, i](Result<void> done) {
            durable = durable && done;
            called.push_back(i);
        });
        ASSERT_TRUE(at);
        EXPECT_EQ(*journal->read(*at), std::to_string(i));  // also before it is durable
    }
    journal->flush();
    EXPECT_TRUE(durable);
    ASSERT_EQ(called.size(), 500u);
    EXPECT_TRUE(std::ranges::is_sorted(called));
    EXPECT_EQ(all_of(*journal).size(), 500u);
    const base::journal::Stats stats = journal->stats();
    EXPECT_EQ(stats.groups, 500u);
    EXPECT_EQ(stats.pending_bytes, 0u);
    EXPECT_GT(stats.sync_p50_us, 0u);
    EXPECT_GE(stats.sync_p99_us, stats.sync_p50_us);
}

TEST_F(JournalTest, NoSyncHasNoPercentile) {
    EXPECT_EQ(open()->stats().sync_p99_us, 0u);
}

TEST_F(JournalTest, ACallbackMayAppend) {
    auto journal = open();
    std::atomic<int> left{200};
    std::function<void(Result<void>)> next = [&](Result<void> done) {
        EXPECT_TRUE(done);
        if (--left == 0) return;
        EXPECT_TRUE(journal->append(group_of({"again"}), next));
    };
    ASSERT_TRUE(journal->append(group_of({"first"}), next));
    while (left > 0) journal->flush();
    EXPECT_EQ(all_of(*journal).size(), 200u);
}

TEST_F(JournalTest, ManyThreadsCommitAppendReadScanAndDrop) {
    options_.recent_bytes_max = 4 << 10;
    auto journal = open();
    constexpr int kThreads = 8, kEach = 200;
    std::vector<std::vector<Address>> at(kThreads);
    std::atomic<int> called{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
            for (int i = 0; i < kEach; ++i) {
                const std::string text = std::to_string(t) + ":" + std::to_string(i);
                const Group group = group_of({text, std::string(100, 'x')});
                const Result<Address> first = i % 4 == 0 ? journal->append(group,
                                                                           [&](Result<void> done) {
                                                                               EXPECT_TRUE(done);
                                                                               ++called;
                                                                           })
                                                         : journal->commit(group);
                ASSERT_TRUE(first);
                at[static_cast<std::size_t>(t)].push_back(*first);
                EXPECT_EQ(*journal->read(*first), text);
            }
        });
    }
    threads.emplace_back([&] {
        for (int i = 0; i < 20; ++i) {
            std::vector<Found> found = all_of(*journal);
            EXPECT_TRUE(std::ranges::is_sorted(found, {}, &Found::at));
        }
    });
    for (std::thread& thread : threads) thread.join();
    journal->flush();
    EXPECT_EQ(called, kThreads * kEach / 4);
    EXPECT_EQ(all_of(*journal).size(), 2u * kThreads * kEach);
    for (const auto& mine : at) EXPECT_TRUE(std::ranges::is_sorted(mine));
    EXPECT_LE(journal->stats().syncs, journal->stats().groups);
    const Address middle = at[0][kEach / 2];
    ASSERT_TRUE(journal->drop_before(middle));
    EXPECT_EQ(*journal->read(middle), "0:" + std::to_string(kEach / 2));
    EXPECT_EQ(journal->read(at[0][0]).error().code, Code::not_found);
    journal.reset();
    EXPECT_EQ(*open()->read(middle), "0:" + std::to_string(kEach / 2));
}

TEST_F(JournalTest, DropsWholeSegmentsOnlyOrMovesThem) {
    options_.archive_dir = temp_.file("archive");
    auto journal = open();
    std::vector<Found> expected;
    for (int i = 0; i < 40; ++i) {
        const std::string record = std::to_string(i) + std::string(10'000, 'r');
        expected.push_back(Found{*journal->commit(group_of({record})), record});
    }
    const std::uint64_t before = journal->stats().segments;
    ASSERT_GT(before, 5u);
    const Address keep = expected[20].at;
    ASSERT_TRUE(journal->drop_before(keep));
    const auto first = std::ranges::find_if(expected, [&](const Found& f) {
        return f.at.n / journal->segment_bytes() == keep.n / journal->segment_bytes();
    });
    const std::vector<Found> left(first, expected.end());
    EXPECT_EQ(all_of(*journal), left);
    EXPECT_LE(journal->begin(), left.front().at);
    EXPECT_EQ(disk_.list(options_.archive_dir)->size(), before - journal->stats().segments);
    EXPECT_EQ(journal->scan(expected[0].at, {}).error().code, Code::not_found);
    ASSERT_TRUE(journal->drop_before(journal->end()));
    EXPECT_EQ(journal->stats().segments, 1u);
    const std::vector<Found> last = all_of(*journal);
    ASSERT_FALSE(last.empty());
    EXPECT_EQ(last.back(), expected.back());
    journal.reset();
    EXPECT_EQ(all_of(*open()), last);
}

TEST_F(JournalTest, OneOwnerAtATime) {
    auto journal = open();
    EXPECT_EQ(Journal::open(disk_, dir_, options_).error().code, Code::failed_precondition);
    journal.reset();
    EXPECT_NE(open(), nullptr);
}

TEST_F(JournalTest, RefusesWhatDoesNotFitAndGoesOn) {
    options_.record_bytes_max = 50'000;
    options_.pending_bytes_max = 60'000;
    auto journal = open();
    EXPECT_EQ(journal->commit(Group()).error().code, Code::invalid_argument);
    EXPECT_EQ(journal->commit(group_of({std::string(50'001, 'x')})).error().code,
              Code::payload_too_large);
    const std::string half(33'000, 'x');
    EXPECT_EQ(journal->commit(group_of({half, half})).error().code, Code::payload_too_large);
    Group largest;
    largest.add(std::string(40'000, 'a'));
    largest.add(std::string(journal->group_bytes_max() - 40'000 - 16, 'b'));
    EXPECT_EQ(largest.bytes(), journal->group_bytes_max());
    EXPECT_TRUE(journal->commit(largest));
    EXPECT_TRUE(journal->commit(group_of({"x"})));
    EXPECT_TRUE(journal->commit(largest));
    journal.reset();
    EXPECT_EQ(all_of(*open()).size(), 5u);

    options_.segment_bytes = 1000;
    EXPECT_EQ(Journal::open(disk_, dir_, options_).error().code, Code::invalid_argument);
}

TEST_F(JournalTest, AppendSaysWhenTooMuchWaits) {
    options_.threaded = false;
    options_.pending_bytes_max = 1000;
    auto journal = open();
    int done = 0;
    const auto count = [&](Result<void> result) { done += result ? 1 : 0; };
    EXPECT_TRUE(journal->append(group_of({std::string(900, 'x')}), count));
    EXPECT_EQ(journal->append(group_of({std::string(900, 'x')}), count).error().code,
              Code::resource_exhausted);
    EXPECT_EQ(done, 0);
    journal->flush();
    EXPECT_EQ(done, 1);
    EXPECT_TRUE(journal->append(group_of({std::string(900, 'x')}), count));
    EXPECT_TRUE(journal->commit(group_of({"x"})));
    EXPECT_EQ(done, 2);
}

TEST_F(JournalTest, KeepsItsSegmentSize) {
    EXPECT_TRUE(open()->commit(group_of({"x"})));
    options_.segment_bytes = 1 << 20;
    auto journal = open();
    EXPECT_EQ(journal->segment_bytes(), 64u << 10);
    EXPECT_EQ(all_of(*journal).size(), 1u);
}

TEST_F(JournalTest, ReadsNothingFromWhereNoRecordBegins) {
    options_.recent_bytes_max = 0;
    auto journal = open();
    const Address at = *journal->commit(group_of({std::string(1000, 'x'), "y"}));
    for (std::uint64_t n = 0; n < at.n + 3000; ++n) {
        const Result<std::string> read = journal->read(Address{n});
        EXPECT_EQ(read.has_value(), n == at.n || n == at.n + 1008) << n;
    }
}

TEST_F(JournalTest, ManySegmentsDoNotTakeManyFilesOpen) {
    options_.segment_bytes = 4096;
    auto journal = open();
    for (int i = 0; i < 150; ++i) ASSERT_TRUE(journal->commit(group_of({std::string(3000, 'x')})));
    EXPECT_EQ(all_of(*journal).size(), 150u);
    const auto files = std::filesystem::directory_iterator("/proc/self/fd");
    EXPECT_LT(std::distance(begin(files), end(files)), 100);
}

TEST_F(JournalTest, MadeAheadSegmentsAreUsedAndLeftoversGo) {
    {
        auto journal = open();
        ASSERT_TRUE(journal->commit(group_of({std::string(40'000, 'x')})));
    }
    // Made ahead when half of the first was used, or not yet: either is fine to open.
    test::write_text(dir_ + "/00000000000000aa.journal.tmp", "half made");
    auto journal = open();
    EXPECT_FALSE(std::filesystem::exists(dir_ + "/00000000000000aa.journal.tmp"));
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(journal->commit(group_of({std::string(40'000, 'x')})));
    EXPECT_EQ(all_of(*journal).size(), 11u);
    EXPECT_EQ(journal->stats().segments, 11u);
}

}  // namespace
