#pragma once
// What this host lets a sandbox be made of, found by trying. `dougong sandbox doctor` prints it.

#include <string>
#include <vector>

#include "sphere/spec.h"

namespace sphere {

enum class Finding : std::uint8_t { works, weaker, missing };

struct HostFact {
    std::string primitive;  ///< "user namespaces", "landlock", "memory limit", ...
    Finding finding = Finding::missing;
    std::string detail;       ///< "ABI 7", "cgroup v1 at /sys/fs/cgroup/memory"
    std::string consequence;  ///< what is weaker without it, and what to do; empty when it works
};

struct HostReport {
    std::vector<HostFact> facts;
    std::vector<Isolation> levels;  ///< that boxes can have here, ascending
    bool as_root = false;
};

/// Tries each primitive in a child process; leaves nothing behind. Takes a few milliseconds.
HostReport inspect_host();

}  // namespace sphere
