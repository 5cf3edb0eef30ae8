#pragma once
// The system calls a box may make, as a filter for the kernel: an allow list. What is dangerous is
// answered with EPERM, what is newer than the list with ENOSYS, so that programs fall back; calls
// through another architecture's table end the process.

#include <linux/filter.h>

#include <cstdint>
#include <vector>

#include "base/core/result.h"

namespace sphere::native {

/// What an allow list must still keep apart where no namespace does.
enum class SharedWith : std::uint8_t {
    nobody,  ///< in namespaces of its own
    host,    ///< level process, as a user that nothing else has
    user,    ///< level process, as the user whose other programs run here, too
};

struct SeccompOptions {
    SharedWith shared = SharedWith::nobody;
    bool affinity = true;  ///< false where keeping to processors is how the cpu limit works
};

/// Errors: internal when libseccomp refuses a rule, unavailable when memory is out.
base::Result<std::vector<sock_filter>> build_seccomp_program(const SeccompOptions& options = {});

/// The same list as two filters, which the kernel applies both: it takes the stricter answer.
/// Compiling a list takes the kernel longer than a fork, so the long one is installed once.
struct SeccompPrograms {
    /// In the launcher and all that it begins: the list, and what it takes to make boxes and to
    /// start commands in them. Empty at level process.
    std::vector<sock_filter> common;
    std::vector<sock_filter> command;  ///< on top, in each command: takes that away again
};
base::Result<SeccompPrograms> build_seccomp_programs(const SeccompOptions& options = {});

}  // namespace sphere::native
