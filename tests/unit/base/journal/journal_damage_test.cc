// Bytes that changed behind the journal's back: an exact prefix of what was written, or data_loss
// with its place, and nothing else.
#include <gtest/gtest.h>

#include <algorithm>

#include "base/journal/format.h"
#include "base/journal/journal.h"
#include "base/journal/segment_files.h"
#include "base/sim/sim_disk.h"
#include "support/fault_runs.h"
#include "support/seeds.h"
#include "unit/base/journal/journal_oracle.h"

namespace {

using base::Code;
using base::Result;
using base::Rng;
using base::journal::Options;
using base::journal::segment_name;
using base::sim::SimDisk;
using test::Address;
using test::FoundRecord;
using test::Group;
using test::Journal;

constexpr const char* kDir = "log";

class Damage : public testing::Test {
protected:
    Damage() {
        options_.segment_bytes = 16 << 10;
        options_.threaded = false;
        options_.id = 7;
    }

    /// Groups of one record until `segments` have some.
    void fill(std::uint64_t segments, std::size_t bytes = 1500) {
        auto journal = *Journal::open(disk_, kDir, options_);
        for (int i = 0; journal->stats().segments < segments; ++i) {
            Group group;
            group.add(fmt::format("{} {}", i, std::string(bytes, 'x')));
            ASSERT_TRUE(journal->commit(group));
        }
        written_ = *test::scan_all(*journal);
    }
    std::string path(std::uint64_t index) { return std::string(kDir) + "/" + segment_name(index); }
    std::string bytes(std::uint64_t index) { return disk_.content(path(index)); }
    void set(std::uint64_t index, const std::string& bytes) {
        disk_.set_content(path(index), bytes);
    }
    /// Of the last record written in segment `index`.
    FoundRecord last_in(std::uint64_t index) {
        FoundRecord last;
        for (const FoundRecord& one : written_) {
            if (one.at.n / options_.segment_bytes == index) last = one;
        }
        return last;
    }
    /// How many records open and scan find; they must be the first ones written.
    std::size_t prefix() {
        const auto journal = Journal::open(disk_, kDir, options_);
        EXPECT_TRUE(journal) << journal.error().message;
        if (!journal) return 0;
        const auto found = test::scan_all(**journal);
        EXPECT_TRUE(found) << found.error().message;
        if (!found) return 0;
        EXPECT_LE(found->size(), written_.size());
        EXPECT_TRUE(std::equal(found->begin(), found->end(), written_.begin()));
        return found->size();
    }
    void expect_data_loss(std::uint64_t index) {
        const std::string before = bytes(index);
        options_.check_all = true;
        const auto journal = Journal::open(disk_, kDir, options_);
        ASSERT_FALSE(journal);
        EXPECT_EQ(journal.error().code, Code::data_loss) << journal.error().message;
        EXPECT_EQ(journal.error().subject, path(index));
        EXPECT_EQ(bytes(index), before);
    }

    SimDisk disk_{1};
    Options options_;
    std::vector<FoundRecord> written_;
};

TEST_F(Damage, ATornLastWriteIsForgottenAndTheJournalGoesOn) {
    fill(2);
    const std::string whole = bytes(1);
    const FoundRecord last = last_in(1);
    const std::size_t begin = last.at.n % options_.segment_bytes - base::journal::kFrameHeaderBytes;
    const std::size_t end = begin + base::journal::kFrameHeaderBytes + 8 + last.record.size();
    for (std::size_t keep = begin + 1; keep < end; keep += 37) {
        for (const char fill_with : {'\0', '\x5a'}) {
            std::string torn = whole.substr(0, keep);
            torn.resize(fill_with == '\0' ? whole.size() : end, fill_with);
            torn.resize(whole.size(), '\0');
            set(1, torn);
            ASSERT_EQ(prefix(), written_.size() - 1) << keep;
            ASSERT_EQ(prefix(), written_.size() - 1) << "opened again";
        }
        set(1, whole.substr(0, keep));  // cut short
        ASSERT_EQ(prefix(), written_.size() - 1) << keep;
    }
    auto journal = *Journal::open(disk_, kDir, options_);
    Group group;
    group.add("after");
    const Address after = *journal->commit(group);
    EXPECT_GT(after, last.at);
    journal.reset();
    written_.back() = FoundRecord{after, "after"};
    EXPECT_EQ(prefix(), written_.size());
}

TEST_F(Damage, GarbageBehindTheEndIsNotOverwritten) {
    fill(1, 100);
    std::string changed = bytes(0);
    changed.replace(changed.size() - 100, 4, "junk");
    set(0, changed);
    auto journal = *Journal::open(disk_, kDir, options_);
    Group group;
    group.add("after");
    const Address after = *journal->commit(group);
    EXPECT_EQ(after.n / options_.segment_bytes, 1u);
    journal.reset();
    written_.push_back(FoundRecord{after, "after"});
    EXPECT_EQ(prefix(), written_.size());
    EXPECT_EQ(bytes(0), changed);
}

TEST_F(Damage, BeforeALaterWriteItIsDataLoss) {
    fill(3);
    for (const std::uint64_t index : {0u, 1u}) {
        const std::string whole = bytes(index);
        for (const std::size_t at : {std::size_t{0}, std::size_t{20}, std::size_t{70},
                                     std::size_t{130}, std::size_t{5000}}) {
            std::string changed = whole;
            changed[at] = static_cast<char>(changed[at] ^ 4);
            set(index, changed);
            expect_data_loss(index);
        }
        set(index, whole);
    }
    options_.check_all = false;
    EXPECT_EQ(prefix(), written_.size());
}

TEST_F(Damage, ZerosAmidTheLastSegmentAreDataLoss) {
    fill(1);
    auto journal = *Journal::open(disk_, kDir, options_);
    Group group;
    group.add("the last");
    ASSERT_TRUE(journal->commit(group));
    group.clear();
    group.add("now");
    ASSERT_TRUE(journal->commit(group));
    journal.reset();
    std::string changed = bytes(0);
    std::fill_n(changed.begin() + 60, 4, '\0');  // of the header
    set(0, changed);
    expect_data_loss(0);
    changed = bytes(0);
    std::fill_n(changed.begin(), 1600, '\0');  // the header and the first frame
    set(0, changed);
    expect_data_loss(0);
}

TEST_F(Damage, AMissingSegmentIsDataLoss) {
    fill(4);
    const std::string whole = bytes(1);
    ASSERT_TRUE(disk_.remove(path(1)));
    const auto journal = Journal::open(disk_, kDir, options_);
    ASSERT_FALSE(journal);
    EXPECT_EQ(journal.error().code, Code::data_loss);
    EXPECT_EQ(journal.error().subject, path(1));
}

TEST_F(Damage, ASegmentUnderAnotherNameOrOfAnotherJournalIsDataLoss) {
    fill(2);
    const std::string first = bytes(0), second = bytes(1);
    set(1, first);
    expect_data_loss(1);
    set(1, second);
    std::string other = second;
    base::journal::put_header(base::journal::SegmentHeader{8, 1, options_.segment_bytes, 0, 1},
                              other.data());
    set(1, other);
    EXPECT_EQ(Journal::open(disk_, kDir, options_).error().code, Code::data_loss);
}

TEST_F(Damage, ACopyOfTheJournalInItsOwnRecordsIsNoFrame) {
    fill(1);
    const std::string copy = bytes(0);
    {
        auto journal = *Journal::open(disk_, kDir, options_);
        Group group;
        group.add(std::string_view(copy).substr(0, 9000));
        ASSERT_TRUE(journal->commit(group));
    }
    const std::size_t written = written_.size();
    std::string torn = bytes(0);
    torn[8500] = static_cast<char>(torn[8500] ^ 1);
    set(0, torn);
    EXPECT_EQ(prefix(), written);
}

TEST_F(Damage, AnyChangedBytesGiveAPrefixOrDataLoss) {
    std::uint64_t losses = 0, prefixes = 0;
    test::for_each_seed(test::fault_runs(400), [&](Rng& rng) {
        disk_.restart(SimDisk::Stop::process);
        options_.check_all = rng.below(2) == 0;
        options_.segment_bytes = 8 << 10;
        const std::vector<std::string> old = *disk_.list(kDir);
        for (const std::string& name : old) {
            ASSERT_TRUE(disk_.remove(std::string(kDir) + "/" + name));
        }
        fill(1 + rng.below(4), 1 + rng.below(2000));
        std::vector<std::string> names = *disk_.list(kDir);
        for (std::uint64_t changes = 1 + rng.below(3); changes > 0; --changes) {
            const std::string file = std::string(kDir) + "/" + names[rng.below(names.size())];
            std::string content = disk_.content(file);
            if (content.empty()) continue;
            const std::size_t at = rng.below(content.size());
            const std::size_t length =
                std::min<std::size_t>(content.size() - at, 1 + rng.below(rng.below(2) * 3000 + 1));
            switch (rng.below(4)) {
                case 0:
                    content[at] = static_cast<char>(content[at] ^ (1 << rng.below(8)));
                    break;
                case 1:
                    std::fill_n(content.begin() + static_cast<std::ptrdiff_t>(at), length, '\0');
                    break;
                case 2:
                    for (std::size_t i = 0; i < length; ++i) {
                        content[at + i] = static_cast<char>(rng.next());
                    }
                    break;
                default:
                    content.resize(at);
            }
            disk_.set_content(file, content);
        }
        const auto journal = Journal::open(disk_, kDir, options_);
        if (!journal) {
            EXPECT_EQ(journal.error().code, Code::data_loss) << journal.error().message;
            ++losses;
            return;
        }
        std::vector<FoundRecord> found;
        const Result<void> scanned =
            (*journal)->scan({}, [&](Address at, std::string_view record) -> Result<bool> {
                found.push_back(FoundRecord{at, std::string(record)});
                return true;
            });
        ASSERT_LE(found.size(), written_.size());
        EXPECT_TRUE(std::equal(found.begin(), found.end(), written_.begin()));
        for (const FoundRecord& one : written_) {
            const Result<std::string> read = (*journal)->read(one.at);
            if (read) {
                EXPECT_EQ(*read, one.record);
            }
        }
        if (!scanned) {
            EXPECT_EQ(scanned.error().code, Code::data_loss) << scanned.error().message;
            EXPECT_FALSE(options_.check_all) << "open should have said it";
            ++losses;
            return;
        }
        ++prefixes;
        Group group;
        group.add("and on");
        const Result<Address> at = (*journal)->commit(group);
        ASSERT_TRUE(at);
        found.push_back(FoundRecord{*at, "and on"});
        EXPECT_EQ(*test::scan_all(**journal), found);
    });
    EXPECT_GT(losses, 0u);
    EXPECT_GT(prefixes, 0u);
}

}  // namespace
