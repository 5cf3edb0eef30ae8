#pragma once
// Control groups of boxes that have ended, for boxes to come. Making a box's groups and taking them
// down costs the kernel more than its processes, most of it after rmdir has returned. A set goes on
// to the next box only when its own box died by the end of its init alone (a group that was told to
// kill kills whoever is born in it from outside, for good), when nothing is counted in it any more,
// and when next to no memory is still charged to it. Counters that cannot be set back are read as
// differences.

#include <deque>
#include <mutex>
#include <optional>

#include "sphere/native/control_groups.h"

namespace sphere::native {

/// A version 2 group of one command at a time.
struct ExecGroup {
    std::uint64_t number = 0;
    std::uint64_t cpu_us_before = 0;  ///< used by those that had it earlier
    bool killed =
        false;  ///< never again: the kernel kills who is born in such a group from outside
};

struct GroupSet {
    BoxGroups groups;
    std::optional<ExecGroup> idle;  ///< for the next command
    std::uint64_t next_exec = 1;    ///< number of an exec group that was never made
};

/// Thread-safe.
class SpareGroups {
public:
    static constexpr std::size_t kMax = 128;
    /// What may be left of earlier boxes, files read and still cached as a rule: at most so much,
    /// and at most this part of what the next box may use.
    static constexpr std::uint64_t kLeftBytesMax = 4ull << 20, kLeftShare = 16;

    /// A set that is empty, given to `owner`; its limits are its last box's.
    std::optional<GroupSet> take(std::uint32_t owner, std::uint64_t memory_bytes);
    /// False when there are enough, or counters cannot be set back: to be removed. Pre: every
    /// process is dead, and was not killed by its groups.
    bool give_back(GroupSet set);
    /// Best effort; for the end.
    void remove();

private:
    static constexpr int kTries = 4;  ///< sets looked at, each a file to read
    std::optional<GroupSet> take_deserted();

    std::mutex mutex_;
    std::deque<GroupSet> sets_;  ///< the one that waits longest first
};

}  // namespace sphere::native
