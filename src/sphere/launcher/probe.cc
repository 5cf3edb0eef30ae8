#include "sphere/launcher/probe.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>

#include "sphere/launcher/confine.h"
#include "sphere/launcher/kernel.h"

namespace sphere::launcher {
namespace {

/// In children: as root directly, else inside a user namespace, where boxes are made too.
int enter_as_launcher() {
    if (::geteuid() == 0 && ::unshare(CLONE_NEWNS) == 0) return 0;
    return enter_user_namespace().error;
}

int try_namespace(int flag) {
    if (const int entered = enter_as_launcher(); entered != 0 && flag != CLONE_NEWUSER) {
        return entered;
    }
    return ::unshare(flag) == 0 ? 0 : errno;
}

int try_clocks() {
    if (const int entered = enter_as_launcher(); entered != 0) return entered;
    return enter_time_namespace().error;
}

int try_tmpfs() {
    if (const int entered = enter_as_launcher(); entered != 0) return entered;
    const int context = ::fsopen("tmpfs", FSOPEN_CLOEXEC);
    if (context < 0) return errno;
    return ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0 &&
                   ::fsmount(context, FSMOUNT_CLOEXEC, 0) >= 0
               ? 0
               : errno;
}

/// /proc of a fresh process namespace, as a box mounts it.
int try_proc() {
    if (const int entered = enter_as_launcher(); entered != 0) return entered;
    CloneArgs args;
    args.flags = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS;
    args.exit_signal = SIGCHLD;
    const long pid = clone3(args);
    if (pid < 0) return errno;
    if (pid == 0) {
        const bool mounted = ::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                                     "subset=pid,hidepid=invisible") == 0;
        ::_exit(mounted ? 0 : errno);
    }
    int status = 0;
    ::waitpid(static_cast<pid_t>(pid), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

int try_seccomp() {
    sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    const sock_fprog program{1, &allow};
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    return install_filter(program).error;
}

struct Trial {
    const char* name;
    int (*run)();
};
constexpr Trial kTrials[] = {
    {"user_namespace", [] { return try_namespace(CLONE_NEWUSER); }},
    {"mount_namespace", [] { return enter_as_launcher(); }},
    {"pid_namespace", [] { return try_namespace(CLONE_NEWPID); }},
    {"network_namespace", [] { return try_namespace(CLONE_NEWNET); }},
    {"ipc_namespace", [] { return try_namespace(CLONE_NEWIPC); }},
    {"uts_namespace", [] { return try_namespace(CLONE_NEWUTS); }},
    {"cgroup_namespace", [] { return try_namespace(CLONE_NEWCGROUP); }},
    {"time_namespace", try_clocks},
    {"tmpfs", try_tmpfs},
    {"proc", try_proc},
    {"seccomp", try_seccomp},
    {"root_mounts", [] { return ::unshare(CLONE_NEWNS) == 0 ? 0 : errno; }},
};

int in_child(int (*run)()) {
    const pid_t pid = ::fork();
    if (pid < 0) return errno;
    if (pid == 0) ::_exit(run() & 0xff);
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
}

void tell(const char* name, int number) {
    char line[96];
    const int bytes = std::snprintf(line, sizeof(line), "%s\t%d\n", name, number);
    if (::write(1, line, static_cast<std::size_t>(bytes)) != bytes) ::_exit(1);
}

}  // namespace

int run_probe() {
    for (const Trial& trial : kTrials) tell(trial.name, in_child(trial.run));
    const int abi = landlock_abi();
    tell("landlock", abi < 0 ? 0 : abi);
    return 0;
}

}  // namespace sphere::launcher
