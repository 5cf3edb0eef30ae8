#include "sphere/launcher/system_space.h"

#include <poll.h>
#include <sched.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "sphere/launcher/kernel.h"

namespace sphere::launcher {
namespace {

/// In process 1 of a process namespace that ends with it. A box may mount a /proc only where one is
/// seen already; this one, below it, has nothing in it for ever.
Outcome become_system() {
    const int tree = copy_mount(AT_FDCWD, kSystemRoot, true);
    const int devices = copy_mount(AT_FDCWD, kDeviceTree, true);
    if (tree < 0 || devices < 0 || attach_mount(tree, AT_FDCWD, kBoxRoot) != 0 ||
        ::chdir(kBoxRoot) != 0 || attach_mount(devices, AT_FDCWD, "dev") != 0) {
        return failed(Step::system_root);
    }
    if (::mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                "subset=pid,hidepid=invisible") != 0) {
        return failed(Step::proc);
    }
    if (pivot_to_here() != 0 || ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0) {
        return failed(Step::pivot);
    }
    return {};
}

/// Tells how it went and stays until the namespace is held.
[[noreturn]] void be_system(int told, int held) {
    const Outcome outcome = become_system();
    char byte;
    ::_exit(::write(told, &outcome, sizeof(outcome)) == sizeof(outcome) &&
                    ::read(held, &byte, 1) >= 0
                ? 0
                : 1);
}

int open_space(long pid) {
    char path[48];
    std::snprintf(path, sizeof(path), "/proc/%ld/ns/mnt", pid);
    return ::open(path, O_RDONLY | O_CLOEXEC);
}

}  // namespace

Outcome SystemSpace::make() {
    own_ = ::open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    staging_ = ::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    int told[2], held[2];
    if (own_ < 0 || staging_ < 0 || ::pipe2(told, O_CLOEXEC) != 0) {
        return failed(Step::mount_namespace);
    }
    if (::pipe2(held, O_CLOEXEC) != 0) return failed(Step::mount_namespace);
    CloneArgs args;
    args.flags = CLONE_NEWNS | CLONE_NEWPID;
    args.exit_signal = SIGCHLD;
    const long maker = clone3(args);
    if (maker == 0) {
        ::close(held[1]);
        be_system(told[1], held[0]);
    }
    Outcome outcome = failed(Step::mount_namespace);
    ::close(told[1]);
    ::close(held[0]);
    if (maker > 0) {
        if (::read(told[0], &outcome, sizeof(outcome)) != sizeof(outcome)) {
            outcome = {Step::mount_namespace, ECHILD};
        } else if (outcome && (space_ = open_space(maker)) < 0) {
            outcome = failed(Step::mount_namespace);
        }
    }
    ::close(told[0]);
    ::close(held[1]);
    if (maker > 0) ::waitpid(static_cast<pid_t>(maker), nullptr, 0);
    return outcome;
}

Outcome SystemSpace::enter() const {
    return ::setns(space_, CLONE_NEWNS) == 0 ? Outcome{} : failed(Step::mount_namespace);
}

void SystemSpace::leave() const {
    if (::setns(own_, CLONE_NEWNS) != 0 || ::fchdir(staging_) != 0) ::_exit(1);
}

}  // namespace sphere::launcher
