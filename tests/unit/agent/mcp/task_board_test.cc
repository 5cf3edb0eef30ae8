#include "agent/mcp/task_board.h"

#include <gtest/gtest.h>

#include <latch>

#include "unit/agent/mcp/some_features.h"

namespace {

using base::Code;
using mcp_test::parsed;
namespace mcp = agent::mcp;
namespace json = base::json;

/// Tasks of tenant "ann", whose later rounds are noted and end as the test says.
class Tasks : public testing::Test {
protected:
    std::string begin() {
        const auto call = std::make_shared<mcp::Call>(
            mcp::Call::Start{.caller = {.tenant = "ann", .client = {}, .session = {}},
                             .send = [](const json::object&) {}});
        const auto handle = board.begin(call, [this](const std::string& id, mcp::Call& again) {
            board.completed(id, {{"inputs", again.inputs()}, {"state", again.state()}});
            rounds.count_down();
        });
        EXPECT_TRUE(handle.has_value());
        return std::string(handle->at("taskId").as_string());
    }
    json::object get(const std::string& id) { return *board.get("ann", id); }
    std::string status(const std::string& id) {
        return std::string(get(id).at("status").as_string());
    }
    static mcp::Needed two_questions() {
        return {parsed(R"({"a": {"method": "roots/list"}, "b": {"method": "roots/list"}})"), 7};
    }

    test::ManualClock clock;
    std::latch rounds{1};
    mcp::TaskBoard board{clock, {.tasks_max = 3}};
};

TEST_F(Tasks, WorkUntilTheyAreDone) {
    const std::string id = begin();
    EXPECT_EQ(status(id), "working");
    EXPECT_TRUE(get(id).at("ttlMs").is_null()) << "what works is kept";
    clock.advance(std::chrono::hours(30));
    EXPECT_EQ(status(id), "working");
    board.completed(id, {{"content", json::array()}});
    EXPECT_EQ(status(id), "completed");
    EXPECT_TRUE(get(id).at("result").as_object().contains("content"));
    board.failed(id, {});
    EXPECT_EQ(status(id), "completed") << "an end is an end";
    EXPECT_EQ(get(id).at("createdAt"), "2023-11-14T22:13:20.000Z");
    EXPECT_EQ(get(id).at("lastUpdatedAt"), "2023-11-16T04:13:20.000Z");
    clock.advance(std::chrono::minutes(61));
    EXPECT_EQ(board.get("ann", id).error().code, Code::not_found);
}

TEST_F(Tasks, AskWithKeysThatAreNeverUsedTwice) {
    const std::string id = begin();
    board.needs(id, two_questions());
    EXPECT_EQ(status(id), "input_required");
    EXPECT_TRUE(board.update("ann", id, parsed(R"({"1.a": 1, "a": 2, "9.b": 3})")).has_value());
    const json::object left = get(id).at("inputRequests").as_object();
    EXPECT_EQ(left.size(), 1u);
    EXPECT_TRUE(left.contains("1.b")) << "one is answered, nobody asked for the others";
    EXPECT_TRUE(board.update("ann", id, parsed(R"({"1.b": "x"})")).has_value());
    rounds.wait();
    EXPECT_EQ(get(id).at("result"), parsed(R"({"inputs": {"a": 1, "b": "x"}, "state": 7})"));

    const std::string second = begin();
    board.needs(second, two_questions());
    board.needs(second, two_questions());
    EXPECT_TRUE(get(second).at("inputRequests").as_object().contains("2.a"));
}

TEST_F(Tasks, AreCancelledWhetherTheyRunOrWait) {
    const std::string runs = begin(), waits = begin();
    EXPECT_TRUE(board.cancel("ann", runs).has_value());
    EXPECT_EQ(status(runs), "working") << "it has not ended yet";
    board.completed(runs, {});
    EXPECT_EQ(status(runs), "cancelled");
    board.needs(waits, two_questions());
    EXPECT_TRUE(board.cancel("ann", waits).has_value());
    EXPECT_EQ(status(waits), "cancelled");
    EXPECT_TRUE(board.cancel("ann", waits).has_value()) << "again";
    EXPECT_FALSE(get(waits).contains("inputRequests"));
}

TEST_F(Tasks, BelongToATenantAndAreCounted) {
    const std::string id = begin();
    EXPECT_EQ(board.get("bob", id).error().code, Code::not_found);
    EXPECT_EQ(board.update("bob", id, {}).error().code, Code::not_found);
    EXPECT_EQ(board.cancel("bob", id).error().code, Code::not_found);
    begin();
    begin();
    const auto call = std::make_shared<mcp::Call>(
        mcp::Call::Start{.caller = {}, .send = [](const json::object&) {}});
    EXPECT_FALSE(board.begin(call, {}).has_value()) << "there are too many";
}

TEST_F(Tasks, ChangesAreTold) {
    std::vector<std::string> told;
    board.on_change([&](const std::string&, const json::object& task) {
        told.emplace_back(task.at("status").as_string());
    });
    const std::string id = begin();
    board.needs(id, two_questions());
    board.failed(id, {mcp::kInternalError, "broken", nullptr});
    EXPECT_EQ(told, (std::vector<std::string>{"input_required", "failed"}));
    EXPECT_EQ(get(id).at("error").at("message"), "broken");
}

}  // namespace
