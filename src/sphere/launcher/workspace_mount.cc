#include "sphere/launcher/workspace_mount.h"

#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "sphere/launcher/kernel.h"

namespace sphere::launcher {
namespace {

constexpr unsigned kAttributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

/// A file system being set up; every step after a failed one does nothing.
class Context {
public:
    explicit Context(const char* kind) : fd_(::fsopen(kind, FSOPEN_CLOEXEC)), good_(fd_ >= 0) {}
    ~Context() { ::close(fd_); }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    void set(const char* key, const char* value) {
        good_ = good_ && ::fsconfig(fd_, FSCONFIG_SET_STRING, key, value, 0) == 0;
    }
    void set(const char* key, std::uint64_t value) {
        char number[32];
        std::snprintf(number, sizeof(number), "%llu", static_cast<unsigned long long>(value));
        set(key, number);
    }
    void set_flag(const char* key) {
        good_ = good_ && ::fsconfig(fd_, FSCONFIG_SET_FLAG, key, nullptr, 0) == 0;
    }
    int mount() {
        good_ = good_ && ::fsconfig(fd_, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
        return good_ ? ::fsmount(fd_, FSMOUNT_CLOEXEC, kAttributes) : -1;
    }

private:
    int fd_;
    bool good_;
};

/// Of this launcher's user namespace, so that the server may write there, owned by the box.
int mount_memory(const WorkspaceRequest& request) {
    Context context("tmpfs");
    context.set("size", request.bytes);
    context.set("nr_inodes", request.inodes);
    context.set("uid", request.host_id);
    context.set("gid", request.host_id);
    context.set("mode", "0755");
    return context.mount();
}

int make_folder(int at, const char* name, std::uint32_t owner) {
    if (::mkdirat(at, name, 0755) != 0) return -1;
    const int folder = ::openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (folder >= 0 && ::fchown(folder, owner, owner) == 0) return folder;
    ::close(folder);
    return -1;
}

/// Folders go in by descriptor, as names under /proc: a path could be anything by now.
int mount_overlay(const WorkspaceRequest& request, int upper, int work) {
    char name[32], lowers[kLayersMax * 24] = "";
    for (std::uint32_t i = 0; i < request.layer_count; ++i) {
        std::snprintf(name, sizeof(name), "%s/proc/self/fd/%d", i == 0 ? "" : ":",
                      request.layers[i]);
        std::strcat(lowers, name);
    }
    Context context("overlay");
    context.set("lowerdir", lowers);
    std::snprintf(name, sizeof(name), "/proc/self/fd/%d", upper);
    context.set("upperdir", name);
    std::snprintf(name, sizeof(name), "/proc/self/fd/%d", work);
    context.set("workdir", name);
    // Nothing that a layer's own attributes say may lead anywhere, whoever wrote them.
    context.set("redirect_dir", "nofollow");
    context.set("metacopy", "off");
    if (request.user_attributes) context.set_flag("userxattr");
    return context.mount();
}

/// A mount of its own of a folder below a detached mount; lives as long as the descriptor. Kernels
/// before 6.15 cannot: their plain folder can be sealed and copied, but is no layer.
int second_mount(int mount, const char* folder) {
    const int second = copy_mount(mount, folder, false);
    if (second >= 0) return second;
    return ::openat(mount, *folder == '\0' ? "." : folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

struct Copied {
    int temporary, shared, error;
};

/// In a process that shares our descriptors but not our mounts.
Copied enter_and_copy(int pid) {
    Copied copied{-1, -1, 0};
    char path[48];
    std::snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
    const int theirs = ::open(path, O_RDONLY | O_CLOEXEC);
    if (theirs >= 0 && ::setns(theirs, CLONE_NEWNS) == 0) {
        copied.temporary = copy_mount(AT_FDCWD, "/tmp", false);
        copied.shared = copy_mount(AT_FDCWD, "/dev/shm", false);
    }
    copied.error = errno;
    if (theirs >= 0) ::close(theirs);
    return copied;
}

}  // namespace

Outcome make_workspace(const WorkspaceRequest& request, WorkspaceMount& made) {
    if (request.layer_count > kLayersMax) return {Step::workspace, E2BIG};
    const int memory = mount_memory(request);
    if (memory < 0) return failed(Step::workspace);
    if (request.layer_count == 0) {
        made.mount = memory;
        made.layer = second_mount(memory, "");
        return made.layer < 0 ? failed(Step::workspace) : Outcome{};
    }
    const int upper = make_folder(memory, "upper", request.host_id);
    const int work = make_folder(memory, "work", request.host_id);
    if (upper >= 0 && work >= 0) made.mount = mount_overlay(request, upper, work);
    if (made.mount >= 0) made.layer = second_mount(memory, "upper");
    const Outcome outcome = made.layer < 0 ? failed(Step::workspace) : Outcome{};
    for (const int fd : {upper, work, memory}) {
        if (fd >= 0) ::close(fd);
    }
    return outcome;
}

Outcome seal_layer(int layer, bool read_only) {
    const int context = ::fspick(layer, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC);
    if (context < 0) return failed(Step::seal);
    const bool done =
        ::fsconfig(context, FSCONFIG_SET_FLAG, read_only ? "ro" : "rw", nullptr, 0) == 0 &&
        ::fsconfig(context, FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0) == 0;
    const Outcome outcome = done ? Outcome{} : failed(Step::seal);
    ::close(context);
    return outcome;
}

Outcome copy_temporary(int pid, int& temporary, int& shared) {
    int told[2];
    if (::pipe2(told, O_CLOEXEC | O_NONBLOCK) != 0) return failed(Step::keep_temporary);
    CloneArgs args;
    args.flags = CLONE_FILES;
    args.exit_signal = SIGCHLD;
    const long helper = clone3(args);
    Copied copied{-1, -1, errno};
    if (helper == 0) {
        copied = enter_and_copy(pid);
        ::_exit(::write(told[1], &copied, sizeof(copied)) == sizeof(copied) ? 0 : 1);
    }
    if (helper > 0) {
        ::waitpid(static_cast<pid_t>(helper), nullptr, 0);
        if (::read(told[0], &copied, sizeof(copied)) != sizeof(copied)) copied.error = errno;
    }
    ::close(told[0]);
    ::close(told[1]);
    temporary = copied.temporary;
    shared = copied.shared;
    if (temporary >= 0 && shared >= 0) return {};
    return {Step::keep_temporary, copied.error};
}

}  // namespace sphere::launcher
