#include "sphere/audit/verify.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "sphere/audit/audit_log.h"
#include "sphere/audit/segments.h"
#include "support/manual_clock.h"
#include "support/seeds.h"
#include "support/temp_dir.h"

namespace sphere::audit {
namespace {

using Kind = Fault::Kind;

/// A log of a few segments; each line is about 300 bytes.
class VerifyTest : public testing::Test {
protected:
    VerifyTest() {
        const test::ManualClock clock;
        auto log = AuditLog::open({.dir = audit_, .segment_bytes_max = 1500}, clock);
        for (int i = 0; i < 20; ++i) {
            AuditEvent event;
            event.event = "exec";
            event.what = "command " + std::to_string(i);
            EXPECT_TRUE((*log)->record(event));
        }
        log->reset();
        const auto segments = list_segments(audit_);
        for (const Segment& segment : *segments) {
            paths_.push_back(segment.path);
            texts_.push_back(test::read_text(segment.path));
        }
        head_ = test::read_text(audit_ + "/head");
    }
    void restore() {
        for (std::size_t i = 0; i < paths_.size(); ++i) test::write_text(paths_[i], texts_[i]);
        test::write_text(audit_ + "/head", head_);
    }
    VerifyReport check() {
        auto report = verify(audit_);
        EXPECT_TRUE(report.has_value()) << report.error().message;
        return report ? *report : VerifyReport{};
    }
    static std::vector<std::string> split(const std::string& text) {
        std::vector<std::string> lines;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = text.find('\n', at) + 1;
            lines.push_back(text.substr(at, end - at));
            at = end;
        }
        return lines;
    }
    static std::string join(const std::vector<std::string>& lines) {
        std::string text;
        for (const auto& line : lines) text += line;
        return text;
    }

    test::TempDir dir_;
    std::string audit_ = dir_.file("audit"), head_;
    std::vector<std::string> paths_, texts_;
};

TEST_F(VerifyTest, AWholeLogHasNoFaults) {
    const VerifyReport report = check();
    EXPECT_TRUE(report.ok());
    EXPECT_EQ(report.lines, 20u);
    EXPECT_GE(report.segments, 3u);
    EXPECT_EQ(report.head.seq, 20u);
    EXPECT_TRUE(verify(audit_, report.head)->ok());
}

TEST_F(VerifyTest, NamesFileAndLineOfARemovedLine) {
    auto lines = split(texts_[1]);
    lines.erase(lines.begin() + 2);
    test::write_text(paths_[1], join(lines));
    const VerifyReport report = check();
    ASSERT_EQ(report.faults.size(), 1u);
    EXPECT_EQ(report.faults[0].kind, Kind::missing);
    EXPECT_EQ(report.faults[0].file, paths_[1]);
    EXPECT_EQ(report.faults[0].line, 3u);
}

TEST_F(VerifyTest, NamesFileAndLineOfAnAlteredLine) {
    auto lines = split(texts_[0]);
    lines[1].replace(lines[1].find("command"), 7, "COMMAND");
    test::write_text(paths_[0], join(lines));
    const VerifyReport report = check();
    ASSERT_EQ(report.faults.size(), 1u);
    EXPECT_EQ(report.faults[0].kind, Kind::altered);
    EXPECT_EQ(report.faults[0].file, paths_[0]);
    EXPECT_EQ(report.faults[0].line, 2u);
}

TEST_F(VerifyTest, ALineWithANewHashOfItsOwnBreaksTheNext) {
    auto lines = split(texts_[0]);
    ChainHead before{
        1, std::string(open_line(std::string_view(lines[0]).substr(0, lines[0].size() - 1))->hash)};
    lines[1] = seal_line(before, 1, "\"event\":\"forged\"") + "\n";
    test::write_text(paths_[0], join(lines));
    const VerifyReport report = check();
    ASSERT_EQ(report.faults.size(), 1u);
    EXPECT_EQ(report.faults[0].kind, Kind::forked);
    EXPECT_EQ(report.faults[0].line, 3u);
}

TEST_F(VerifyTest, AChainMadeAnewIsToldByAHeadKeptElsewhere) {
    const ChainHead kept = check().head;
    std::filesystem::remove_all(audit_);
    const test::ManualClock clock;
    {
        auto log = AuditLog::open({.dir = audit_}, clock);
        for (int i = 0; i < 30; ++i) EXPECT_TRUE((*log)->record({}));
    }
    EXPECT_TRUE(verify(audit_)->ok());
    const auto report = verify(audit_, kept);
    ASSERT_EQ(report->faults.size(), 1u);
    EXPECT_EQ(report->faults[0].kind, Kind::forked);
    EXPECT_EQ(report->faults[0].line, kept.seq);
}

TEST_F(VerifyTest, AMissingSegmentIsNamed) {
    std::filesystem::remove(paths_[1]);
    EXPECT_EQ(check().faults.at(0).kind, Kind::missing);
    restore();
    std::filesystem::remove(paths_[0]);
    EXPECT_EQ(check().faults.at(0).kind, Kind::missing);
    restore();
    std::filesystem::remove(paths_.back());
    EXPECT_EQ(check().faults.at(0).kind, Kind::cut_off);
    restore();
    std::filesystem::remove(audit_ + "/head");
    EXPECT_EQ(check().faults.at(0).kind, Kind::head_damaged);
}

TEST_F(VerifyTest, AFolderWithoutALogIsNotFound) {
    const auto report = verify(dir_.path());
    ASSERT_FALSE(report.has_value());
    EXPECT_EQ(report.error().code, base::Code::not_found);
}

TEST_F(VerifyTest, AnySingleChangeIsDetected) {
    test::for_each_seed(600, [&](base::Rng& rng) {
        restore();
        const std::size_t file = rng.below(paths_.size());
        std::string text = texts_[file];
        auto lines = split(text);
        std::string what;
        switch (rng.below(6)) {
            case 0: {  // one bit
                what = "flip";
                const std::size_t at = rng.below(text.size());
                text[at] = static_cast<char>(text[at] ^ (1 << rng.below(8)));
                break;
            }
            case 1:
                what = "remove a line";
                lines.erase(lines.begin() + static_cast<long>(rng.below(lines.size())));
                text = join(lines);
                break;
            case 2: {
                what = "swap two lines";
                if (lines.size() < 2) return;
                const std::size_t a = rng.below(lines.size() - 1);
                std::swap(lines[a], lines[a + 1 + rng.below(lines.size() - 1 - a)]);
                text = join(lines);
                break;
            }
            case 3: {
                what = "repeat a line";
                const std::string copy = lines[rng.below(lines.size())];
                lines.insert(lines.begin() + static_cast<long>(rng.below(lines.size() + 1)), copy);
                text = join(lines);
                break;
            }
            case 4:
                what = "cut the end of a file";
                text.resize(rng.below(text.size()));
                break;
            case 5:
                what = "remove bytes in the middle";
                text.erase(rng.below(text.size()), 1 + rng.below(300));
                break;
        }
        test::write_text(paths_[file], text);
        EXPECT_FALSE(check().ok()) << what << " in " << paths_[file];
    });
}

TEST_F(VerifyTest, AChangedHeadIsDetected) {
    for (std::size_t at = 0; at < head_.size(); ++at) {
        restore();
        std::string head = head_;
        head[at] = static_cast<char>(head[at] ^ 4);
        test::write_text(audit_ + "/head", head);
        EXPECT_FALSE(check().ok()) << "byte " << at;
    }
}

TEST_F(VerifyTest, RandomBytesNeverCrashIt) {
    test::for_each_seed(300, [&](base::Rng& rng) {
        std::string text;
        for (std::size_t i = rng.below(2000); i > 0; --i) {
            text += rng.below(20) == 0 ? '\n' : static_cast<char>(rng.below(256));
        }
        test::write_text(paths_[rng.below(paths_.size())], text);
        EXPECT_FALSE(check().ok());
    });
}

}  // namespace
}  // namespace sphere::audit
