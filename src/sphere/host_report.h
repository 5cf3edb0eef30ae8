#pragma once
// What this host lets a sandbox be made of, found by trying. `dougong sandbox doctor` prints it.

#include <string>
#include <vector>

#include "sphere/backend_options.h"
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

/// Tries each primitive in a child process, and each backend that `backends` names; leaves nothing
/// behind. Takes a few milliseconds, with level gvisor some hundred. A fact "isolation <level>"
/// says of every level whether it is there, by what, and what is missing.
HostReport inspect_host(const BackendOptions& backends = {});

}  // namespace sphere
