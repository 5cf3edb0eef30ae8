#pragma once
// The system calls a box may make, as a filter for the kernel: an allow list. What is dangerous is
// answered with EPERM, what is newer than the list with ENOSYS, so that programs fall back; calls
// through another architecture's table end the process.

#include <linux/filter.h>

#include <vector>

#include "base/core/result.h"

namespace sphere::native {

struct SeccompOptions {
    bool affinity = true;  ///< false where keeping to processors is how the cpu limit works
};

/// Errors: internal when libseccomp refuses a rule, unavailable when memory is out.
base::Result<std::vector<sock_filter>> build_seccomp_program(const SeccompOptions& options = {});

}  // namespace sphere::native
