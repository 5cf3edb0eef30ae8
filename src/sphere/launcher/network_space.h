#pragma once
// Network namespaces for boxes that have no network. Making one takes the kernel longer than all
// else of a box together, and taking it down as long again, so one whose box has ended serves the
// next. It is the launcher's, not the box's: no process of a box ever had a capability over it, its
// lo is never up, and sockets, all that a box can put there, end with their processes.

#include <cstddef>

namespace sphere::launcher {

/// One thread. Keeps at most kIdleMax that no box uses.
class NetworkSpaces {
public:
    static constexpr std::size_t kIdleMax = 128, kAhead = 4;

    /// Moves this process into one that no box uses; children are born in it. Its descriptor, or
    /// -1 with errno.
    int enter();
    /// Every process of its box is gone. Takes the descriptor.
    void give_back(int space);
    /// Makes one more when fewer than kAhead wait; for moments in which nobody asks.
    void make_ahead();
    bool wants_more() const { return !refused_ && idle_count_ < kAhead; }

private:
    int make();

    int idle_[kIdleMax] = {};
    std::size_t idle_count_ = 0;
    bool refused_ = false;  ///< the host made none when there was time: do not try again and again
};

}  // namespace sphere::launcher
