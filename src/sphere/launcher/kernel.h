#pragma once
// System calls and structures that the C library of Debian 12 does not name, and small helpers over
// those it does. All return 0 or a descriptor, or -1 with errno.

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace sphere::launcher {

#ifndef LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET
#define LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET (1ULL << 0)
#define LANDLOCK_SCOPE_SIGNAL (1ULL << 1)
#endif

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

struct CloneArgs {
    std::uint64_t flags = 0, pidfd = 0, child_tid = 0, parent_tid = 0, exit_signal = 0, stack = 0,
                  stack_size = 0, tls = 0, set_tid = 0, set_tid_size = 0, cgroup = 0;
};
inline constexpr std::uint64_t kCloneIntoCgroup = 0x200000000ull;

inline long clone3(CloneArgs& args) {
    return ::syscall(SYS_clone3, &args, sizeof(args));
}
inline int send_signal(int pidfd, int number) {
    return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, number, nullptr, 0u));
}
inline int close_from(unsigned first) {
    // Not ~0u: gVisor takes the bounds for signed numbers.
    return static_cast<int>(::syscall(SYS_close_range, first, 0x7fffffffu, 0u));
}
inline int pivot_to_here() {
    return static_cast<int>(::syscall(SYS_pivot_root, ".", "."));
}
/// Adds `attributes` (MOUNT_ATTR_*) to the mount at `path`; with `below` to all under it, too.
inline int restrict_mount(int folder, const char* path, std::uint64_t attributes, bool below) {
    mount_attr change{};
    change.attr_set = attributes;
    return ::mount_setattr(folder, path, AT_EMPTY_PATH | (below ? AT_RECURSIVE : 0), &change,
                           sizeof(change));
}
/// A detached copy of the mount at `path`.
inline int copy_mount(int folder, const char* path, bool below) {
    return ::open_tree(folder, path,
                       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH |
                           (below ? static_cast<unsigned>(AT_RECURSIVE) : 0u));
}
/// Puts a detached mount on `folder`/`path`; an empty path means the folder itself.
inline int attach_mount(int mount, int folder, const char* path) {
    return ::move_mount(mount, "", folder, path,
                        MOVE_MOUNT_F_EMPTY_PATH | (*path == '\0' ? MOVE_MOUNT_T_EMPTY_PATH : 0u));
}
/// A folder of `root` by one name that is no symlink, or -1.
inline int open_folder_no_links(int root, const char* name) {
    struct {
        std::uint64_t flags, mode, resolve;
    } how{O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, 0,
          0x04 | 0x08};  // RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH
    return static_cast<int>(::syscall(SYS_openat2, root, name, &how, sizeof(how)));
}
inline bool write_whole(int folder, const char* path, const char* text) {
    const int fd = ::openat(folder, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return false;
    const std::size_t bytes = std::strlen(text);
    const bool written = ::write(fd, text, bytes) == static_cast<ssize_t>(bytes);
    ::close(fd);
    return written;
}

}  // namespace sphere::launcher
