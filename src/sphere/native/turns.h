#pragma once
// So many at once, the others in the order they came.

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>

namespace sphere::native {

/// Thread-safe. Who waits here holds no lock of others'.
class Turns {
public:
    /// Pre: at_once > 0.
    explicit Turns(std::size_t at_once) : free_(at_once) {}

    class Turn {
    public:
        explicit Turn(Turns& turns) : turns_(turns) { turns_.begin(); }
        ~Turn() { turns_.end(); }
        Turn(const Turn&) = delete;
        Turn& operator=(const Turn&) = delete;

    private:
        Turns& turns_;
    };

    std::size_t waiting() const {
        const std::lock_guard lock(mutex_);
        return waiting_.size();
    }

private:
    struct Waiter {
        std::condition_variable changed;
        bool turn = false;
    };

    void begin() {
        std::unique_lock lock(mutex_);
        if (free_ > 0) {
            --free_;
            return;
        }
        Waiter waiter;
        waiting_.push_back(&waiter);
        waiter.changed.wait(lock, [&] { return waiter.turn; });
    }
    /// Hands the place on, so that nobody who comes just now is before those who wait.
    void end() {
        const std::lock_guard lock(mutex_);
        if (waiting_.empty()) {
            ++free_;
            return;
        }
        waiting_.front()->turn = true;
        waiting_.front()->changed.notify_one();
        waiting_.pop_front();
    }

    mutable std::mutex mutex_;
    std::size_t free_;
    std::deque<Waiter*> waiting_;
};

}  // namespace sphere::native
