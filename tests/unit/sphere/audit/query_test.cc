#include "sphere/audit/query.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/json/json.h"
#include "sphere/audit/audit_log.h"
#include "sphere/audit/segments.h"
#include "support/manual_clock.h"
#include "support/seeds.h"
#include "support/temp_dir.h"

namespace sphere::audit {
namespace {

class Recent : public testing::Test {
protected:
    void write(int count, std::uint64_t segment_bytes) {
        auto log = AuditLog::open({.dir = dir(), .segment_bytes_max = segment_bytes}, clock_);
        ASSERT_TRUE(log);
        for (int i = 1; i <= count; ++i) {
            AuditEvent event;
            event.event = i % 3 == 0 ? "exec.end" : "exec.start";
            event.tenant = i % 2 == 0 ? "even" : "odd";
            event.what = std::string(static_cast<std::size_t>(i % 7) * 100, 'x');
            ASSERT_TRUE((*log)->record(event));
        }
    }
    static std::uint64_t seq_of(const std::string& line) {
        return base::parse_json(line)->at("seq").to_number<std::uint64_t>();
    }
    std::string dir() const { return dir_.file("audit"); }
    test::TempDir dir_;
    test::ManualClock clock_;
};

TEST_F(Recent, GivesTheNewestFirstAndGoesOnWhereItEnded) {
    write(100, 4000);
    ASSERT_GT(list_segments(dir())->size(), 3u);
    RecentQuery query;
    query.lines_max = 7;
    std::uint64_t expected = 100;
    for (bool more = true; more;) {
        const auto found = recent_events(dir(), query);
        ASSERT_TRUE(found) << found.error().message;
        for (const std::string& line : found->lines) EXPECT_EQ(seq_of(line), expected--);
        more = found->more;
        query.before_seq = found->oldest_seq;
    }
    EXPECT_EQ(expected, 0u);
}

TEST_F(Recent, AgreesWithFindEventsForEveryFilter) {
    write(200, 3000);
    test::for_each_seed(30, [&](base::Rng& rng) {
        RecentQuery query;
        const char* const tenants[] = {"", "even", "odd", "none"};
        const char* const kinds[] = {"", "exec", "exec.end", "exe"};
        query.filter.tenant = tenants[rng.below(4)];
        query.filter.event = kinds[rng.below(4)];
        query.filter.after_seq = rng.below(220);
        query.lines_max = 1000;
        std::vector<std::string> oldest_first;
        ASSERT_TRUE(find_events(dir(), query.filter, [&](std::string_view line) {
            oldest_first.emplace_back(line);
            return true;
        }));
        const auto found = recent_events(dir(), query);
        ASSERT_TRUE(found);
        EXPECT_TRUE(std::equal(found->lines.rbegin(), found->lines.rend(), oldest_first.begin(),
                               oldest_first.end()));
    });
}

TEST_F(Recent, StopsLookingAtItsBoundAndPassesOverAnUnfinishedEnd) {
    write(100, 1 << 20);
    const std::string path = segment_path(dir(), 1);
    test::write_text(path, test::read_text(path) + R"({"seq":101,"unfin)");
    RecentQuery query;
    query.filter.tenant = "none";
    query.bytes_max = 2000;
    const auto found = recent_events(dir(), query);
    ASSERT_TRUE(found);
    EXPECT_TRUE(found->lines.empty());
    EXPECT_TRUE(found->more) << "it looked at a part only, and says so";
    EXPECT_GT(found->oldest_seq, 80u);
    EXPECT_FALSE(recent_events(dir_.file("missing"), {}));
}

}  // namespace
}  // namespace sphere::audit
