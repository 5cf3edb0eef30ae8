#pragma once
// The answers behind inspect_host, for the backend to decide by.

#include <map>
#include <string>

#include "base/core/result.h"
#include "sphere/host_report.h"
#include "sphere/native/control_groups.h"

namespace sphere::native {

/// What the launcher's probe found: 0 or an errno by primitive; Landlock's version.
struct ProbeAnswers {
    std::map<std::string, int, std::less<>> errors;
    int landlock_abi = 0;

    bool works(std::string_view name) const {
        const auto at = errors.find(name);
        return at != errors.end() && at->second == 0;
    }
    /// The launcher may mount as it is; else it makes a user namespace first.
    bool mounts_as_root() const { return works("root_mounts"); }
};
base::Result<ProbeAnswers> probe_host();

/// Probe and report of this backend's own levels.
HostReport inspect();
HostReport make_report(const ProbeAnswers& answers, const Hierarchies& hierarchies, bool as_root);

/// "memory: cgroup v1", ...: how a box's limits and walls hold here.
std::vector<std::string> mechanisms(const ProbeAnswers& answers, const Hierarchies& hierarchies,
                                    Isolation level = Isolation::full);

/// Nothing when full boxes can be made; else failed_precondition naming what is missing.
base::Result<void> require_full(const ProbeAnswers& answers);
/// The same for boxes of level process.
base::Result<void> require_process(const ProbeAnswers& answers);

}  // namespace sphere::native
