#pragma once
// Writers commit in one order and tell the index in another. Of two changes of a row the later one
// counts, whichever comes first.

#include <algorithm>
#include <cstddef>
#include <unordered_map>

#include "memory/truth/truth.h"

namespace memory::index {

class ArrivalOrder {
public:
    enum class Verdict {
        take,
        repeat,   ///< this, or a later change of its row, was taken before
        too_old,  ///< nobody remembers that far back: only a rebuild is right
    };

    /// Remembers it when the verdict is take.
    Verdict take(truth::RowId row, truth::Sequence sequence) {
        if (const auto known = recent_.find(row); known != recent_.end()) {
            if (sequence <= known->second) return Verdict::repeat;
        } else if (sequence <= forgotten_) {
            return Verdict::too_old;
        }
        recent_[row] = sequence;
        newest_ = std::max(newest_, sequence);
        if (recent_.size() >= 2 * kRemembered) forget();
        return Verdict::take;
    }
    truth::Sequence newest() const { return newest_; }
    std::size_t bytes() const {
        constexpr std::size_t kNode = sizeof(truth::RowId) + sizeof(truth::Sequence) + 16;
        return recent_.size() * kNode + recent_.bucket_count() * sizeof(void*);
    }

private:
    // Changes in flight at one time are fewer by far: a writer tells of its own right after it.
    static constexpr std::size_t kRemembered = 4096;

    void forget() {
        forgotten_ = newest_ - static_cast<truth::Sequence>(kRemembered);
        std::erase_if(recent_, [&](const auto& known) { return known.second <= forgotten_; });
    }

    std::unordered_map<truth::RowId, truth::Sequence> recent_;
    truth::Sequence newest_ = 0, forgotten_ = 0;
};

}  // namespace memory::index
