#include "sphere/launcher/guest_setup.h"

#include <grp.h>
#include <linux/capability.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "sphere/launcher/confine.h"
#include "sphere/launcher/kernel.h"

namespace sphere::launcher {
namespace {

bool mount_at(const char* kind, const char* path, unsigned long flags, const char* options) {
    if (::mkdir(path, 0755) != 0 && errno != EEXIST && errno != EROFS) return false;
    return ::mount(kind, path, kind, flags, options) == 0 || errno == EBUSY;
}

bool mount_sized(const char* path, std::uint64_t bytes, const GuestSetup& setup, int mode) {
    char options[128];
    std::snprintf(options, sizeof(options), "size=%llu,nr_inodes=%llu,mode=%o,uid=%u,gid=%u",
                  static_cast<unsigned long long>(bytes),
                  static_cast<unsigned long long>(setup.inodes), mode, kInsideId, kInsideId);
    return mount_at("tmpfs", path, MS_NOSUID | MS_NODEV, options);
}

/// The root image, if there is one, read-only, in place of the initial file system. Its type is
/// found by trying.
Outcome enter_disk() {
    if (::access(kGuestDisk, F_OK) != 0) return {};
    if (::mkdir("/root", 0755) != 0 && errno != EEXIST) return failed(Step::template_root);
    bool mounted = false;
    for (const char* kind : {"ext4", "squashfs", "erofs", "xfs", "btrfs"}) {
        mounted = mounted || ::mount(kGuestDisk, "/root", kind, MS_RDONLY | MS_NOSUID | MS_NODEV,
                                     nullptr) == 0;
    }
    if (!mounted || ::chdir("/root") != 0 ||
        ::mount("/dev", "dev", nullptr, MS_MOVE, nullptr) != 0 ||
        ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0 ||
        ::chdir("/") != 0) {
        return failed(Step::template_root);
    }
    return {};
}

Outcome mount_machine(const GuestSetup& setup) {
    if (!mount_at("devtmpfs", "/dev", MS_NOSUID, "mode=755")) return failed(Step::devices);
    const Outcome entered = enter_disk();
    if (!entered) return entered;
    if (!mount_at("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible")) {
        return failed(Step::proc);
    }
    if (!mount_at("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC,
                  "newinstance,ptmxmode=0666,mode=0600,max=64") ||
        !mount_sized("/dev/shm", setup.tmp_bytes, setup, 01777)) {
        return failed(Step::devices);
    }
    ::unlink("/dev/ptmx");
    if (::symlink("pts/ptmx", "/dev/ptmx") != 0) return failed(Step::devices);
    if (!mount_sized("/tmp", setup.tmp_bytes, setup, 01777)) return failed(Step::temporary);
    if (!mount_sized("/workspace", setup.workspace_bytes, setup, 0755)) {
        return failed(Step::workspace);
    }
    ::sethostname("sandbox", 7);
    return {};
}

Outcome raise_loopback() {
    const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) return failed(Step::loopback);
    ifreq request{};
    std::strcpy(request.ifr_name, "lo");
    bool raised = ::ioctl(socket, SIOCGIFFLAGS, &request) == 0;
    if (raised && (request.ifr_flags & IFF_UP) == 0) {
        request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
        raised = ::ioctl(socket, SIOCSIFFLAGS, &request) == 0;
    }
    const Outcome outcome = raised ? Outcome{} : failed(Step::loopback);
    ::close(socket);
    return outcome;
}

/// The agent keeps what it has; a program that a command executes can gain nothing.
Outcome close_the_bounds() {
    for (int capability = 0; ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability) {
        if (::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1 &&
            ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
            return failed(Step::privileges);
        }
    }
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return failed(Step::privileges);
    }
    return {};
}

}  // namespace

Outcome set_up_guest(const GuestSetup& setup) {
    if ((setup.flags & kGuestMachine) != 0) {
        const Outcome mounted = mount_machine(setup);
        if (!mounted) return mounted;
    }
    if (::getpid() != 1) return {};  // an ordinary process, in a test: lo is not its to change
    // Down otherwise, but for gVisor's, whose kernel begins with it up and hangs without.
    const Outcome raised = (setup.flags & kGuestLoopback) != 0 ? raise_loopback() : Outcome{};
    return raised ? close_the_bounds() : raised;
}

Outcome become_guest_user() {
    const Outcome lowered = lower_limits();
    if (!lowered) return lowered;
    // Also where the agent is no process 1: without it there would be no filter.
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed(Step::privileges);
    if (::geteuid() != 0) return {};
    if (::setgroups(0, nullptr) != 0 || ::setresgid(kInsideId, kInsideId, kInsideId) != 0 ||
        ::setresuid(kInsideId, kInsideId, kInsideId) != 0) {
        return failed(Step::identity);
    }
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[2] = {};
    if (::syscall(SYS_capset, &head, none) != 0) return failed(Step::privileges);
    return {};
}

}  // namespace sphere::launcher
