// One 64-bit ticket word carries the loop: its number in the high half, tasks left in the low half.
// A worker claims a task by counting the low half down with a compare-and-swap, so
//  - a claim is always a claim on the current loop, however late the worker woke up, and
//  - the caller waits for finished tasks and never for a worker that has none; a descheduled worker
//    holds back only the task it already took.
// While some claimed task is unfinished the loop cannot end, so its plain fields cannot change.

#include "base/exec/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include "base/core/check.h"

#if defined(__x86_64__) || defined(__i386__)
#include <immintrin.h>
#endif

namespace base {
namespace {

// Tens of microseconds on current cores: longer than the gaps between a layer's loops, shorter than
// what a neighbour on the same core would notice.
constexpr int kSpinsBeforePark = 1500;
constexpr std::uint64_t kTasksMask = 0xffffffffu;

void spin_pause() {
#if defined(__x86_64__) || defined(__i386__)
    _mm_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");
#endif
}

}  // namespace

struct ThreadPool::Impl {
    explicit Impl(std::size_t threads) {
        helpers.reserve(threads - 1);
        for (std::size_t worker = 1; worker < threads; ++worker) {
            helpers.emplace_back([this, worker] { help(worker); });
        }
    }

    ~Impl() {
        {
            const std::lock_guard lock(mutex);
            stopping = true;
            stop_flag.store(true);
        }
        wake_helpers.notify_all();
        for (std::thread& helper : helpers) helper.join();
    }

    void run(std::size_t loop_tasks, const TaskRef& f) {
        const std::uint64_t loop = (ticket.load(std::memory_order_relaxed) >> 32) + 1;
        tasks = loop_tasks;
        body = &f;
        done.store(0, std::memory_order_relaxed);
        // Sequentially consistent with `parked`: either the helper sees the new ticket before it
        // sleeps, or we see that it sleeps.
        ticket.store(loop << 32 | loop_tasks);
        if (parked.load() > 0) {
            { const std::lock_guard lock(mutex); }
            wake_helpers.notify_all();
        }
        work(0);
        wait_done(loop_tasks);
    }

    /// Takes tasks until none is left; returns true when it did any.
    bool work(std::size_t worker) {
        std::size_t finished = 0;
        std::uint64_t seen = ticket.load(std::memory_order_acquire);
        while ((seen & kTasksMask) != 0) {
            if (!ticket.compare_exchange_weak(seen, seen - 1, std::memory_order_acq_rel,
                                              std::memory_order_acquire)) {
                continue;
            }
            (*body)(tasks - (seen & kTasksMask), worker);
            ++finished;
            seen = ticket.load(std::memory_order_acquire);
        }
        if (finished == 0) return false;
        done.fetch_add(finished);
        return true;
    }

    void help(std::size_t worker) {
        int spins = 0;
        while (!stop_flag.load(std::memory_order_relaxed)) {
            if (work(worker)) {
                if (caller_parked.load()) {
                    { const std::lock_guard lock(mutex); }
                    wake_caller.notify_one();
                }
                spins = 0;
            } else if (++spins < kSpinsBeforePark) {
                spin_pause();
            } else {
                park_helper();
                spins = 0;
            }
        }
    }

    void park_helper() {
        std::unique_lock lock(mutex);
        parked.fetch_add(1);
        wake_helpers.wait(lock, [this] { return stopping || (ticket.load() & kTasksMask) != 0; });
        parked.fetch_sub(1);
    }

    void wait_done(std::size_t loop_tasks) {
        for (int spins = 0; spins < kSpinsBeforePark; ++spins) {
            if (done.load(std::memory_order_acquire) == loop_tasks) return;
            spin_pause();
        }
        std::unique_lock lock(mutex);
        caller_parked.store(true);
        wake_caller.wait(lock, [&] { return done.load() == loop_tasks; });
        caller_parked.store(false);
    }

    alignas(64) std::atomic<std::uint64_t> ticket{0};
    alignas(64) std::atomic<std::size_t> done{0};
    // Written between loops only; read by holders of a claimed task.
    alignas(64) std::size_t tasks = 0;
    const TaskRef* body = nullptr;
    std::atomic<int> parked{0};
    std::atomic<bool> caller_parked{false};
    std::atomic<bool> stop_flag{false};
    std::mutex mutex;
    bool stopping = false;  // guarded by mutex
    std::condition_variable wake_helpers;
    std::condition_variable wake_caller;
    std::vector<std::thread> helpers;
};

ThreadPool::ThreadPool(std::size_t threads) {
    DG_CHECK(threads >= 1, "a pool counts its caller as a worker");
    impl_ = std::make_unique<Impl>(threads);
}

ThreadPool::~ThreadPool() = default;

std::size_t ThreadPool::threads() const {
    return impl_->helpers.size() + 1;
}

void ThreadPool::run(std::size_t tasks, TaskRef f) {
    if (impl_->helpers.empty() || tasks <= 1) {
        for (std::size_t task = 0; task < tasks; ++task) f(task, 0);
        return;
    }
    DG_CHECK(tasks <= kTasksMask, "a loop has at most 2^32 - 1 tasks");
    impl_->run(tasks, f);
}

}  // namespace base
