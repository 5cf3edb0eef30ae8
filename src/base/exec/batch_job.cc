#include "base/exec/batch_job.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace base {

using std::chrono::milliseconds;

namespace {
constexpr milliseconds kRetryFirst{500}, kRetryMost{60'000};
}  // namespace

BatchJob::BatchJob(std::function<Result<std::size_t>()> batch, milliseconds look_every)
    : batch_(std::move(batch)),
      look_every_(look_every),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

BatchJob::~BatchJob() {
    thread_.request_stop();
    thread_.join();
}

void BatchJob::notify() {
    const std::lock_guard lock(mutex_);
    ++asked_;
    wake_.notify_all();
}

Result<void> BatchJob::settle() {
    std::unique_lock lock(mutex_);
    const std::uint64_t mine = ++asked_;
    wake_.notify_all();
    idle_.wait(lock, [&] { return answered_ >= mine; });
    return last_;
}

void BatchJob::run(const std::stop_token& stop) {
    milliseconds retry = kRetryFirst;
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        const std::uint64_t asked = asked_;
        lock.unlock();
        const auto done = batch_();
        lock.lock();
        if (done && *done > 0) {
            retry = kRetryFirst;
            continue;
        }
        // Nothing is left, or it fails: whoever waits is told either way.
        last_ = done ? Result<void>() : Result<void>(std::unexpected(done.error()));
        answered_ = std::max(answered_, asked);
        idle_.notify_all();
        if (done) {
            retry = kRetryFirst;
            const auto told = [&] { return asked_ != answered_; };
            if (look_every_.count() > 0) {
                wake_.wait_for(lock, stop, look_every_, told);
            } else {
                wake_.wait(lock, stop, told);
            }
        } else {
            wake_.wait_for(lock, stop, retry, [] { return false; });
            retry = std::min(retry * 2, kRetryMost);
        }
    }
    answered_ = ~std::uint64_t{0};
    idle_.notify_all();
}

}  // namespace base
