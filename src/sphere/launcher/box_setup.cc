#include "sphere/launcher/box_setup.h"

#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "sphere/launcher/box_network.h"
#include "sphere/launcher/confine.h"
#include "sphere/launcher/kernel.h"

namespace sphere::launcher {
namespace {

bool mount_sized(const char* path, std::uint64_t bytes, std::uint64_t inodes) {
    char options[96];
    std::snprintf(options, sizeof(options), "size=%llu,nr_inodes=%llu,mode=1777",
                  static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(inodes));
    return ::mount("dougong", path, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
}

/// Mounts what becomes "/" on kBoxRoot, read-only.
Outcome mount_template(int template_root) {
    const int tree = copy_mount(template_root, "", true);
    constexpr std::uint64_t kReadOnly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    if (tree < 0 || restrict_mount(tree, "", kReadOnly, true) != 0 ||
        attach_mount(tree, AT_FDCWD, kBoxRoot) != 0) {
        return failed(Step::template_root);
    }
    ::close(tree);
    return {};
}

/// `folder` as this mount namespace has it: mounts of another one cannot be copied from. Found by
/// its path and only taken when it is the same folder.
int find_here(int folder) {
    char link[32], path[4096];
    std::snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
    const ssize_t length = ::readlink(link, path, sizeof(path) - 1);
    if (length < 0) return -1;
    path[length] = '\0';
    const int here = ::open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat given, found;
    if (here < 0 || ::fstat(folder, &given) != 0 || ::fstat(here, &found) != 0) return -1;
    if (given.st_dev == found.st_dev && given.st_ino == found.st_ino) return here;
    errno = ESTALE;
    return -1;
}

/// Enters `name` below the box's root. A template's own names are never followed: whatever stands
/// at a mount point must be a real folder.
bool enter(int root, const char* name) {
    const int folder = open_folder_no_links(root, name);
    if (folder < 0) return false;
    const bool entered = ::fchdir(folder) == 0;
    ::close(folder);
    return entered;
}

Outcome mount_private(const Create& create, const BoxDescriptors& fds, int root) {
    if (!enter(root, "dev") || ::mount("dougong", "pts", "devpts", MS_NOSUID | MS_NOEXEC,
                                       "newinstance,ptmxmode=0666,mode=0600,max=64") != 0) {
        return failed(Step::devices);
    }
    const auto mount_temporary = [&](int kept, const char* path) {
        return kept >= 0 ? attach_mount(kept, AT_FDCWD, path) == 0
                         : mount_sized(path, create.tmp_bytes, create.inodes);
    };
    if (!mount_temporary(fds.shared, "shm") || !enter(root, "tmp") ||
        !mount_temporary(fds.temporary, ".")) {
        return failed(Step::temporary);
    }
    if (!enter(root, "workspace") || attach_mount(fds.workspace, AT_FDCWD, ".") != 0) {
        return failed(Step::workspace);
    }
    if (!enter(root, "proc") || ::mount("proc", ".", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                                        "subset=pid,hidepid=invisible") != 0) {
        return failed(Step::proc);
    }
    return {};
}

/// Born in a copy of the system's namespace: "/" is what it stays.
Outcome fill_system(const Create& create, const BoxDescriptors& fds) {
    const int root = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return failed(Step::system_root);
    const Outcome filled = mount_private(create, fds, root);
    if (!filled) return filled;
    return ::chdir("/") == 0 ? Outcome{} : failed(Step::system_root);
}

Outcome make_root(const Create& create, const BoxDescriptors& fds) {
    if (fds.template_root < 0) return fill_system(create, fds);
    const int devices = copy_mount(AT_FDCWD, kDeviceTree, true);
    if (devices < 0) return failed(Step::devices);
    const Outcome mounted = mount_template(fds.template_root);
    if (!mounted) return mounted;
    const int root = ::open(kBoxRoot, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return failed(Step::pivot);
    if (!enter(root, "dev") || attach_mount(devices, AT_FDCWD, ".") != 0) {
        return failed(Step::devices);
    }
    const Outcome filled = mount_private(create, fds, root);
    if (!filled) return filled;
    // The old root ends up under the new one and is let go; nothing of the host stays reachable.
    if (::fchdir(root) != 0 || pivot_to_here() != 0 || ::umount2(".", MNT_DETACH) != 0 ||
        ::chdir("/") != 0) {
        return failed(Step::pivot);
    }
    return {};
}

/// By "0" in `tasks`: a single thread that moves itself. Any other way takes a lock of the kernel's
/// whose writer waits for a grace period, some 10 ms unless somebody just did the same.
Outcome join_groups(const BoxDescriptors& fds) {
    for (const int group : fds.joins) {
        if (group >= 0 && ::write(group, "0", 1) != 1) return failed(Step::cgroup);
    }
    return {};
}

Outcome take_identity(const Create& create) {
    if (create.host_id != 0 &&
        (::setgroups(0, nullptr) != 0 || ::setresgid(kInsideId, kInsideId, kInsideId) != 0 ||
         ::setresuid(kInsideId, kInsideId, kInsideId) != 0)) {
        return failed(Step::identity);
    }
    // After the ids: changing them would clear it.
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return failed(Step::identity);
    if (::unshare(CLONE_NEWCGROUP) != 0 ||
        ::sethostname(create.hostname, ::strnlen(create.hostname, sizeof(create.hostname))) != 0) {
        return failed(Step::identity);
    }
    return {};
}

}  // namespace

Outcome set_up_box(const Create& create, const BoxDescriptors& fds) {
    const Outcome joined = join_groups(fds);
    if (!joined) return joined;
    char go = 0;
    if (::read(fds.go, &go, 1) != 1) return {Step::id_map, ECANCELED};
    BoxDescriptors here = fds;
    // Before the identity changes: the way to a template may be closed to the box's user.
    if (fds.template_root >= 0 && (here.template_root = find_here(fds.template_root)) < 0) {
        return failed(Step::template_root);
    }
    Outcome outcome = take_identity(create);
    if (outcome) outcome = make_root(create, here);
    if (outcome && (create.flags & kLoopback) != 0) outcome = set_up_network(create, fds.server);
    if (outcome) outcome = drop_privileges();
    if (outcome) outcome = restrict_files((create.flags & kLoopback) != 0);
    return outcome;
}

}  // namespace sphere::launcher
