#include "base/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <thread>

namespace {

using namespace base::metrics;
using testing::HasSubstr;

TEST(Metrics, ExpositionIsExact) {
    Registry registry;
    registry.counter("b_total", "Back\\slash and\nnewline.", {{"path", "a\"b\\c\nd"}}).add(3);
    registry.counter("b_total", "", {{"path", "z"}}).add(0.5);
    registry.gauge("a", "First.").set(-2);
    const std::array bounds = {0.5, 1.0};
    Histogram& histogram = registry.histogram("h_seconds", "Times.", bounds, {{"k", "v"}});
    histogram.observe(0.5);
    histogram.observe(0.75);
    histogram.observe(9);
    EXPECT_EQ(registry.exposition(),
              "# HELP a First.\n"
              "# TYPE a gauge\n"
              "a -2\n"
              "# HELP b_total Back\\\\slash and\\nnewline.\n"
              "# TYPE b_total counter\n"
              "b_total{path=\"a\\\"b\\\\c\\nd\"} 3\n"
              "b_total{path=\"z\"} 0.5\n"
              "# HELP h_seconds Times.\n"
              "# TYPE h_seconds histogram\n"
              "h_seconds_bucket{k=\"v\",le=\"0.5\"} 1\n"
              "h_seconds_bucket{k=\"v\",le=\"1\"} 2\n"
              "h_seconds_bucket{k=\"v\",le=\"+Inf\"} 3\n"
              "h_seconds_sum{k=\"v\"} 10.25\n"
              "h_seconds_count{k=\"v\"} 3\n");
}

TEST(Metrics, SpecialNumbersHavePrometheusSpelling) {
    Registry registry;
    registry.gauge("a", "x").set(std::numeric_limits<double>::infinity());
    registry.gauge("b", "x").set(-std::numeric_limits<double>::infinity());
    registry.gauge("c", "x").set(std::nan(""));
    registry.gauge("d", "x").set(1e300);
    const std::string text = registry.exposition();
    EXPECT_THAT(text, HasSubstr("\na +Inf\n"));
    EXPECT_THAT(text, HasSubstr("\nb -Inf\n"));
    EXPECT_THAT(text, HasSubstr("\nc NaN\n"));
    EXPECT_THAT(text, HasSubstr("\nd 1e+300\n"));
}

TEST(Metrics, CollectorsAreAskedAtEachScrapeAndSortedIn) {
    Registry registry;
    double value = 1;
    registry.gauge("c", "x");
    registry.add_collector([&](Writer& out) {
        out.sample(Kind::counter, "b_total", "From elsewhere.", {{"k", "1"}}, value);
        out.sample(Kind::counter, "b_total", "From elsewhere.", {{"k", "2"}}, value + 1);
    });
    value = 7;
    EXPECT_EQ(registry.exposition(),
              "# HELP b_total From elsewhere.\n# TYPE b_total counter\n"
              "b_total{k=\"1\"} 7\nb_total{k=\"2\"} 8\n"
              "# HELP c x\n# TYPE c gauge\nc 0\n");
}

TEST(Metrics, SameNameAndLabelsAreTheSameMetric) {
    Registry registry;
    EXPECT_EQ(&registry.counter("a_total", "x", {{"k", "v"}}),
              &registry.counter("a_total", "x", {{"k", "v"}}));
    EXPECT_NE(&registry.counter("a_total", "x", {{"k", "v"}}),
              &registry.counter("a_total", "x", {{"k", "w"}}));
}

TEST(Metrics, ThreadsLoseNothing) {
    Registry registry;
    const std::array bounds = {10.0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 10'000; ++i) {
                registry.counter("a_total", "x").add();
                registry.histogram("h", "x", bounds).observe(i % 20);
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(registry.counter("a_total", "x").value(), 40'000);
    const auto counts = registry.histogram("h", "x", bounds).counts();
    EXPECT_EQ(counts[0], 22'000U);
    EXPECT_EQ(counts[1], 18'000U);
}

TEST(MetricsDeathTest, WrongNamesAreBugs) {
    Registry registry;
    EXPECT_DEATH(registry.counter("1a", "x"), "1a");
    EXPECT_DEATH(registry.counter("a", "x", {{"a:b", "v"}}), "a:b");
    registry.counter("a", "x");
    EXPECT_DEATH(registry.gauge("a", "x"), "a");
}

}  // namespace
