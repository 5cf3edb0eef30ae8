#pragma once
// What boxes tried on the network since it was last written down, bounded whatever they do.

#include <cstdint>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "sphere/sphere.h"

namespace sphere::guard {

/// Thread-safe.
class NetworkLedger {
public:
    /// Of one box between two calls of take: what more is only counted.
    static constexpr std::size_t kListedMax = 64, kRefusedAloneMax = 64;

    /// True when the attempt is to have an event of its own: it was refused, and the box has not
    /// had kRefusedAloneMax of them yet. Everything else is for take.
    bool add(const SandboxId& id, const NetworkAttempt& attempt);

    struct Taken {
        std::vector<NetworkAttempt> listed;
        std::uint64_t more = 0;
    };
    Taken take(const SandboxId& id);
    void forget(const SandboxId& id);

private:
    struct Page {
        Taken taken;
        std::size_t refused_alone = 0;
    };
    std::mutex mutex_;
    std::unordered_map<SandboxId, Page> pages_;  // guarded by mutex_; one a box, until forget
};

}  // namespace sphere::guard
