#include "flow/schedule/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <map>

#include "flow/run/time_text.h"
#include "support/seeds.h"

namespace {

using flow::Cron;
using flow::Schedule;
using flow::ScheduleState;
using flow::Timetable;
using flow::TimeZone;
using std::chrono::milliseconds;

std::int64_t utc(int year, unsigned month, unsigned day, int hour = 0, int minute = 0) {
    using namespace std::chrono;
    return sys_days(std::chrono::year(year) / month / day).time_since_epoch().count() * 86'400ll +
           hour * 3'600 + minute * 60;
}

Schedule every(std::int64_t seconds) {
    Schedule out;
    out.name = "s";
    out.every = milliseconds(seconds * 1000);
    return out;
}

std::vector<std::int64_t> decided(const Schedule& schedule, ScheduleState& state,
                                  std::int64_t now) {
    const Timetable table = *Timetable::of(schedule);
    flow::decide(schedule, table, "x", now, state);
    return state.pending;
}

TEST(TimeZone, AMomentThatTheClockJumpsOverComesWhenItHasJumped) {
    const TimeZone zone = *TimeZone::find("Europe/Berlin");
    const Cron cron = *Cron::parse("30 2 * * *");
    // 29 March 2026: 02:00 becomes 03:00 at 01:00 UTC.
    EXPECT_EQ(zone.next(cron, utc(2026, 3, 28, 1, 30)), utc(2026, 3, 29, 1, 0));
    EXPECT_EQ(zone.next(cron, utc(2026, 3, 29, 1, 0)), utc(2026, 3, 30, 0, 30));
}

TEST(TimeZone, AMomentThatComesTwiceIsTakenOnce) {
    const TimeZone zone = *TimeZone::find("Europe/Berlin");
    const Cron cron = *Cron::parse("30 2 * * *");
    // 25 October 2026: 03:00 becomes 02:00 at 01:00 UTC.
    EXPECT_EQ(zone.next(cron, utc(2026, 10, 24, 0, 30)), utc(2026, 10, 25, 0, 30));
    EXPECT_EQ(zone.next(cron, utc(2026, 10, 25, 0, 30)), utc(2026, 10, 26, 1, 30));
}

TEST(TimeZone, WhatIsNoZoneIsToldAndOffsetsAreZones) {
    EXPECT_EQ(TimeZone::find("Europe/Berlim").error().code, base::Code::not_found);
    EXPECT_EQ(TimeZone::find("../../etc/passwd").error().code, base::Code::invalid_argument);
    EXPECT_EQ(TimeZone::read("TZif").error().code, base::Code::data_loss);
    EXPECT_EQ(TimeZone::find("+05:30")->offset_at(0), 19'800);
    EXPECT_EQ(TimeZone::find("")->offset_at(0), 0);
}

/// The C library reads the same files in its own way.
TEST(TimeZone, AgreesWithTheCLibraryOverACenturyAndMore) {
    const char* before = std::getenv("TZ");
    const std::string kept = before == nullptr ? "" : before;
    for (const char* name :
         {"Europe/Berlin", "America/New_York", "Australia/Sydney", "Asia/Kolkata",
          "America/Santiago", "Pacific/Chatham", "Africa/Cairo", "UTC"}) {
        const TimeZone zone = *TimeZone::find(name);
        ::setenv("TZ", name, 1);
        ::tzset();
        test::for_each_seed(20, [&](base::Rng& rng) {
            for (int i = 0; i < 500; ++i) {
                const auto at = static_cast<std::time_t>(rng.below(utc(2110, 1, 1)));
                std::tm local{};
                ::localtime_r(&at, &local);
                ASSERT_EQ(zone.offset_at(at), local.tm_gmtoff) << name << " at " << at;
            }
        });
    }
    kept.empty() ? ::unsetenv("TZ") : ::setenv("TZ", kept.c_str(), 1);
    ::tzset();
}

TEST(TimeZone, EveryMomentOfALineIsLaterAndReadsAsTheLineSays) {
    const TimeZone zone = *TimeZone::find("America/New_York");
    test::for_each_seed(50, [&](base::Rng& rng) {
        const Cron cron = *Cron::parse(fmt::format("{} {} * * *", rng.below(60), rng.below(24)));
        std::int64_t at = utc(2026, 1, 1) + static_cast<std::int64_t>(rng.below(86'400 * 300));
        for (int i = 0; i < 400; ++i) {
            const auto next = zone.next(cron, at);
            ASSERT_TRUE(next.has_value());
            ASSERT_GT(*next, at);
            ASSERT_LE(*next - at, 2 * 86'400 + 3'600) << "no day is left out";
            at = *next;
        }
    });
}

TEST(SchedulePlan, MomentsOfAnIntervalAreCountedFrom1970) {
    const Timetable table = *Timetable::of(every(300));
    EXPECT_EQ(table.next(1'000), 1'200);
    EXPECT_EQ(table.next(1'200), 1'500);
}

TEST(SchedulePlan, WhatPassedWhileNothingRanIsCaughtUpAsTheFileSays) {
    Schedule schedule = every(100);
    ScheduleState state{.last_s = 1'000, .pending = {}, .paused = false, .last_run = {}};
    schedule.catch_up = Schedule::CatchUp::last;
    EXPECT_EQ(decided(schedule, state, 2'090), std::vector<std::int64_t>{2'000}) << "90 s late";
    state = {.last_s = 1'000, .pending = {}, .paused = false, .last_run = {}};
    schedule.catch_up = Schedule::CatchUp::none;
    EXPECT_TRUE(decided(schedule, state, 2'090).empty());
    EXPECT_EQ(state.last_s, 2'000);
    EXPECT_EQ(decided(schedule, state, 2'110), std::vector<std::int64_t>{2'100}) << "10 s late";
    state = {.last_s = 1'000, .pending = {}, .paused = false, .last_run = {}};
    schedule.catch_up = Schedule::CatchUp::all;
    schedule.catch_up_max = 3;
    EXPECT_EQ(decided(schedule, state, 2'090), (std::vector<std::int64_t>{1'800, 1'900, 2'000}));
    state = {.last_s = 1'000, .pending = {}, .paused = true, .last_run = {}};
    EXPECT_TRUE(decided(schedule, state, 2'090).empty()) << "paused, moments pass";
    EXPECT_EQ(state.last_s, 2'000);
}

TEST(SchedulePlan, OverlapSkipsQueuesOrAllows) {
    Schedule schedule = every(100);
    const auto pending = [] {
        return ScheduleState{
            .last_s = 300, .pending = {100, 200, 300}, .paused = false, .last_run = {}};
    };
    schedule.overlap = Schedule::Overlap::allow;
    ScheduleState state = pending();
    EXPECT_EQ(flow::to_start(schedule, true, state).size(), 3u);
    schedule.overlap = Schedule::Overlap::skip;
    state = pending();
    EXPECT_TRUE(flow::to_start(schedule, true, state).empty());
    EXPECT_TRUE(state.pending.empty());
    schedule.overlap = Schedule::Overlap::queue;
    state = pending();
    EXPECT_TRUE(flow::to_start(schedule, true, state).empty());
    EXPECT_EQ(state.pending.size(), 3u);
    EXPECT_EQ(flow::to_start(schedule, false, state), std::vector<std::int64_t>{100});
    flow::started(100, "run_x", state);
    EXPECT_EQ(state.pending, (std::vector<std::int64_t>{200, 300}));
}

TEST(SchedulePlan, JitterIsTheSameAfterARestartAndWithinItsBound) {
    Schedule schedule = every(3'600);
    schedule.jitter = milliseconds(600'000);
    std::map<std::int64_t, int> seen;
    for (std::int64_t moment = 0; moment < 3'600 * 500; moment += 3'600) {
        const std::int64_t off = flow::jitter_s(schedule, "a", moment);
        EXPECT_EQ(off, flow::jitter_s(schedule, "a", moment));
        ASSERT_GE(off, 0);
        ASSERT_LE(off, 600);
        ++seen[off];
    }
    EXPECT_GT(seen.size(), 200u);
    ScheduleState state{.last_s = 0, .pending = {}, .paused = false, .last_run = {}};
    const std::int64_t off = flow::jitter_s(schedule, "x", 3'600);
    EXPECT_TRUE(decided(schedule, state, 3'600 + off - 1).empty());
    EXPECT_EQ(decided(schedule, state, 3'600 + off), std::vector<std::int64_t>{3'600});
}

/// Clocks that jump both ways, processes that die between any two steps, two of them on one store:
/// each moment has one run, and with a steady clock and `all` each moment has one.
TEST(SchedulePlan, EachMomentHasOneRunWhateverDies) {
    test::for_each_seed(300, [](base::Rng& rng) {
        Schedule schedule = every(10);
        schedule.jitter = milliseconds(1000 * static_cast<std::int64_t>(rng.below(15)));
        schedule.catch_up = Schedule::CatchUp::all;
        schedule.catch_up_max = 10'000;
        schedule.overlap = rng.below(2) == 0 ? Schedule::Overlap::allow : Schedule::Overlap::queue;
        const bool jumps = rng.below(2) == 0;
        const Timetable table = *Timetable::of(schedule);
        std::int64_t now = 1'000'000;
        ScheduleState stored{.last_s = now, .pending = {}, .paused = false, .last_run = {}};
        std::map<std::string, int> runs;  // by key: the engine starts one run for each
        std::map<std::int64_t, int> moments;
        std::int64_t begin = now;
        for (int step = 0; step < 200; ++step) {
            if (jumps && rng.below(10) == 0) {
                now += static_cast<std::int64_t>(rng.below(2'000)) - 1'000;
                begin = std::min(begin, now);
            } else {
                now += static_cast<std::int64_t>(rng.below(60));
            }
            ScheduleState own = stored;  // of this process, which may die anywhere from here on
            flow::decide(schedule, table, "x", now, own);
            const auto starting = flow::to_start(schedule, rng.below(3) == 0, own);
            if (rng.below(5) == 0) continue;  // before the store took it
            stored = own;
            for (const std::int64_t moment : starting) {
                if (rng.below(5) == 0) break;  // killed between due and start
                if (++runs[flow::moment_key("w", "s", moment)] == 1) ++moments[moment];
                if (rng.below(5) == 0) break;  // killed between the start and its note
                flow::started(moment, "run", stored);
            }
        }
        for (int last = 0; last < 20'000 && (last == 0 || !stored.pending.empty()); ++last) {
            flow::decide(schedule, table, "x", now, stored);
            for (const std::int64_t moment : flow::to_start(schedule, false, stored)) {
                if (++runs[flow::moment_key("w", "s", moment)] == 1) ++moments[moment];
                flow::started(moment, "run", stored);
            }
        }
        ASSERT_TRUE(stored.pending.empty());
        for (const auto& [moment, count] : moments) ASSERT_EQ(count, 1) << moment;
        if (jumps) return;
        std::int64_t expected = 0;
        for (auto at = table.next(begin); at && *at + flow::jitter_s(schedule, "x", *at) <= now;
             at = table.next(*at)) {
            ASSERT_TRUE(moments.contains(*at)) << "a moment was lost";
            ++expected;
        }
        ASSERT_EQ(moments.size(), static_cast<std::size_t>(expected));
    });
}

}  // namespace
