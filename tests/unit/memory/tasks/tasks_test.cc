#include "memory/tasks/task.h"

#include <fmt/format.h>

#include "../store/store_fixture.h"

namespace test {
namespace {

using base::Code;
using memory::tasks::Checkpoint;

class Tasks : public AnyMemory {
protected:
    base::Result<Checkpoint> save(Checkpoint checkpoint, std::optional<std::uint32_t> after = {}) {
        if (checkpoint.task.empty()) checkpoint.task = "migrate";
        return store->save_checkpoint({.tenant = "t", .agent = "worker"}, checkpoint, after);
    }
    Checkpoint step(int number) {
        return {.task = "migrate",
                .state = fmt::format("{{\"at\": {}}}", number),
                .result = fmt::format("moved table {}", number),
                .next_steps = {fmt::format("move table {}", number + 1)}};
    }
};

TEST_P(Tasks, TheLastCheckpointComesBackWhole) {
    Checkpoint first = step(1);
    first.reflection = "indexes slow it down";
    first.progress = .25;
    first.name = "before the big one";
    ASSERT_TRUE(save(first));
    ASSERT_TRUE(save(step(2)));
    open(std::make_shared<LetterEmbedder>());
    const auto last = store->resume_task("t", "migrate");
    ASSERT_TRUE(last);
    EXPECT_EQ(last->number, 2u);
    EXPECT_EQ(last->state, "{\"at\": 2}");
    EXPECT_EQ(last->next_steps, std::vector<std::string>{"move table 3"});
    const auto named = store->resume_task("t", "migrate", "before the big one");
    ASSERT_TRUE(named);
    EXPECT_EQ(named->number, 1u);
    EXPECT_EQ(named->state, "{\"at\": 1}");
    EXPECT_EQ(named->reflection, "indexes slow it down");
    EXPECT_DOUBLE_EQ(*named->progress, .25);
}

TEST_P(Tasks, StatesAreBytes) {
    Checkpoint bytes = step(1);
    bytes.state = std::string("\0\xff\x80 any", 8);
    ASSERT_TRUE(save(bytes));
    EXPECT_EQ(store->resume_task("t", "migrate")->state, bytes.state);
}

TEST_P(Tasks, WhatAStepBroughtIsFoundAsAMemory) {
    Checkpoint done = step(1);
    done.reflection = "the walnut index must be dropped first";
    const auto saved = save(done);
    ASSERT_TRUE(saved);
    EXPECT_FALSE(saved->memory.empty());
    const auto answer = search("walnut index");
    ASSERT_FALSE(answer.hits.empty());
    EXPECT_EQ(answer.hits[0].entry.id, saved->memory);
    EXPECT_EQ(answer.hits[0].entry.metadata.at("task").as_string(), "migrate");
    EXPECT_EQ(answer.hits[0].entry.scope.agent, "worker");
    EXPECT_TRUE(save({.task = "quiet", .state = "x"})->memory.empty());
}

TEST_P(Tasks, OfTwoWorkersOneGoesOn) {
    ASSERT_TRUE(save(step(1), 0));
    ASSERT_TRUE(save(step(2), 1));
    const auto late = save(step(2), 1);
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Code::failed_precondition);
    // Nothing of it is left, in the memories neither.
    EXPECT_EQ(store->checkpoints("t", "migrate", 10)->size(), 2u);
    EXPECT_EQ(store->list({.scope = {.tenant = "t"}}, memory::Order::created_ascending, 10)
                  ->entries.size(),
              2u);
}

TEST_P(Tasks, ANameIsGivenOnce) {
    Checkpoint named = step(1);
    named.name = "done";
    ASSERT_TRUE(save(named));
    const auto again = save(named);
    ASSERT_FALSE(again);
    EXPECT_EQ(again.error().code, Code::already_exists);
    named.task = "other";
    EXPECT_TRUE(save(named));
}

TEST_P(Tasks, OldStatesGoButNamedOnesStay) {
    Checkpoint first = step(1);
    first.name = "start";
    ASSERT_TRUE(save(first));
    for (int i = 2; i <= 130; ++i) ASSERT_TRUE(save(step(i)));
    const auto all = store->checkpoints("t", "migrate", 1000);
    ASSERT_EQ(all->size(), 130u);
    std::size_t kept = 0;
    for (const Checkpoint& each : *all) kept += each.state_kept;
    EXPECT_EQ(kept, 101u);
    EXPECT_EQ(store->resume_task("t", "migrate", "start")->state, "{\"at\": 1}");
    EXPECT_EQ(store->resume_task("t", "migrate")->state, "{\"at\": 130}");
}

TEST_P(Tasks, TheSummaryIsOfTheLastStepsNotTheFirst) {
    for (int i = 1; i <= 9; ++i) {
        Checkpoint each = step(i);
        each.progress = i / 10.;
        ASSERT_TRUE(save(each));
        clock.advance(std::chrono::hours(8));
    }
    const auto summary = store->task_summary("t", "migrate", 3);
    ASSERT_TRUE(summary);
    EXPECT_EQ(summary->checkpoints, 9u);
    EXPECT_EQ(summary->results,
              (std::vector<std::string>{"moved table 7", "moved table 8", "moved table 9"}));
    EXPECT_EQ(summary->next_steps, std::vector<std::string>{"move table 10"});
    EXPECT_DOUBLE_EQ(*summary->progress, .9);
    EXPECT_EQ(summary->last_unix_ms - summary->began_unix_ms, 8ll * 8 * 3600 * 1000);
    EXPECT_NE(summary->text.find("90 % done"), std::string::npos) << summary->text;
}

TEST_P(Tasks, TenantsHaveTheirOwn) {
    ASSERT_TRUE(save(step(1)));
    EXPECT_EQ(store->resume_task("another", "migrate").error().code, Code::not_found);
    EXPECT_TRUE(store->list_tasks("another", 10)->empty());
    EXPECT_FALSE(store->remove_task("another", "migrate"));
    EXPECT_EQ(store->list_tasks("t", 10)->size(), 1u);
    ASSERT_TRUE(store->remove_task("t", "migrate"));
    EXPECT_FALSE(store->resume_task("t", "migrate"));
}

TEST_P(Tasks, FaultsNameTheField) {
    const auto subject = [&](Checkpoint checkpoint) {
        const auto saved = store->save_checkpoint({.tenant = "t"}, checkpoint);
        return saved ? std::string("none") : saved.error().subject;
    };
    EXPECT_EQ(subject({}), "task");
    EXPECT_EQ(subject({.task = "x", .state = std::string(17u << 20, 'x')}), "state");
    EXPECT_EQ(subject({.task = "x", .result = "\xff"}), "result");
    EXPECT_EQ(subject({.task = "x", .progress = 1.5}), "progress");
    EXPECT_EQ(subject({.task = "x", .next_steps = std::vector<std::string>(101, "s")}),
              "next_steps");
}

INSTANTIATE_TEST_SUITE_P(Backends, Tasks, ::testing::ValuesIn(backends()),
                         [](const auto& backend) { return backend.param; });

}  // namespace
}  // namespace test
