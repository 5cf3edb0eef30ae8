#pragma once
// A few threads and a bounded queue for work that blocks: tokenizing prompts, making sandboxes.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace base {

class Worker {
public:
    Worker(std::size_t threads, std::size_t queue_max);
    ~Worker();  ///< stop()

    /// False: the queue is full or stopped; `task` was not taken. Tasks run in order of arrival.
    [[nodiscard]] bool post(std::function<void()> task);
    /// Runs what is queued, then joins. Idempotent.
    void stop();

private:
    void run();

    const std::size_t queue_max_;
    std::mutex mutex_;  // guards the two below; not held while a task runs
    std::deque<std::function<void()>> queue_;
    bool stopping_ = false;
    std::condition_variable wake_;
    std::vector<std::thread> threads_;
};

}  // namespace base
