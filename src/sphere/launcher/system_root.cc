#include "sphere/launcher/system_root.h"

#include <sched.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <ctime>

#include "sphere/launcher/kernel.h"

namespace sphere::launcher {
namespace {

constexpr std::uint64_t kReadOnly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

struct Text {
    const char* path;
    const char* content;
};
// Names for the one user of a box, and look-ups that need no network.
constexpr Text kTexts[] = {
    {"etc/passwd",
     "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n"
     "box:x:1000:1000:box:/workspace:/bin/sh\n"
     "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"},
    {"etc/group", "root:x:0:\nbox:x:1000:\nnogroup:x:65534:\n"},
    {"etc/hosts", "127.0.0.1 localhost\n::1 localhost\n"},
    {"etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"},
    // Where the broker answers; in other network modes nobody does, and at once.
    {"etc/resolv.conf", "nameserver 127.0.0.1\n"},
    {"etc/shells", "/bin/sh\n/bin/bash\n"},
};
// Of the host's /etc only what programs need to start, and nothing that says who runs here. Files
// are copied: every mount that can be left out makes every box cheaper.
constexpr const char* kCopiedEtc[] = {"ld.so.cache", "ld.so.conf", "localtime", "mime.types",
                                      "ssl/openssl.cnf"};
constexpr const char* kSharedEtc[] = {"alternatives", "ssl/certs"};
constexpr const char* kSystemFolders[] = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};
constexpr const char* kDevices[] = {"null", "zero", "full", "random", "urandom", "tty"};

bool make_file(const char* path, const char* content) {
    const int fd = ::open(path, O_CREAT | O_WRONLY | O_CLOEXEC | O_TRUNC, 0644);
    if (fd < 0) return false;
    const std::size_t bytes = std::strlen(content);
    const bool whole = ::write(fd, content, bytes) == static_cast<ssize_t>(bytes);
    ::close(fd);
    return whole;
}

/// Copies a file of at most 256 KiB. Absent and larger ones are left out.
bool copy_file(const char* from, const char* to) {
    static char content[256 * 1024 + 1];
    const int source = ::open(from, O_RDONLY | O_CLOEXEC);
    if (source < 0) return true;
    const ssize_t bytes = ::read(source, content, sizeof(content));
    ::close(source);
    if (bytes < 0 || bytes == sizeof(content)) return true;
    const int target = ::open(to, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    const bool copied =
        target >= 0 && ::write(target, content, static_cast<std::size_t>(bytes)) == bytes;
    ::close(target);
    return copied;
}

/// Binds `from` on `to`, which is made as a folder or a file like it. Absent things are left out.
bool bind_shared(const char* from, const char* to) {
    struct stat facts;
    if (::stat(from, &facts) != 0) return true;
    if (S_ISDIR(facts.st_mode) ? ::mkdir(to, 0755) != 0 && errno != EEXIST : !make_file(to, "")) {
        return false;
    }
    const int tree = copy_mount(AT_FDCWD, from, true);
    if (tree < 0) return false;
    const bool bound =
        restrict_mount(tree, "", kReadOnly, true) == 0 && attach_mount(tree, AT_FDCWD, to) == 0;
    ::close(tree);
    return bound;
}

bool make_system_folders() {
    if (!bind_shared("/usr", "usr")) return false;
    for (const char* name : kSystemFolders) {
        char from[32] = "/", target[128];
        std::strcat(from, name);
        const ssize_t length = ::readlink(from, target, sizeof(target) - 1);
        if (length > 0) {  // merged-usr: a link into /usr
            target[length] = '\0';
            if (::symlink(target, name) != 0) return false;
        } else if (!bind_shared(from, name)) {
            return false;
        }
    }
    return true;
}

bool make_etc() {
    if (::mkdir("etc", 0755) != 0 || ::mkdir("etc/ssl", 0755) != 0) return false;
    for (const Text& text : kTexts) {
        if (!make_file(text.path, text.content)) return false;
    }
    const auto all = [](const auto& names, bool (*give)(const char*, const char*)) {
        for (const char* name : names) {
            char from[64] = "/etc/", to[64] = "etc/";
            std::strcat(from, name);
            std::strcat(to, name);
            if (!give(from, to)) return false;
        }
        return true;
    };
    return all(kCopiedEtc, copy_file) && all(kSharedEtc, bind_shared);
}

bool make_devices() {
    if (::mkdir("pts", 0755) != 0 || ::mkdir("shm", 0755) != 0) return false;
    for (const char* name : kDevices) {
        char from[32] = "/dev/";
        std::strcat(from, name);
        if (!make_file(name, "")) return false;
        const int node = copy_mount(AT_FDCWD, from, true);
        if (node < 0) return false;
        const bool bound =
            restrict_mount(node, "", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, false) == 0 &&
            attach_mount(node, AT_FDCWD, name) == 0;
        ::close(node);
        if (!bound) return false;
    }
    return ::symlink("pts/ptmx", "ptmx") == 0 && ::symlink("/proc/self/fd", "fd") == 0 &&
           ::symlink("/proc/self/fd/0", "stdin") == 0 &&
           ::symlink("/proc/self/fd/1", "stdout") == 0 &&
           ::symlink("/proc/self/fd/2", "stderr") == 0;
}

bool mount_small(const char* path, const char* options) {
    return ::mkdir(path, 0755) == 0 &&
           ::mount("dougong", path, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
}

}  // namespace

Outcome failed(Step step) {
    return {step, errno};
}

bool write_id_map(int proc, const char* name, std::uint32_t inside, std::uint32_t outside) {
    char line[64];
    std::snprintf(line, sizeof(line), "%u %u 1", inside, outside);
    return write_whole(proc, name, line);
}

Outcome enter_user_namespace() {
    const std::uint32_t user = ::geteuid(), group = ::getegid();
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return failed(Step::user_namespace);
    if (!write_whole(AT_FDCWD, "/proc/self/setgroups", "deny") ||
        !write_id_map(AT_FDCWD, "/proc/self/uid_map", 0, user) ||
        !write_id_map(AT_FDCWD, "/proc/self/gid_map", 0, group)) {
        return failed(Step::id_map);
    }
    return {};
}

Outcome enter_time_namespace() {
    timespec monotonic, boot;
    char lines[96];
    if (::clock_gettime(CLOCK_MONOTONIC, &monotonic) != 0 ||
        ::clock_gettime(CLOCK_BOOTTIME, &boot) != 0 || ::unshare(CLONE_NEWTIME) != 0) {
        return failed(Step::clone);
    }
    std::snprintf(lines, sizeof(lines), "monotonic -%lld 0\nboottime -%lld 0\n",
                  static_cast<long long>(monotonic.tv_sec), static_cast<long long>(boot.tv_sec));
    const bool written = write_whole(AT_FDCWD, "/proc/self/timens_offsets", lines);
    return written ? Outcome{} : failed(Step::clone);
}

Outcome prepare_staging(const char* staging, bool keep_sys) {
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("dougong", staging, "tmpfs", MS_NOSUID | MS_NODEV,
                "size=1m,nr_inodes=512,mode=755") != 0 ||
        ::chdir(staging) != 0 || ::mkdir(kBoxRoot, 0755) != 0) {
        return failed(Step::staging);
    }
    // Copying a mount namespace costs by the mount; boxes need nothing of these. Best effort: in a
    // user namespace the kernel keeps them together.
    if (!keep_sys) ::umount2("/sys", MNT_DETACH);
    if (!mount_small(kSystemRoot, "size=1m,nr_inodes=256,mode=755") || ::chdir(kSystemRoot) != 0) {
        return failed(Step::staging);
    }
    for (const char* name : {"proc", "dev", "tmp", "workspace"}) {
        if (::mkdir(name, 0755) != 0) return failed(Step::system_root);
    }
    if (!make_system_folders() || !make_etc() ||
        restrict_mount(AT_FDCWD, ".", kReadOnly, false) != 0 || ::chdir("..") != 0) {
        return failed(Step::system_root);
    }
    if (!mount_small(kDeviceTree, "size=64k,nr_inodes=32,mode=755") || ::chdir(kDeviceTree) != 0 ||
        !make_devices() ||
        restrict_mount(AT_FDCWD, ".", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
                       false) != 0 ||
        ::chdir("..") != 0) {
        return failed(Step::devices);
    }
    return {};
}

}  // namespace sphere::launcher
