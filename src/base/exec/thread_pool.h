#pragma once
// A fixed set of threads for data-parallel loops of microseconds. Workers spin for a bounded time,
// then park, so that a busy neighbour gets the core and the next loop still starts quickly.

#include <cstddef>
#include <memory>

namespace base {

/// A non-owning reference to a callable, alive for the call only.
class TaskRef {
public:
    template <class F>
    TaskRef(const F& f)  // NOLINT: implicit so that lambdas can be passed directly
        : object_(&f), call_([](const void* object, std::size_t task, std::size_t worker) {
              (*static_cast<const F*>(object))(task, worker);
          }) {}
    void operator()(std::size_t task, std::size_t worker) const { call_(object_, task, worker); }

private:
    const void* object_;
    void (*call_)(const void*, std::size_t, std::size_t);
};

class ThreadPool {
public:
    /// `threads` workers in all, the calling thread counted as worker 0. Pre: threads >= 1.
    explicit ThreadPool(std::size_t threads);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    std::size_t threads() const;

    /// Runs f(task, worker) for task in [0, tasks), worker in [0, threads()); returns when all are
    /// done. Tasks are taken in order from a shared counter. Not reentrant; one caller at a time.
    void run(std::size_t tasks, TaskRef f);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace base
