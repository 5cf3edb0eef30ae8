// First come, first served, and never more at once than there may be.
#include "sphere/native/turns.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace {

using sphere::native::Turns;

TEST(Turns, NeverMoreAtOnceThanThereMayBe) {
    Turns turns(3);
    std::atomic<int> inside = 0, most = 0, done = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < 16; ++i) {
        threads.emplace_back([&] {
            for (int round = 0; round < 50; ++round) {
                const Turns::Turn turn(turns);
                const int now = ++inside;
                for (int seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
                }
                std::this_thread::yield();
                --inside;
                ++done;
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_LE(most, 3);
    EXPECT_EQ(done, 16 * 50);
}

TEST(Turns, TheFirstToComeIsTheFirstServed) {
    Turns turns(1);
    constexpr std::size_t kThreads = 6;
    std::vector<std::size_t> order;
    std::vector<std::thread> threads;
    {
        const Turns::Turn held(turns);
        for (std::size_t i = 0; i < kThreads; ++i) {
            threads.emplace_back([&, i] {
                const Turns::Turn turn(turns);
                order.push_back(i);
            });
            while (turns.waiting() != i + 1) std::this_thread::yield();
        }
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(order, (std::vector<std::size_t>{0, 1, 2, 3, 4, 5}));
}

}  // namespace
