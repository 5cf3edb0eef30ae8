#include "flow/queue/shared_places.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "support/seeds.h"

namespace {

using flow::fair_share;
using flow::PlaceWant;
using flow::QueueBoard;
using Ids = std::vector<std::uint64_t>;

TEST(FairShare, NobodyGetsMoreThanItWantsAndNothingIsLeftThatSomebodyWants) {
    test::for_each_seed(300, [](base::Rng& rng) {
        std::vector<PlaceWant> wants;
        std::uint64_t wanted = 0;
        for (std::uint64_t i = 1 + rng.below(6); i > 0; --i) {
            const std::uint64_t want = rng.below(12);
            wants.push_back(
                {want, static_cast<std::int64_t>(rng.below(5)), static_cast<std::int64_t>(i)});
            wanted += want;
        }
        const std::uint64_t places = rng.below(30);
        std::uint64_t given = 0, least = 30, most = 0;
        for (const PlaceWant& one : wants) {
            const std::uint64_t has = fair_share(places, wants, one.worker);
            EXPECT_LE(has, one.want);
            given += has;
            most = std::max(most, has);
            if (has < one.want) least = std::min(least, has);
        }
        EXPECT_EQ(given, std::min(places, wanted));
        if (least != 30) {
            EXPECT_LE(most, least + 1) << "who lacks some has as many as the others";
        }
    });
}

TEST(FairShare, TheOnePlaceGoesToWhoWaitsLongest) {
    const std::vector<PlaceWant> wants{{5, 200, 1}, {1, 100, 2}, {2, 0, 3}};
    EXPECT_EQ(fair_share(1, wants, 1), 0u);
    EXPECT_EQ(fair_share(1, wants, 2), 1u);
    EXPECT_EQ(fair_share(2, wants, 1), 1u);
    EXPECT_EQ(fair_share(2, wants, 3), 0u) << "nobody waits there";
    EXPECT_EQ(fair_share(9, wants, 4), 0u);
}

TEST(QueueBoard, ASharedQueueHasWhatItIsAllowed) {
    QueueBoard board;
    board.limit("q", {.concurrency = 10});
    board.allow("q", QueueBoard::Allowance{});
    for (std::uint64_t id = 1; id <= 5; ++id) {
        board.add(id, {.queue = "q", .party = "a", .since_ms = static_cast<std::int64_t>(id)});
    }
    EXPECT_TRUE(board.admit({}).empty()) << "until it is said what it may";
    board.allow("q", QueueBoard::Allowance{.places = 3, .keep = 1, .starts = 100});
    EXPECT_EQ(board.admit({}), (Ids{1, 2, 3}));
    board.leave(1);
    EXPECT_TRUE(board.admit({}).empty()) << "the place is another process's now";
    board.leave(2);
    board.leave(3);
    EXPECT_EQ(board.admit({}), Ids{4}) << "its own one it keeps";
    board.allow("q", QueueBoard::Allowance{.places = 9, .keep = 9, .starts = 0});
    EXPECT_TRUE(board.admit({}).empty());
    board.allow("q", std::nullopt);
    EXPECT_EQ(board.admit({}), Ids{5}) << "alone it has the whole bound";
}

}  // namespace
