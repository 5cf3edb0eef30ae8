#include "base/exec/thread_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <thread>
#include <vector>

#include "support/seeds.h"

namespace {

TEST(ThreadPool, RunsEveryTaskOnce) {
    for (const std::size_t threads : {1u, 2u, 3u, 7u}) {
        base::ThreadPool pool(threads);
        EXPECT_EQ(pool.threads(), threads);
        test::for_each_seed(300, [&](base::Rng& rng) {
            const std::size_t tasks = rng.below(65);
            std::vector<std::atomic<int>> runs(tasks);
            pool.run(tasks, [&](std::size_t task, std::size_t worker) {
                ASSERT_LT(worker, threads);
                runs[task].fetch_add(1, std::memory_order_relaxed);
            });
            for (const auto& count : runs) ASSERT_EQ(count.load(), 1);
        });
    }
}

TEST(ThreadPool, WritesOfTasksAreVisibleToTheCaller) {
    base::ThreadPool pool(4);
    std::vector<std::size_t> squares(1000);  // plain memory: the data race detector watches it
    for (std::size_t round = 0; round < 50; ++round) {
        pool.run(squares.size(),
                 [&](std::size_t task, std::size_t) { squares[task] = task * round; });
        for (std::size_t i = 0; i < squares.size(); ++i) ASSERT_EQ(squares[i], i * round);
    }
}

TEST(ThreadPool, OneThreadRunsOnTheCaller) {
    base::ThreadPool pool(1);
    const auto caller = std::this_thread::get_id();
    pool.run(10, [&](std::size_t, std::size_t worker) {
        EXPECT_EQ(worker, 0u);
        EXPECT_EQ(std::this_thread::get_id(), caller);
    });
}

TEST(ThreadPool, LoopsStartAgainAfterWorkersParked) {
    base::ThreadPool pool(3);
    std::atomic<std::size_t> total{0};
    for (int round = 0; round < 20; ++round) {
        // Work on the caller alone that outlasts the bounded spin: the helpers park meanwhile.
        volatile std::uint64_t burn = 0;
        for (int i = 0; i < 300'000; ++i) burn = burn + 1;
        pool.run(64, [&](std::size_t task, std::size_t) { total += task; });
    }
    EXPECT_EQ(total.load(), 20u * (63u * 64u / 2u));
}

TEST(ThreadPool, ASlowTaskHoldsBackOnlyItself) {
    base::ThreadPool pool(2);
    // Task 0 returns only when all others are done, so whoever holds it must not hold others.
    std::atomic<std::size_t> others{0};
    pool.run(100, [&](std::size_t task, std::size_t) {
        if (task != 0) {
            others.fetch_add(1);
            return;
        }
        while (others.load() != 99) std::this_thread::yield();
    });
    EXPECT_EQ(others.load(), 99u);
}

TEST(ThreadPool, PoolsComeAndGo) {
    for (int round = 0; round < 50; ++round) {
        base::ThreadPool pool(4);
        std::atomic<int> ran{0};
        pool.run(round % 5, [&](std::size_t, std::size_t) { ran.fetch_add(1); });
        EXPECT_EQ(ran.load(), round % 5);
    }
}

}  // namespace
