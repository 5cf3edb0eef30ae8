#include "flow/schedule/scheduler.h"

#include <gtest/gtest.h>

#include <set>

#include "base/files/files.h"
#include "base/files/linux_disk.h"
#include "base/journal/journal.h"
#include "flow/log/journal_run_log.h"
#include "support/manual_clock.h"

namespace {

namespace json = base::json;
using std::chrono::seconds;

/// Calls never end: runs stay open until they are cancelled.
class Held final : public flow::StepRunner {
public:
    void run(flow::Call, Done) override {}
    void cancel(flow::RunId, std::string_view) override {}
};

class Schedules : public testing::Test {
protected:
    Schedules() : dir_(*base::TemporaryDir::create("/tmp", "dougong-schedule-")) { boot(); }
    ~Schedules() override { halt(); }
    void boot() {
        journal_ = *base::journal::Journal::open(
            disk_, dir_.path() + "/journal",
            {.segment_bytes = 1u << 20, .record_bytes_max = 256u << 10});
        log_ = *flow::JournalRunLog::open(*journal_, dir_.path() + "/runs.db");
        definitions_ = *flow::DefinitionStore::open(dir_.path() + "/workflows.db", clock_);
        runtime_ = *flow::Runtime::open(*log_, *definitions_, held_, clock_, {});
        scheduler_ = *flow::Scheduler::open(dir_.path() + "/schedules.db", *definitions_, *runtime_,
                                            *log_, clock_, false);
    }
    void halt() {
        scheduler_.reset();
        runtime_.reset();
        definitions_.reset();
        log_.reset();
        journal_.reset();
    }
    void deploy(std::string_view schedule, std::string_view name = "w") {
        const std::string text =
            fmt::format("name: {}\nschedules: [{}]\nsteps: [{{id: s, call: {{function: f}}}}]\n",
                        name, schedule);
        const auto deployed = definitions_->deploy("t", text, "w.yaml");
        ASSERT_TRUE(deployed.has_value()) << deployed.error().message;
        ASSERT_TRUE(scheduler_->look().has_value());
    }
    void pass(seconds time) {
        clock_.advance(time);
        ASSERT_TRUE(scheduler_->look().has_value());
    }
    /// Keys of all runs there are.
    std::multiset<std::string> keys() {
        std::multiset<std::string> out;
        flow::RunFilter filter;
        filter.tenant = "t";
        filter.limit = 1'000;
        const auto heads = log_->list(filter);
        for (const auto& head : *heads) out.insert(head.idempotency_key);
        return out;
    }

    test::ManualClock clock_;
    base::LinuxDisk disk_;
    base::TemporaryDir dir_;
    Held held_;
    std::unique_ptr<base::journal::Journal> journal_;
    std::unique_ptr<flow::JournalRunLog> log_;
    std::unique_ptr<flow::DefinitionStore> definitions_;
    std::unique_ptr<flow::Runtime> runtime_;
    std::unique_ptr<flow::Scheduler> scheduler_;
};

TEST_F(Schedules, ARunForEachMomentAlsoOverRestarts) {
    deploy("{every: 10s, overlap: allow, input: {n: 1}}");
    EXPECT_TRUE(keys().empty()) << "nothing is owed from before the deployment";
    for (int i = 0; i < 3; ++i) pass(seconds(10));
    EXPECT_EQ(keys().size(), 3u);
    halt();
    boot();
    ASSERT_TRUE(scheduler_->look().has_value());
    EXPECT_EQ(keys().size(), 3u) << "a restart starts nothing twice";
    pass(seconds(10));
    const auto all = keys();
    EXPECT_EQ(all.size(), 4u);
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 4u);
}

TEST_F(Schedules, ASkippedMomentIsSkippedWhileTheLastRunIsOpen) {
    deploy("{name: night, every: 10s}");
    for (int i = 0; i < 3; ++i) pass(seconds(10));
    EXPECT_EQ(keys().size(), 1u);
    const auto view = scheduler_->list("t")->at(0);
    ASSERT_TRUE(runtime_->cancel(*flow::run_id_from(view.state.last_run), "").has_value());
    pass(seconds(10));
    EXPECT_EQ(keys().size(), 2u);
}

TEST_F(Schedules, QueuedMomentsComeOneAfterAnotherAlsoAfterARestart) {
    deploy("{every: 10s, overlap: queue}");
    for (int i = 0; i < 3; ++i) pass(seconds(10));
    EXPECT_EQ(keys().size(), 1u);
    EXPECT_EQ(scheduler_->list("t")->at(0).state.pending.size(), 2u);
    halt();
    boot();
    for (std::size_t runs = 1; runs <= 3; ++runs) {
        EXPECT_EQ(keys().size(), runs);
        const auto view = scheduler_->list("t")->at(0);
        ASSERT_TRUE(runtime_->cancel(*flow::run_id_from(view.state.last_run), "").has_value());
        ASSERT_TRUE(scheduler_->look().has_value());
    }
}

TEST_F(Schedules, PausedResumedTriggeredAndForgotten) {
    deploy("{every: 10s, overlap: allow}");
    ASSERT_TRUE(scheduler_->set_paused("t", "w", "", true).has_value());
    pass(seconds(100));
    EXPECT_TRUE(keys().empty());
    EXPECT_FALSE(scheduler_->list("t")->at(0).next_s.has_value());
    ASSERT_TRUE(scheduler_->trigger("t", "w", "1").has_value())
        << "by hand also while it is paused";
    EXPECT_EQ(keys().size(), 1u);
    ASSERT_TRUE(scheduler_->set_paused("t", "w", "1", false).has_value());
    ASSERT_TRUE(scheduler_->look().has_value());
    EXPECT_EQ(keys().size(), 1u) << "what passed while it was paused is not caught up";
    pass(seconds(10));
    EXPECT_EQ(keys().size(), 2u);
    EXPECT_EQ(scheduler_->set_paused("t", "w", "night", true).error().code, base::Code::not_found);
    EXPECT_EQ(scheduler_->trigger("other", "w", "").error().code, base::Code::not_found);
    ASSERT_TRUE(definitions_->remove("t", "w").has_value());
    pass(seconds(100));
    EXPECT_EQ(keys().size(), 2u);
    EXPECT_TRUE(scheduler_->list("t")->empty());
    deploy("{every: 10s, overlap: allow}");
    EXPECT_EQ(keys().size(), 2u) << "deployed anew it owes nothing";
}

TEST_F(Schedules, AClockThatGoesBackDoublesNothing) {
    deploy("{every: 10s, overlap: allow}");
    pass(seconds(30));
    const std::size_t before = keys().size();
    pass(-seconds(25));
    pass(seconds(25));
    const auto all = keys();
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), all.size());
    EXPECT_GE(keys().size(), before);
}

}  // namespace
