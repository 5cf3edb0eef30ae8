#pragma once
// Where the stronger levels' programs are. Nothing of them is bundled; what is not named is not
// used, and a box that asks for it is refused.

#include <cstdint>
#include <string>

namespace sphere {

/// Level gvisor: an OCI runtime whose containers have a kernel in user space.
struct GvisorOptions {
    std::string program =
        {};  ///< "runsc", looked up in the system's folders, or a path; empty: off
    std::string platform = {};  ///< how it meets system calls: "systrap", "ptrace", "kvm"; empty:
                                ///< the first of them that works here
};

/// Level microvm: a virtual machine monitor and what it boots.
struct MicrovmOptions {
    std::string vmm = {};  ///< firecracker or qemu-system-x86_64, by name or path; empty: off
    std::string kernel =
        {};                 ///< an uncompressed kernel for firecracker, a bzImage or that for qemu
    std::string root = {};  ///< a root file system: a disk image, or an initramfs archive
    bool emulate = false;   ///< qemu only: without KVM, far slower
};

struct BackendOptions {
    GvisorOptions gvisor = {};
    MicrovmOptions microvm = {};
};

}  // namespace sphere
