#pragma once
// Lets a model compute its first layers while the weights of later ones are still being read. What
// fills the weights opens one stage after the other; a pass waits at each stage it comes to.

#include <atomic>
#include <cstdint>
#include <limits>

namespace engine {

/// Stage l is layer l of the model; what comes after the last layer is one stage more. Open until
/// somebody closes it. Thread-safe: one side opens, any number wait.
class WeightGate {
public:
    static constexpr std::uint32_t kAll = std::numeric_limits<std::uint32_t>::max();

    /// Pre: nobody waits yet.
    void close() { open_.store(0, std::memory_order_relaxed); }
    /// Every stage below `stages` is complete; what was written before is seen by who waited.
    void open_below(std::uint32_t stages) {
        open_.store(stages, std::memory_order_release);
        open_.notify_all();
    }
    void wait(std::uint32_t stage) const {
        std::uint32_t open = open_.load(std::memory_order_acquire);
        while (open != kAll && open <= stage) {
            open_.wait(open, std::memory_order_acquire);
            open = open_.load(std::memory_order_acquire);
        }
    }
    void wait_for_all() const { wait(kAll); }
    bool all_open() const { return open_.load(std::memory_order_acquire) == kAll; }

private:
    std::atomic<std::uint32_t> open_{kAll};
};

}  // namespace engine
