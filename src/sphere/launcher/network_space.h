#pragma once
// Network namespaces for boxes that have no network. Making one takes the kernel longer than all
// else of a box together, and taking it down as long again, so one whose box has ended serves the
// next; between boxes the server holds it, since whatever is open here every init inherits and
// closes. No process of a box ever had a capability over it, its lo is never up, and sockets, all
// that a box can put there, end with their processes.

#include <cstddef>

namespace sphere::launcher {

/// New ones. One thread; making one moves this process into it.
class NetworkSpaces {
public:
    static constexpr std::size_t kAhead = 4;

    /// Its descriptor, the caller's to close, or -1 with errno.
    int take();
    /// Makes one more when fewer than kAhead wait; for moments in which nobody asks.
    void make_ahead();
    bool wants_more() const { return !refused_ && ahead_count_ < kAhead; }

private:
    int ahead_[kAhead] = {};
    std::size_t ahead_count_ = 0;
    bool refused_ = false;  ///< the host made none when there was time: do not try again and again
};

}  // namespace sphere::launcher
