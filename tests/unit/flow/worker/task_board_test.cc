#include "flow/worker/task_board.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "support/seeds.h"

namespace {

using base::Code;
using base::Instant;
using flow::GivenTask;
using flow::RunId;
using flow::TaskBoard;
using flow::TaskWish;
using std::chrono::milliseconds;

/// Calls as the engine makes them, of steps that stay alive.
class Calls {
public:
    flow::Call make(std::uint64_t run, const std::string& queue, const std::string& function,
                    const std::string& tenant = "t", std::int32_t priority = 0) {
        flow::Definition definition;
        definition.name = "w";
        definition.priority = priority;
        flow::Step& step = steps_.emplace_back();
        step.action = flow::WorkerAction{queue, function, {}};
        flow::Call call;
        call.run = RunId{run, 1};
        call.path = "step";
        call.tenant = tenant;
        call.definition = std::make_shared<flow::Definition>(std::move(definition));
        call.step = &step;
        call.idempotency_key = fmt::format("key-{}", run);
        return call;
    }

private:
    std::deque<flow::Step> steps_;
};

TaskWish wish(std::uint32_t max, std::map<std::string, std::vector<std::string>> queues,
              std::string worker = "w", std::string tenant = "t") {
    return {std::move(tenant), std::move(worker), std::move(queues), max, milliseconds(1000)};
}

TEST(TaskBoard, GivesWhatIsAskedForTheMostUrgentFirst) {
    Calls calls;
    TaskBoard board(7);
    const auto nothing = [](base::Result<flow::StepOutput>) {};
    (void)board.add(calls.make(1, "images", "resize"), nothing, Instant{1});
    (void)board.add(calls.make(2, "images", "crop"), nothing, Instant{2});
    (void)board.add(calls.make(3, "mail", "send"), nothing, Instant{3});
    (void)board.add(calls.make(4, "images", "resize", "other"), nothing, Instant{4});
    (void)board.add(calls.make(5, "images", "crop", "t", 9), nothing, Instant{5});
    const auto crops = board.take(wish(1, {{"images", {"crop"}}}), Instant{6});
    ASSERT_EQ(crops.size(), 1u);
    EXPECT_EQ(crops[0].call->run.high, 5u) << "the higher priority goes before age";
    const auto rest = board.take(wish(9, {{"images", {}}, {"mail", {}}}), Instant{6});
    ASSERT_EQ(rest.size(), 3u);
    EXPECT_EQ(rest[0].call->run.high, 1u);
    EXPECT_EQ(rest[1].call->run.high, 2u);
    EXPECT_EQ(rest[2].call->run.high, 3u);
    EXPECT_TRUE(board.take(wish(9, {{"images", {}}}), Instant{6}).empty());
}

TEST(TaskBoard, ALostLeaseGivesTheTaskAgainAndTheLateResultIsRefused) {
    Calls calls;
    TaskBoard board(7);
    (void)board.add(
        calls.make(1, "q", "f"), [](base::Result<flow::StepOutput>) {}, Instant{0});
    const GivenTask first = board.take(wish(1, {{"q", {}}}, "a"), Instant{0}).at(0);
    EXPECT_EQ(first.giving, 1u);
    EXPECT_TRUE(board.extend("t", first.id, Instant{0} + milliseconds(900)).has_value());
    EXPECT_TRUE(board.tick(Instant{0} + milliseconds(1800)).empty());
    EXPECT_TRUE(board.take(wish(1, {{"q", {}}}, "b"), Instant{}).empty())
        << "the lease was made anew";
    (void)board.tick(Instant{0} + milliseconds(1900));
    const GivenTask second =
        board.take(wish(1, {{"q", {}}}, "b"), Instant{0} + milliseconds(1900)).at(0);
    EXPECT_EQ(second.giving, 2u);
    EXPECT_EQ(second.call->idempotency_key, first.call->idempotency_key);
    const auto late = board.finish("t", first.id);
    ASSERT_FALSE(late.has_value());
    EXPECT_EQ(late.error().code, Code::failed_precondition);
    EXPECT_EQ(board.finish("other", second.id).error().code, Code::not_found);
    EXPECT_TRUE(board.finish("t", second.id).has_value());
    EXPECT_EQ(board.finish("t", second.id).error().code, Code::already_exists);
    EXPECT_EQ(board.extend("t", "task_8_1_1", Instant{}).error().code, Code::not_found);
    EXPECT_EQ(board.extend("t", "nonsense", Instant{}).error().code, Code::invalid_argument);
    EXPECT_EQ(board.size(), 0u);
}

TEST(TaskBoard, ATaskThatLosesEveryWorkerIsGivenUp) {
    Calls calls;
    TaskBoard board(7, {.givings_max = 3});
    (void)board.add(
        calls.make(1, "q", "f"), [](base::Result<flow::StepOutput>) {}, Instant{0});
    Instant now{0};
    for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(board.take(wish(1, {{"q", {}}}), now).size(), 1u);
        now = now + milliseconds(1000);
        EXPECT_EQ(board.tick(now).size(), i == 2 ? 1u : 0u);
    }
    EXPECT_EQ(board.size(), 0u);
}

TEST(TaskBoard, WhatNeverArrivedIsPendingAgainAndDoesNotCount) {
    Calls calls;
    TaskBoard board(7, {.givings_max = 2});
    (void)board.add(
        calls.make(1, "q", "f"), [](base::Result<flow::StepOutput>) {}, Instant{0});
    for (int i = 0; i < 5; ++i) {
        const auto given = board.take(wish(1, {{"q", {}}}), Instant{0});
        ASSERT_EQ(given.size(), 1u);
        EXPECT_EQ(given[0].giving, 1u);
        board.give_back(given[0].id);
        board.give_back(given[0].id);
        EXPECT_FALSE(board.finish("t", given[0].id).has_value());
    }
}

TEST(TaskBoard, TheLimitRefusesMore) {
    Calls calls;
    TaskBoard board(7, {.tasks_max = 1});
    const auto nothing = [](base::Result<flow::StepOutput>) {};
    EXPECT_TRUE(board.add(calls.make(1, "q", "f"), nothing, Instant{}).has_value());
    EXPECT_EQ(board.add(calls.make(2, "q", "f"), nothing, Instant{}).error().code,
              Code::resource_exhausted);
}

/// Workers that come, die, answer late and never; runs that are cancelled. Every task ends once,
/// nobody has a task beside a living lease, and nothing is lost.
TEST(TaskBoard, EveryTaskEndsOnceWhateverWorkersDo) {
    test::for_each_seed(200, [](base::Rng& rng) {
        Calls calls;
        TaskBoard board(rng.next(), {.givings_max = 1'000'000});
        Instant now{0};
        std::map<std::uint64_t, int> ended;        // by run: how often `done` was called
        std::map<std::uint64_t, std::string> has;  // run to the giving that holds it
        std::vector<std::pair<GivenTask, Instant>> out;
        std::uint64_t runs = 0;
        const std::vector<std::string> names{"f", "g"};
        for (int step = 0; step < 400; ++step) {
            now = now + milliseconds(static_cast<std::int64_t>(rng.below(300)));
            for (auto& lost : board.tick(now)) lost.done(flow::StepOutput{});
            std::erase_if(has, [&](const auto& one) {
                return std::ranges::none_of(out, [&](const auto& given) {
                    return given.first.id == one.second && given.second > now;
                });
            });
            switch (rng.below(6)) {
                case 0:
                case 1: {
                    const std::uint64_t run = ++runs;
                    ended[run] = 0;
                    ASSERT_TRUE(board
                                    .add(
                                        calls.make(run, "q", names[rng.below(2)], "t",
                                                   static_cast<std::int32_t>(rng.below(3))),
                                        [&ended, run](const base::Result<flow::StepOutput>&) {
                                            ++ended[run];
                                        },
                                        now)
                                    .has_value());
                    break;
                }
                case 2: {
                    auto functions = rng.below(2) == 0
                                         ? std::vector<std::string>{}
                                         : std::vector<std::string>{names[rng.below(2)]};
                    for (auto& given : board.take(wish(1 + static_cast<std::uint32_t>(rng.below(3)),
                                                       {{"q", std::move(functions)}}),
                                                  now)) {
                        const std::uint64_t run = given.call->run.high;
                        ASSERT_FALSE(has.contains(run)) << "two living leases on one task";
                        ASSERT_EQ(ended[run], 0);
                        has[run] = given.id;
                        out.emplace_back(given, now + given.lease);
                    }
                    break;
                }
                case 3:
                case 4: {
                    if (out.empty()) break;
                    auto& [given, until] = out[rng.below(out.size())];
                    const std::uint64_t run = given.call->run.high;
                    const bool holds = has.contains(run) && has[run] == given.id && ended[run] == 0;
                    if (rng.below(2) == 0) {
                        ASSERT_EQ(board.extend("t", given.id, now).has_value(), holds);
                        if (holds) until = now + given.lease;
                    } else {
                        auto done = board.finish("t", given.id);
                        ASSERT_EQ(done.has_value(), holds);
                        if (done) (*done)(flow::StepOutput{});
                    }
                    break;
                }
                default: {
                    if (runs == 0) break;
                    const std::uint64_t run = 1 + rng.below(runs);
                    const bool open = ended[run] == 0;
                    const auto cancelled = board.cancel(RunId{run, 1}, "step");
                    ASSERT_EQ(cancelled.has_value(), open);
                    if (cancelled) cancelled->done(flow::StepOutput{});
                }
            }
        }
        // Workers that live do the rest.
        for (int round = 0; round < 1000 && board.size() > 0; ++round) {
            now = now + milliseconds(2000);
            (void)board.tick(now);
            for (const auto& given : board.take(wish(10, {{"q", {}}}), now)) {
                auto done = board.finish("t", given.id);
                ASSERT_TRUE(done.has_value());
                (*done)(flow::StepOutput{});
            }
        }
        for (const auto& [run, times] : ended) ASSERT_EQ(times, 1) << "run " << run;
        ASSERT_TRUE(board.counts("t").empty());
    });
}

}  // namespace
