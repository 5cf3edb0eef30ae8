// The journal over a disk that stops, fails and fills up, beside an oracle.
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "base/journal/journal.h"
#include "base/sim/sim_disk.h"
#include "support/fault_runs.h"
#include "support/seeds.h"
#include "unit/base/journal/journal_oracle.h"

namespace {

using base::Code;
using base::Result;
using base::Rng;
using base::journal::Options;
using base::sim::SimDisk;
using test::Address;
using test::FoundRecord;
using test::Group;
using test::Journal;
using test::JournalOracle;

constexpr const char* kDir = "log";

Options simulated(std::uint64_t segment_bytes) {
    Options options;
    options.segment_bytes = segment_bytes;
    options.threaded = false;
    options.id = 7;
    return options;
}

/// One random history of a journal, through stops of the process and of the machine.
class History {
public:
    explicit History(Rng& rng) : rng_(rng), disk_(rng.next()) {
        const std::uint64_t sizes[] = {4096, 16 << 10, 64 << 10, 256 << 10};
        // Records of more than 1 MiB cost much to simulate: one history in fifty has them.
        options_ = simulated(rng.below(50) == 0 ? 6u << 20 : sizes[rng.below(4)]);
        options_.recent_bytes_max = rng.below(2) == 0 ? 0 : 16 << 10;
        if (rng.below(3) == 0) options_.archive_dir = "archive";
    }

    void run() {
        const std::uint64_t lives = 2 + rng_.below(5);
        for (std::uint64_t life = 0; life < lives && !testing::Test::HasFailure(); ++life) {
            live();
        }
        open_and_check();
        if (testing::Test::HasFailure()) ADD_FAILURE() << "history:" << history_;
    }

private:
    /// For who reads a failure.
    template <class... Args>
    void note(fmt::format_string<Args...> format, Args&&... args) {
        history_ += '\n';
        fmt::format_to(std::back_inserter(history_), "{:6} ", disk_.operations());
        fmt::format_to(std::back_inserter(history_), format, std::forward<Args>(args)...);
    }

    void live() {
        if (rng_.below(4) != 0) disk_.stop_after(1 + rng_.below(rng_.below(2) == 0 ? 15 : 120));
        Result<std::unique_ptr<Journal>> opened = Journal::open(disk_, kDir, options_);
        note("opened: {}", opened ? "yes" : opened.error().message);
        if (opened) {
            settle(**opened);
            const std::uint64_t steps = rng_.below(40);
            for (std::uint64_t i = 0; i < steps && !disk_.stopped(); ++i) step(**opened);
            const bool killed = rng_.below(2) == 0;
            if (killed) disk_.stop_after(1);
            opened->reset();
        } else {
            EXPECT_TRUE(disk_.stopped()) << opened.error().message;
        }
        disk_.set_faults({});
        disk_.limit(0);
        // A clean close, or the kernel going on, or the power going.
        const bool power = rng_.below(3) != 0;
        disk_.restart(power ? SimDisk::Stop::power : SimDisk::Stop::process);
        note("{} ended", power ? "power" : "process");
        open_and_check();
    }

    void open_and_check() {
        if (testing::Test::HasFailure()) return;
        const Result<std::unique_ptr<Journal>> opened = Journal::open(disk_, kDir, options_);
        ASSERT_TRUE(opened) << opened.error().message;
        settle(**opened);
    }

    void settle(Journal& journal) {
        const Result<std::vector<FoundRecord>> found = test::scan_all(journal);
        if (!found && disk_.stopped()) return;
        ASSERT_TRUE(found) << found.error().message;
        note("{} records in {}..{}", found->size(), journal.begin().n, journal.end().n);
        oracle_.settle(*found);
    }

    void step(Journal& journal) {
        switch (rng_.below(12)) {
            case 0:
                return drop(journal);
            case 1:
                return read(journal);
            case 2:
                return trouble();
            case 3:
            case 4:
            case 5:
                return commit(journal);
            case 6:
            case 7:
                return journal.flush();
            default:
                return append(journal);
        }
    }

    void append(Journal& journal) {
        const Group group = oracle_.make(rng_, journal.group_bytes_max());
        const std::size_t number = oracle_.groups().size();
        const Result<Address> first = journal.append(group, [this, number](Result<void> done) {
            note("group {}: {}", number, done ? "durable" : done.error().message);
            oracle_.answered(number, done.has_value(), disk_.stopped());
        });
        ASSERT_TRUE(first) << first.error().message;
        EXPECT_EQ(oracle_.appended(group, *first), number);
        note("group {} of {} bytes at {}", number, group.bytes(), first->n);
    }

    void commit(Journal& journal) {
        append(journal);
        journal.flush();
        EXPECT_EQ(journal.stats().pending_bytes, 0u);
    }

    void drop(Journal& journal) {
        if (oracle_.groups().empty()) return;
        const auto& group = oracle_.groups()[rng_.below(oracle_.groups().size())];
        const bool there = group.state == JournalOracle::State::acked &&
                           group.records.front().at >= oracle_.first_kept();
        if (!there) return;
        oracle_.dropped(group.records.front().at, journal.segment_bytes());
        const Result<void> dropped = journal.drop_before(group.records.front().at);
        note("drop before {}: {}", group.records.front().at.n,
             dropped ? "done" : dropped.error().message);
        if (dropped) {
            EXPECT_LE(journal.begin(), group.records.front().at);
        }
    }

    void read(Journal& journal) {
        if (oracle_.groups().empty()) return;
        const auto& group = oracle_.groups()[rng_.below(oracle_.groups().size())];
        const FoundRecord& record = group.records[rng_.below(group.records.size())];
        const bool there =
            group.state == JournalOracle::State::acked && record.at >= oracle_.first_kept();
        const Result<std::string> got = journal.read(record.at);
        if (got) {
            EXPECT_EQ(*got, record.record);
        }
        if (there && !disk_.stopped()) {
            EXPECT_TRUE(got) << got.error().message;
        }
        if (group.state == JournalOracle::State::gone) {
            EXPECT_FALSE(got);
        }
    }

    void trouble() {
        switch (rng_.below(4)) {
            case 0:
                return disk_.fail_nth(1 + rng_.below(10));
            case 1:
                return disk_.set_faults({.write = rng_.below(2) == 0 ? 0.3 : 0.05, .read = 0});
            case 2:
                return disk_.limit(disk_.used_bytes() + rng_.below(2) * options_.segment_bytes / 2);
            default:
                disk_.set_faults({});
                return disk_.limit(0);
        }
    }

    Rng& rng_;
    SimDisk disk_;
    Options options_;
    JournalOracle oracle_;
    std::string history_;
};

TEST(JournalFaults, NothingAcknowledgedIsEverLostNorPartOfAGroupFound) {
    test::for_each_seed(test::fault_runs(500), [](Rng& rng) { History(rng).run(); });
}

/// Commits `text` as one record; the answer.
Result<Address> put(Journal& journal, std::string_view text) {
    Group group;
    group.add(text);
    return journal.commit(group);
}

std::vector<std::string> texts(const Journal& journal) {
    std::vector<std::string> found;
    const auto all = test::scan_all(journal);
    EXPECT_TRUE(all) << all.error().message;
    if (all) {
        for (const FoundRecord& one : *all) found.push_back(one.record);
    }
    return found;
}

std::unique_ptr<Journal> open(SimDisk& disk, const Options& options) {
    auto journal = Journal::open(disk, kDir, options);
    EXPECT_TRUE(journal) << journal.error().message;
    return journal ? *std::move(journal) : nullptr;
}

/// A fixed history that fills segments, drops and reopens; returns what was acknowledged.
std::vector<std::string> scripted(SimDisk& disk, std::vector<std::string>* tried) {
    std::vector<std::string> acked;
    for (int life = 0; life < 2; ++life) {
        auto journal = Journal::open(disk, kDir, simulated(8192));
        if (!journal) return acked;
        for (int i = 0; i < 7; ++i) {
            const std::string text = fmt::format("{}.{} {}", life, i, std::string(2000, 'x'));
            tried->push_back(text);
            const Result<Address> at = put(**journal, text);
            if (at) acked.push_back(text);
            if (i == 5 && at) static_cast<void>((*journal)->drop_before(*at));
        }
    }
    return acked;
}

TEST(JournalFaults, AStopAtEveryChangeOfAScript) {
    std::uint64_t operations = 0;
    {
        SimDisk disk(1);
        std::vector<std::string> tried;
        ASSERT_EQ(scripted(disk, &tried).size(), 14u);
        operations = disk.operations();
    }
    for (std::uint64_t n = 1; n <= operations; ++n) {
        for (const SimDisk::Stop stop : {SimDisk::Stop::power, SimDisk::Stop::process}) {
            SCOPED_TRACE(testing::Message() << "stop at change " << n << " of " << operations);
            SimDisk disk(n);
            disk.stop_after(n);
            std::vector<std::string> tried;
            const std::vector<std::string> acked = scripted(disk, &tried);
            disk.restart(stop);
            const auto journal = open(disk, simulated(8192));
            ASSERT_NE(journal, nullptr);
            // What is found ends with all that was acknowledged, or with one more.
            std::vector<std::string> found = texts(*journal);
            const auto from = std::ranges::find(tried, found.empty() ? "" : found.front());
            ASSERT_TRUE(found.empty() || from != tried.end());
            ASSERT_LE(found.size(), static_cast<std::size_t>(tried.end() - from));
            EXPECT_TRUE(std::equal(found.begin(), found.end(), from));
            if (!acked.empty()) {
                EXPECT_NE(std::ranges::find(found, acked.back()), found.end());
            }
            EXPECT_TRUE(put(*journal, "and on"));
        }
    }
}

TEST(JournalFaults, AFullDiskFailsWhatWaitsAndIsGoneWithTheSpace) {
    SimDisk disk(1);
    const Options options = simulated(16 << 10);
    auto journal = open(disk, options);
    ASSERT_TRUE(put(*journal, "before"));
    disk.limit(disk.used_bytes());
    const std::string large(7000, 'x');
    int refused = 0;
    std::vector<std::string> expected{"before"};
    for (int i = 0; i < 10; ++i) {
        const Result<Address> at = put(*journal, large);
        if (at) {
            expected.push_back(large);
            continue;
        }
        EXPECT_EQ(at.error().code, Code::resource_exhausted);
        ++refused;
    }
    EXPECT_GT(refused, 0);
    EXPECT_EQ(texts(*journal), expected);
    disk.limit(0);
    ASSERT_TRUE(put(*journal, "after"));
    expected.push_back("after");
    EXPECT_EQ(texts(*journal), expected);
    journal.reset();
    disk.restart(SimDisk::Stop::power);
    EXPECT_EQ(texts(*open(disk, options)), expected);
}

TEST(JournalFaults, AFailedSyncIsNotHealedByALaterOne) {
    // Whichever change of the commit fails, and whatever chance keeps.
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        for (std::uint64_t n = 1; n <= 2; ++n) {
            SimDisk disk(seed);
            const Options options = simulated(64 << 10);
            auto journal = open(disk, options);
            ASSERT_TRUE(put(*journal, "one"));
            disk.fail_nth(n);
            Group two, three;
            two.add(std::string(3000, '2'));
            three.add("three");
            std::vector<Code> answers;
            const auto answer = [&](Result<void> done) { answers.push_back(done.error().code); };
            const Address at = *journal->append(two, answer);
            const Address behind = *journal->append(three, answer);
            journal->flush();
            ASSERT_EQ(answers.size(), 2u);
            EXPECT_EQ(answers[0], answers[1]);
            EXPECT_TRUE(answers[0] == Code::unavailable || answers[0] == Code::resource_exhausted);
            const Address four = *put(*journal, "four");
            EXPECT_GT(four, behind);
            EXPECT_FALSE(journal->read(at));
            EXPECT_FALSE(journal->read(behind));
            EXPECT_EQ(texts(*journal), (std::vector<std::string>{"one", "four"}));
            journal.reset();
            disk.restart(SimDisk::Stop::power);
            EXPECT_EQ(texts(*open(disk, options)), (std::vector<std::string>{"one", "four"}));
        }
    }
}

TEST(JournalFaults, WhatAKilledProcessWroteButDidNotSyncIsKeptOnceSeen) {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        SimDisk disk(seed);
        const Options options = simulated(64 << 10);
        auto journal = open(disk, options);
        ASSERT_TRUE(put(*journal, "one"));
        disk.stop_after(2);  // between the write and its end on the platter
        EXPECT_FALSE(put(*journal, std::string(3000, '2')));
        journal.reset();
        disk.restart(SimDisk::Stop::process);
        journal = open(disk, options);
        const std::vector<std::string> seen = texts(*journal);
        EXPECT_EQ(seen.size(), 2u);
        journal.reset();
        disk.restart(SimDisk::Stop::power);
        EXPECT_EQ(texts(*open(disk, options)), seen);
    }
}

}  // namespace
