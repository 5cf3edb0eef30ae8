#include "flow/queue/queue_board.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "support/seeds.h"

namespace {

using base::Instant;
using flow::QueueBoard;
using std::chrono::milliseconds;
using std::chrono::seconds;

QueueBoard::Place place(std::int64_t since, std::int32_t priority = 0, std::string party = "a") {
    return {.queue = "q", .party = std::move(party), .priority = priority, .since_ms = since};
}

using Ids = std::vector<std::uint64_t>;

TEST(QueueBoard, ThePriorityGoesFirstThenAge) {
    QueueBoard board;
    board.limit("q", {.concurrency = 1});
    board.add(1, place(20));
    board.add(2, place(10));
    board.add(3, place(30, 5));
    EXPECT_EQ(board.admit(Instant{}), Ids{3});
    EXPECT_TRUE(board.admit(Instant{}).empty());
    board.leave(3);
    EXPECT_EQ(board.admit(Instant{}), Ids{2});
    board.leave(2);
    EXPECT_EQ(board.admit(Instant{}), Ids{1});
    EXPECT_EQ(board.counts().at(0).running, 1u);
    board.leave(1);
    (void)board.admit(Instant{});
    EXPECT_TRUE(board.counts().empty()) << "a queue nobody is in is forgotten";
}

TEST(QueueBoard, WhoHadAPlaceBeforeACrashGoesBeforeAll) {
    QueueBoard board;
    board.limit("q", {.concurrency = 1});
    board.add(1, place(1, 1'000));
    QueueBoard::Place held = place(9);
    held.holds = true;
    board.add(2, held);
    EXPECT_EQ(board.admit(Instant{}), Ids{2});
}

TEST(QueueBoard, PartiesTakeTurnsHoweverManyOneSends) {
    QueueBoard board;
    board.limit("q", {.concurrency = 2});
    for (std::uint64_t id = 1; id <= 100; ++id) board.add(id, place(0, 9, "loud"));
    board.add(1000, place(50, 0, "quiet"));
    board.add(1001, place(50, 0, "quiet"));
    const Ids first = board.admit(Instant{});
    EXPECT_EQ(first, (Ids{1, 1000}));
    board.leave(1000);
    EXPECT_EQ(board.admit(Instant{}), Ids{1001});
}

TEST(QueueBoard, ARateBeginsNoMoreInAnyWindow) {
    QueueBoard board;
    board.limit("q", flow::rate_limit(2.5, seconds(1)));  // 3 in 1.2 s
    for (std::uint64_t id = 1; id <= 7; ++id) board.add(id, place(0));
    EXPECT_EQ(board.admit(Instant{}).size(), 3u);
    EXPECT_EQ(board.next_due(), Instant{} + milliseconds(1200));
    EXPECT_TRUE(board.admit(Instant{} + milliseconds(1199)).empty());
    EXPECT_EQ(board.admit(Instant{} + milliseconds(1200)).size(), 3u);
    EXPECT_EQ(board.admit(Instant{} + milliseconds(2400)).size(), 1u);
    EXPECT_EQ(board.next_due(), Instant::never());
}

TEST(QueueBoard, ARateIsKeptThoughEverybodyLeft) {
    QueueBoard board;
    board.limit("q", flow::rate_limit(1, std::chrono::minutes(1)));
    board.add(1, place(0));
    EXPECT_EQ(board.admit(Instant{}), Ids{1});
    board.leave(1);
    EXPECT_TRUE(board.admit(Instant{}).empty());
    board.add(2, place(0));
    EXPECT_TRUE(board.admit(Instant{} + seconds(59)).empty());
    EXPECT_EQ(board.admit(Instant{} + seconds(60)), Ids{2});
}

TEST(QueueBoard, NobodyStarvesBehindAFloodOfHigherPriority) {
    QueueBoard board;
    board.limit("q", {.concurrency = 1});
    board.add(1, place(0, -1'000));
    std::uint64_t next = 2, turns = 0;
    for (;; ++turns) {
        board.add(next, place(static_cast<std::int64_t>(next), 1'000));
        ++next;
        const Ids in = board.admit(Instant{});
        ASSERT_EQ(in.size(), 1u);
        if (in[0] == 1) break;
        board.leave(in[0]);
        ASSERT_LT(turns, 16u);
    }
}

/// Random comings and goings on a set clock.
TEST(QueueBoard, BoundsHoldAndTheUrgentGoFirst) {
    test::for_each_seed(300, [](base::Rng& rng) {
        QueueBoard board;
        const QueueBoard::Limits limits{
            .concurrency = static_cast<std::uint32_t>(rng.below(5)),
            .starts = static_cast<std::uint32_t>(rng.below(4)),
            .window = milliseconds(1 + static_cast<std::int64_t>(rng.below(1000)))};
        board.limit("q", limits);
        struct Waiting {
            QueueBoard::Place place;
            std::uint64_t id;
        };
        std::vector<Waiting> waiting;
        std::vector<std::uint64_t> running;
        std::map<std::uint64_t, std::uint64_t> passed;  // admissions while it waited
        std::deque<Instant> begun;
        Instant now{};
        std::uint64_t last = 0, given = 0, out_of_order = 0;
        const auto let_in = [&] {
            for (const std::uint64_t id : board.admit(now)) {
                const auto at = std::ranges::find(waiting, id, &Waiting::id);
                ASSERT_NE(at, waiting.end()) << "it did not wait";
                // The most urgent of its party, or whoever has waited longest of all.
                const bool urgent = std::ranges::all_of(waiting, [&](const Waiting& other) {
                    return other.place.party != at->place.party ||
                           std::pair(-at->place.priority, at->place.since_ms) <=
                               std::pair(-other.place.priority, other.place.since_ms);
                });
                const bool oldest = std::ranges::all_of(waiting, [&](const Waiting& other) {
                    return at->place.since_ms <= other.place.since_ms;
                });
                ASSERT_TRUE(urgent || oldest);
                if (!urgent) ++out_of_order;
                waiting.erase(at);
                for (const Waiting& other : waiting) ++passed[other.id];
                running.push_back(id);
                begun.push_back(now);
                ++given;
                ASSERT_LE(out_of_order, given / 16);
                if (limits.concurrency != 0) {
                    ASSERT_LE(running.size(), limits.concurrency);
                }
                if (limits.starts != 0 && begun.size() > limits.starts) {
                    ASSERT_GE(now - begun[begun.size() - 1 - limits.starts], limits.window);
                }
                ASSERT_TRUE(board.runs(id));
            }
        };
        for (int step = 0; step < 300; ++step) {
            now = now + milliseconds(static_cast<std::int64_t>(rng.below(200)));
            if (rng.below(3) != 0) {
                QueueBoard::Place wish = place(step, static_cast<std::int32_t>(rng.below(3)),
                                               rng.below(2) == 0 ? "a" : "b");
                waiting.push_back({wish, ++last});
                board.add(last, wish);
            } else if (!running.empty() && rng.below(2) == 0) {
                const std::size_t which = rng.below(running.size());
                board.leave(running[which]);
                running.erase(running.begin() + static_cast<std::ptrdiff_t>(which));
            } else if (!waiting.empty()) {
                const std::size_t which = rng.below(waiting.size());
                board.leave(waiting[which].id);
                waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(which));
            }
            let_in();
            if (HasFatalFailure()) return;
        }
        // Everybody comes in at last, the oldest after a bounded number of others.
        const std::size_t left = waiting.size();
        for (std::size_t turn = 0; turn < 2'000 && !waiting.empty(); ++turn) {
            for (const std::uint64_t id : running) board.leave(id);
            running.clear();
            now = board.next_due() == Instant::never() ? now + seconds(1)
                                                       : std::max(now, board.next_due());
            let_in();
            if (HasFatalFailure()) return;
        }
        ASSERT_TRUE(waiting.empty()) << left;
    });
}

}  // namespace
