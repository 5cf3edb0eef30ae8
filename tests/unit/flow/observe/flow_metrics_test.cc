#include "flow/observe/flow_metrics.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "unit/flow/observe/runtime_fixture.h"

namespace {

using namespace flow_test;

class FlowMetricsTest : public RuntimeTest {
protected:
    FlowMetricsTest() {
        metrics_.emplace(registry_, *runtime_, [this] { return journal_->stats(); });
    }
    ~FlowMetricsTest() override { metrics_.reset(); }

    std::string line(std::string_view beginning) {
        const std::string all = "\n" + registry_.exposition();
        const std::size_t at = all.find(fmt::format("\n{}", beginning));
        if (at == std::string::npos) return "none: " + all;
        return all.substr(at + 1, all.find('\n', at + 1) - at - 1);
    }

    base::metrics::Registry registry_;
    std::optional<flow::FlowMetrics> metrics_;
};

TEST_F(FlowMetricsTest, CountRunsStepsAndWhatWaits) {
    deploy("name: good\nsteps: [{id: a, call: {function: echo}}, {id: b, set: {x: 1}}]");
    deploy(
        "name: bad\nsteps: [{id: a, http: {url: \"http://nowhere/\"}, retry: {attempts: 2, "
        "backoff: 1ms}}]");
    deploy("name: waits\nsteps: [{id: p, human: {ask: approve, prompt: x}}]");
    end_of(start("good"));
    end_of(start("good"));
    const flow::RunId bad = start("bad");
    for (int i = 0; i < 2; ++i) {
        calls_.next().done(base::fail(base::Code::unavailable, "busy"));
    }
    end_of(bad);
    const flow::RunId waits = start("waits");
    EXPECT_EQ(line("dougong_flow_runs_total{workflow=\"good\",what=\"started\"}"),
              "dougong_flow_runs_total{workflow=\"good\",what=\"started\"} 2");
    EXPECT_EQ(line("dougong_flow_runs_total{workflow=\"good\",what=\"completed\"}"),
              "dougong_flow_runs_total{workflow=\"good\",what=\"completed\"} 2");
    EXPECT_EQ(line("dougong_flow_runs_total{workflow=\"bad\",what=\"failed\"}"),
              "dougong_flow_runs_total{workflow=\"bad\",what=\"failed\"} 1");
    EXPECT_EQ(line("dougong_flow_step_seconds_count{kind=\"call\",outcome=\"done\"}"),
              "dougong_flow_step_seconds_count{kind=\"call\",outcome=\"done\"} 2");
    EXPECT_EQ(line("dougong_flow_step_seconds_count{kind=\"http\",outcome=\"retried\"}"),
              "dougong_flow_step_seconds_count{kind=\"http\",outcome=\"retried\"} 1");
    EXPECT_EQ(line("dougong_flow_step_seconds_count{kind=\"http\",outcome=\"failed\"}"),
              "dougong_flow_step_seconds_count{kind=\"http\",outcome=\"failed\"} 1");
    EXPECT_EQ(line("dougong_flow_retries_total"), "dougong_flow_retries_total 1");
    EXPECT_EQ(line("dougong_flow_tokens_total"), "dougong_flow_tokens_total 6");
    EXPECT_EQ(line("dougong_flow_runs_open"), "dougong_flow_runs_open 1");
    EXPECT_EQ(line("dougong_flow_waiting{for=\"people\"}"),
              "dougong_flow_waiting{for=\"people\"} 1");
    EXPECT_EQ(line("dougong_flow_timer_late_seconds_count"),
              "dougong_flow_timer_late_seconds_count 1");
    EXPECT_NE(line("dougong_flow_journal_commits_total"), "dougong_flow_journal_commits_total 0");
    ASSERT_TRUE(runtime_->cancel(waits, "enough").has_value());
    EXPECT_EQ(line("dougong_flow_waiting{for=\"people\"}"),
              "dougong_flow_waiting{for=\"people\"} 0");
    EXPECT_EQ(line("dougong_flow_runs_total{workflow=\"waits\",what=\"cancelled\"}"),
              "dougong_flow_runs_total{workflow=\"waits\",what=\"cancelled\"} 1");
}

TEST_F(FlowMetricsTest, HaveNoMoreLabelsThanAHundredWorkflows) {
    for (int i = 0; i < 103; ++i) {
        deploy(fmt::format("name: w{}\nsteps: [{{id: a, set: {{x: 1}}}}]", i));
        end_of(start(fmt::format("w{}", i)));
    }
    EXPECT_EQ(line("dougong_flow_runs_total{workflow=\"w99\",what=\"completed\"}"),
              "dougong_flow_runs_total{workflow=\"w99\",what=\"completed\"} 1");
    EXPECT_EQ(line("dougong_flow_runs_total{workflow=\"other\",what=\"completed\"}"),
              "dougong_flow_runs_total{workflow=\"other\",what=\"completed\"} 3");
}

TEST_F(FlowMetricsTest, AScrapeAfterTheEndFindsTheCountersAlone) {
    metrics_.reset();
    halt();
    EXPECT_EQ(registry_.exposition().find("dougong_flow_runs_open"), std::string::npos);
}

TEST(Begun, ForgetsTheOldestWhereItIsFull) {
    flow::Begun begun;
    for (std::uint64_t i = 1; i <= 200'000; ++i) {
        begun.begin({i, i * 77}, "step", static_cast<std::int64_t>(i));
    }
    EXPECT_EQ(begun.take({200'000, 200'000ull * 77}, "step"), 200'000);
    EXPECT_EQ(begun.take({200'000, 200'000ull * 77}, "step"), 0);
    EXPECT_EQ(begun.take({1, 77}, "step"), 0);
}

}  // namespace
