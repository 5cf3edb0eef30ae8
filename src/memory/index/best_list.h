#pragma once
// The best so many of what goes by: highest score first, lower slot among equals.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

#include "memory/index/tenant_index.h"

namespace memory::index {

/// An object, not a function: heaps then have it inline.
inline constexpr auto is_better = [](const Scored& a, const Scored& b) {
    return a.score > b.score || (a.score == b.score && a.slot < b.slot);
};

class BestList {
public:
    explicit BestList(std::size_t limit) : limit_(limit) {
        heap_.reserve(std::min<std::size_t>(limit, 1024));
    }

    bool full() const { return heap_.size() == limit_; }
    /// What a score must exceed to get in, for slots that come in ascending order.
    float threshold() const {
        return full() && limit_ > 0 ? heap_.front().score : -std::numeric_limits<float>::infinity();
    }
    void offer(Scored scored) {
        if (!full()) {
            heap_.push_back(scored);
            std::ranges::push_heap(heap_, is_better);
        } else if (limit_ > 0 && is_better(scored, heap_.front())) {
            std::ranges::pop_heap(heap_, is_better);
            heap_.back() = scored;
            std::ranges::push_heap(heap_, is_better);
        }
    }
    std::vector<Scored> take() {
        std::ranges::sort(heap_, is_better);
        return std::move(heap_);
    }

private:
    std::size_t limit_;
    std::vector<Scored> heap_;  ///< worst on top
};

}  // namespace memory::index
