#include "sphere/policy/stop_board.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>
#include <thread>

#include "support/manual_clock.h"
#include "support/seeds.h"
#include "support/temp_dir.h"

namespace sphere::policy {
namespace {

class StopBoardTest : public testing::Test {
protected:
    std::unique_ptr<StopBoard> open() {
        auto board = StopBoard::open(path_, clock_);
        EXPECT_TRUE(board.has_value()) << board.error().message;
        return board ? std::move(*board) : nullptr;
    }
    test::TempDir dir_;
    test::ManualClock clock_;
    std::string path_ = dir_.file("stops.json");
};

TEST_F(StopBoardTest, EachScopeCoversItsOwn) {
    const auto board = open();
    EXPECT_FALSE(board->covers("a", "x", "s1"));
    ASSERT_TRUE(board->stop({.tenant = "a", .agent = "x", .sandbox = ""}, "ops", "why"));
    EXPECT_TRUE(board->covers("a", "x", "s1"));
    EXPECT_FALSE(board->covers("a", "y", "s1"));
    EXPECT_FALSE(board->covers("b", "x", "s1"));
    EXPECT_EQ(board->check("a", "x", "s1").error().code, base::Code::permission_denied);
    ASSERT_TRUE(board->stop({.tenant = "", .agent = "", .sandbox = "s9"}, "ops", "why"));
    EXPECT_TRUE(board->covers("b", "", "s9"));
    ASSERT_TRUE(board->stop({}, "ops", "all"));
    EXPECT_TRUE(board->covers("", "", ""));
    EXPECT_EQ(board->covers("a", "x", "s1")->reason, "all") << "the newest";
}

TEST_F(StopBoardTest, LiftingEndsWhatLiesWithin) {
    const auto board = open();
    ASSERT_TRUE(board->stop({"a", "x", ""}, "", ""));
    ASSERT_TRUE(board->stop({"a", "", ""}, "", ""));
    ASSERT_TRUE(board->stop({}, "", ""));
    EXPECT_EQ(board->lift({"a", "x", ""}).value(), 1u);
    EXPECT_TRUE(board->covers("a", "x", "s")) << "wider ones stay";
    EXPECT_EQ(board->lift({"a", "", ""}).value(), 1u);
    EXPECT_EQ(board->lift({"b", "", ""}).value(), 0u);
    EXPECT_TRUE(board->covers("a", "x", "s"));
    EXPECT_EQ(board->lift({}).value(), 1u);
    EXPECT_FALSE(board->covers("a", "x", "s"));
}

TEST_F(StopBoardTest, ARestartLiftsNothingAndEpochsGoOn) {
    std::uint64_t epoch = 0;
    {
        const auto board = open();
        epoch = board->stop({"a", "x \"\n", "s"}, "ops", "why").value();
    }
    const auto board = open();
    ASSERT_TRUE(board->covers("a", "x \"\n", "s"));
    EXPECT_EQ(board->list().at(0).actor, "ops");
    EXPECT_EQ(board->list().at(0).unix_ns, clock_.unix_ns());
    EXPECT_GT(board->stop({"a", "", ""}, "", "").value(), epoch);
    EXPECT_EQ(board->lift({}).value(), 2u);
    EXPECT_FALSE(open()->covers("a", "x", "s"));
    EXPECT_EQ(open()->epoch(), epoch + 1) << "also without a stop in force";
}

TEST_F(StopBoardTest, ADamagedFileIsNeverReadAsNoStop) {
    ASSERT_TRUE(open()->stop({"a", "", ""}, "ops", "why"));
    const std::string whole = test::read_text(path_);
    for (std::size_t length = 0; length + 2 < whole.size(); ++length) {
        test::write_text(path_, whole.substr(0, length));
        const auto board = StopBoard::open(path_, clock_);
        ASSERT_FALSE(board.has_value()) << length;
        ASSERT_EQ(board.error().code, base::Code::data_loss);
    }
}

TEST_F(StopBoardTest, AStopThatCannotBeWrittenIsInForceAllTheSame) {
    auto board = StopBoard::open(dir_.file("missing/stops.json"), clock_);
    ASSERT_TRUE(board.has_value());
    EXPECT_FALSE((*board)->stop({"a", "", ""}, "", ""));
    EXPECT_TRUE((*board)->covers("a", "", ""));
}

TEST_F(StopBoardTest, AmongManyStopsTheOneThatCoversIsFound) {
    const auto board = open();
    for (int i = 0; i < 1000; ++i) {
        const std::string n = std::to_string(i);
        board->raise({"tenant-" + n, "", ""}, "ops", n);
        board->raise({"", "agent-" + n, ""}, "ops", n);
        board->raise({"tenant-" + n, "agent-" + n, "box-" + n}, "ops", n);
    }
    EXPECT_FALSE(open()->covers("tenant-7", "", "")) << "raised, not saved";
    ASSERT_TRUE(board->save());
    for (const auto& each : {open(), open()}) {
        EXPECT_EQ(each->covers("tenant-7", "x", "y")->reason, "7");
        EXPECT_EQ(each->covers("tenant-7", "agent-9", "y")->reason, "9") << "the newest";
        EXPECT_FALSE(each->covers("tenant", "agent", "box-7"));
        EXPECT_EQ(each->epoch(), 3000u);
        EXPECT_EQ(each->list().size(), 3000u);
    }
}

TEST_F(StopBoardTest, RandomHistoriesAgreeWithAListOfScopes) {
    test::for_each_seed(20, [&](base::Rng& rng) {
        std::filesystem::remove(path_);
        auto board = open();
        std::set<std::array<std::string, 3>> model;
        const auto word = [&] { return std::array<std::string, 3>{"", "a", "b"}[rng.below(3)]; };
        for (int step = 0; step < 30; ++step) {
            const std::array<std::string, 3> s{word(), word(), word()};
            const auto within = [](const auto& scope, const auto& what) {
                for (std::size_t i = 0; i < 3; ++i) {
                    if (!scope[i].empty() && scope[i] != what[i]) return false;
                }
                return true;
            };
            switch (rng.below(4)) {
                case 0:
                    ASSERT_TRUE(board->stop({s[0], s[1], s[2]}, "", ""));
                    model.insert(s);
                    break;
                case 1:
                    ASSERT_TRUE(board->lift({s[0], s[1], s[2]}));
                    std::erase_if(model, [&](const auto& each) { return within(s, each); });
                    break;
                case 2:
                    board = open();
                    break;
                default:
                    break;
            }
            const bool expected =
                std::ranges::any_of(model, [&](const auto& m) { return within(m, s); });
            ASSERT_EQ(board->covers(s[0], s[1], s[2]).has_value(), expected);
        }
    });
}

TEST_F(StopBoardTest, ChecksRunBesideStopsAndLifts) {
    const auto board = open();
    ASSERT_TRUE(board->stop({"always", "", ""}, "", ""));
    std::atomic<bool> done{false};
    std::thread other([&] {
        for (int i = 0; i < 50; ++i) {
            EXPECT_TRUE(board->stop({"t", "", ""}, "", ""));
            EXPECT_TRUE(board->lift({"t", "", ""}));
        }
        done = true;
    });
    while (!done) {
        EXPECT_TRUE(board->covers("always", "x", "y"));
        EXPECT_FALSE(board->covers("never", "x", "y"));
    }
    other.join();
}

}  // namespace
}  // namespace sphere::policy
