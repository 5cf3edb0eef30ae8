#include "sphere/launcher/stage.h"

#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "sphere/launcher/channel.h"
#include "sphere/launcher/kernel.h"
#include "sphere/launcher/reaper.h"
#include "sphere/launcher/system_root.h"

namespace sphere::launcher {
namespace {

constexpr int kServerFd = 3, kConfigFd = 4, kFirstJoin = 5;

struct Stage {
    const char* staging = nullptr;
    std::uint64_t workspace_bytes = 0, inodes = 0;
    const char* root = nullptr;
    bool as_user = false;
    int joins = 0;
    char** runtime = nullptr;
};

int fail(Outcome outcome) {
    struct {
        char kind;
        std::uint8_t step;
        std::uint16_t error;
    } told{'e', static_cast<std::uint8_t>(outcome.step), static_cast<std::uint16_t>(outcome.error)};
    send_packet(kServerFd, std::as_bytes(std::span(&told, 1)));
    return 1;
}

bool copy_whole(int from, const char* to, unsigned mode) {
    static char content[64 * 1024];
    const int target = ::open(to, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, mode);
    if (target < 0 || ::lseek(from, 0, SEEK_SET) != 0) return false;
    ssize_t got = 0;
    bool whole = true;
    while (whole && (got = ::read(from, content, sizeof(content))) > 0) {
        whole = ::write(target, content, static_cast<std::size_t>(got)) == got;
    }
    ::close(target);
    return whole && got == 0;
}

Outcome join_groups(const Stage& stage) {
    for (int i = 0; i < stage.joins; ++i) {
        if (::write(kFirstJoin + i, "0", 1) != 1) return failed(Step::cgroup);
    }
    return {};
}

bool mount_small(const char* path, const char* options) {
    return ::mount("dougong", path, "tmpfs", MS_NOSUID | MS_NODEV, options) == 0;
}

/// bundle/root: the host's system or a prepared folder, read-only. The agent's folder is mounted on
/// dev/dougong, which a runtime wants to find there.
Outcome prepare_root(const Stage& stage) {
    const bool host = std::strcmp(stage.root, "-") == 0;
    const int tree = copy_mount(AT_FDCWD, host ? kSystemRoot : stage.root, true);
    constexpr std::uint64_t kReadOnly = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    if (tree < 0 || ::mkdir("bundle/root", 0755) != 0 ||
        restrict_mount(tree, "", kReadOnly, true) != 0 ||
        attach_mount(tree, AT_FDCWD, "bundle/root") != 0) {
        return failed(Step::template_root);
    }
    ::close(tree);
    const int root = ::open("bundle/root", O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (const char* name : {"proc", "tmp", "workspace", "dev"}) {
        const int folder = open_folder_no_links(root, name);
        if (folder < 0 || ::fchdir(folder) != 0) return failed(Step::template_root);
        ::close(folder);
    }
    ::close(root);
    if (!mount_small(".", "size=64k,mode=755") || ::chdir(stage.staging) != 0) {
        return failed(Step::template_root);
    }
    for (const char* name : {"dougong", "pts", "shm"}) {
        char path[64] = "bundle/root/dev/";
        if (::mkdir(std::strcat(path, name), 0755) != 0) return failed(Step::template_root);
    }
    return {};
}

Outcome prepare(const Stage& stage) {
    const int self = ::open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (self < 0) return failed(Step::staging);
    const Outcome prepared = prepare_staging(stage.staging, true);
    if (!prepared) return prepared;
    // Room for what the runtime writes down and for the agent; the staging tmpfs itself is small.
    if (::mkdir("bundle", 0755) != 0 || !mount_small("bundle", "size=16m,mode=755") ||
        ::mkdir("bundle/agent", 0755) != 0 || ::mkdir("bundle/state", 0700) != 0 ||
        ::mkdir("bundle/workspace", 0755) != 0 || !copy_whole(self, "bundle/agent/agent", 0755) ||
        !copy_whole(kConfigFd, "bundle/config.json", 0644)) {
        return failed(Step::staging);
    }
    ::close(self);
    ::close(kConfigFd);
    char options[96];
    const unsigned owner = stage.as_user ? 0 : kInsideId;
    std::snprintf(options, sizeof(options), "size=%llu,nr_inodes=%llu,mode=%s,uid=%u,gid=%u",
                  static_cast<unsigned long long>(stage.workspace_bytes),
                  static_cast<unsigned long long>(stage.inodes), stage.as_user ? "1777" : "0755",
                  owner, owner);
    if (::mount("dougong", "bundle/workspace", "tmpfs", MS_NOSUID | MS_NODEV, options) != 0) {
        return failed(Step::workspace);
    }
    const Outcome rooted = prepare_root(stage);
    if (!rooted) return rooted;
    // Limits are ours, set on all of this from outside: the runtime has no business with groups.
    mount_small("/sys/fs/cgroup", "size=64k,mode=755");
    // It looks at its own processes.
    if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
        return failed(Step::proc);
    }
    return {};
}

Outcome tell_ready() {
    const int workspace = ::open("bundle/workspace", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char kind = 'w';
    const int fds[1] = {workspace};
    if (workspace < 0 || !send_packet(kServerFd, std::as_bytes(std::span(&kind, 1)), fds)) {
        return failed(Step::workspace);
    }
    ::close(workspace);
    return {};
}

[[noreturn]] void run_runtime(const Stage& stage) {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    close_from(3);
    ::execv(stage.runtime[0], stage.runtime);
    ::_exit(127);
}

/// Process 1 of the stage: reaps, and ends with the runtime or with the server; with it everything.
[[noreturn]] void keep(const Stage& stage) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    Outcome outcome = prepare(stage);
    if (outcome) outcome = tell_ready();
    if (!outcome) ::_exit(fail(outcome));
    const int children = watch_children();
    const pid_t runtime = ::fork();
    if (runtime == 0) run_runtime(stage);
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(null, 0);  // the runtime's own ends are the only ones
    ::dup2(null, 1);
    for (;;) {
        pollfd waits[2] = {{kServerFd, POLLIN, 0}, {children, POLLIN, 0}};
        if (::poll(waits, 2, -1) < 0 && errno != EINTR) ::_exit(1);
        if (waits[0].revents != 0) ::_exit(0);
        reap_children(children, [&](pid_t pid, int status, const rusage&) {
            if (pid == runtime) ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
        });
    }
}

}  // namespace

int run_stage(int argc, char** argv) {
    if (argc < 7) return 64;
    const Stage stage{
        argv[0], std::strtoull(argv[1], nullptr, 10), std::strtoull(argv[2], nullptr, 10),
        argv[3], std::strcmp(argv[4], "user") == 0,   std::atoi(argv[5]),
        argv + 6};
    close_from(static_cast<unsigned>(kFirstJoin + stage.joins));
    Outcome outcome = join_groups(stage);
    if (outcome && stage.as_user) outcome = enter_user_namespace();
    if (!outcome) return fail(outcome);
    CloneArgs args;
    args.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
    args.exit_signal = SIGCHLD;
    const long pid = clone3(args);
    if (pid < 0) return fail(failed(Step::clone));
    if (pid == 0) keep(stage);
    ::close(0);
    ::close(1);
    int status = 0;
    while (::waitpid(static_cast<pid_t>(pid), &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

}  // namespace sphere::launcher
