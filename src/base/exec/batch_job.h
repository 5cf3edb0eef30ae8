#pragma once
// Work in the background that comes in batches: done until nothing is left, tried again after
// failures, waited for by who must see its end.

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

#include "base/core/result.h"

namespace base {

class BatchJob {
public:
    /// `batch` does some of what there is, on the job's thread, and says how much; 0: nothing is
    /// left. It is called once at the start. After an error it is called again, at first after half
    /// a second, at last once a minute.
    /// `look_every`: also called so often without being told; 0: not.
    explicit BatchJob(std::function<Result<std::size_t>()> batch,
                      std::chrono::milliseconds look_every = {});
    ~BatchJob();  ///< stops after the batch in hand

    void notify();  ///< there may be something to do
    /// Waits until all that was there before is done. Errors: the last batch's.
    Result<void> settle();

private:
    void run(const std::stop_token& stop);

    const std::function<Result<std::size_t>()> batch_;
    const std::chrono::milliseconds look_every_;
    std::mutex mutex_;  // guards what is below
    std::condition_variable_any wake_, idle_;
    std::uint64_t asked_ = 1, answered_ = 0;  ///< notify() counts up; idle when equal
    Result<void> last_;
    std::jthread thread_;
};

}  // namespace base
