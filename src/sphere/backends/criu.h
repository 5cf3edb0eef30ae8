#pragma once
// Whether CRIU is here and works on this kernel. No backend uses it yet: memory is kept by live
// forks of sessions; doctor tells what a host could give.

#include <string>

#include "sphere/host_report.h"

namespace sphere::backends {

/// What `criu --version` and `criu check` said, judged. `program`: empty: there is none. Pure.
HostFact judge_criu(const std::string& program, const std::string& version_text, bool check_passed,
                    const std::string& check_text);

/// Looks for it and asks it; milliseconds, without one nothing.
HostFact criu_fact();

}  // namespace sphere::backends
