#include "base/exec/worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace {

using base::Worker;

TEST(Worker, RefusesWhenFullAndFinishesWhatItTook) {
    std::promise<void> release;
    std::promise<void> running;
    std::atomic<int> done{0};
    Worker worker(1, 2);
    ASSERT_TRUE(worker.post([&] {
        running.set_value();
        release.get_future().wait();
        ++done;
    }));
    running.get_future().wait();
    EXPECT_TRUE(worker.post([&] { ++done; }));
    EXPECT_TRUE(worker.post([&] { ++done; }));
    EXPECT_FALSE(worker.post([&] { ++done; }));
    release.set_value();
    worker.stop();
    EXPECT_EQ(done, 3);
    EXPECT_FALSE(worker.post([] {}));
}

}  // namespace
