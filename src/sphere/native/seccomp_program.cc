#include "sphere/native/seccomp_program.h"

#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <iterator>
#include <memory>
#include <string_view>

#include "base/files/unique_fd.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::Result;

// By name, so that one list serves every architecture; a name that an architecture lacks is
// skipped.
constexpr const char* kAllowed[] = {
    // files
    "access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup",
    "dup2", "dup3", "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod",
    "fchmodat", "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock",
    "fremovexattr", "fsetxattr", "fstat", "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd",
    "getdents", "getdents64", "getxattr", "inotify_add_watch", "inotify_init", "inotify_init1",
    "inotify_rm_watch", "ioctl", "lchown", "lgetxattr", "link", "linkat", "listxattr", "llistxattr",
    "lremovexattr", "lseek", "lsetxattr", "lstat", "memfd_create", "mkdir", "mkdirat", "newfstatat",
    "open", "openat", "openat2", "pipe", "pipe2", "pread64", "preadv", "preadv2", "pwrite64",
    "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "removexattr",
    "rename", "renameat", "renameat2", "rmdir", "sendfile", "setxattr", "splice", "stat", "statfs",
    "statx", "symlink", "symlinkat", "sync", "sync_file_range", "syncfs", "tee", "truncate",
    "umask", "unlink", "unlinkat", "utime", "utimensat", "utimes", "vmsplice", "write", "writev",
    // memory
    "brk", "madvise", "membarrier", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mprotect",
    "mremap", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free",
    "pkey_mprotect", "remap_file_pages", "get_mempolicy", "set_mempolicy", "mbind",
    // processes and threads
    "arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork", "futex",
    "futex_waitv", "get_robust_list", "get_thread_area", "getcpu", "getegid", "geteuid", "getgid",
    "getgroups", "getitimer", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getrandom",
    "getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "kill",
    "landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "pause", "pidfd_open",
    "pidfd_send_signal", "prctl", "prlimit64", "restart_syscall", "rseq", "rt_sigaction",
    "rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "rt_tgsigqueueinfo", "sched_get_priority_max", "sched_get_priority_min",
    "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler",
    "sched_rr_get_interval", "sched_setattr", "sched_setparam", "sched_setscheduler", "sched_yield",
    "seccomp", "set_robust_list", "set_thread_area", "set_tid_address", "setfsgid", "setfsuid",
    "setgid", "setgroups", "setitimer", "setpgid", "setpriority", "setregid", "setresgid",
    "setresuid", "setreuid", "setrlimit", "setsid", "setuid", "sigaltstack", "signalfd",
    "signalfd4", "sysinfo", "tgkill", "tkill", "uname", "vfork", "wait4", "waitid",
    // time
    "alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "gettimeofday", "nanosleep",
    "time", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime",
    "timerfd_create", "timerfd_gettime", "timerfd_settime", "times",
    // waiting
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "eventfd", "eventfd2", "poll", "ppoll", "pselect6", "select",
    // sockets; socket and socketpair below, by family
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen",
    "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
    // inside the box's own ipc namespace
    "msgctl", "msgget", "msgrcv", "msgsnd", "semctl", "semget", "semop", "semtimedop", "shmat",
    "shmctl", "shmdt", "shmget", "mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive",
    "mq_timedsend", "mq_unlink", "io_cancel", "io_destroy", "io_getevents", "io_pgetevents",
    "io_setup", "io_submit"};

// The host's own, outside of a namespace: memory and queues that others share, looks at files'
// coming and going.
constexpr const char* kHostWide[] = {"msgctl",
                                     "msgget",
                                     "msgrcv",
                                     "msgsnd",
                                     "semctl",
                                     "semget",
                                     "semop",
                                     "semtimedop",
                                     "shmat",
                                     "shmctl",
                                     "shmdt",
                                     "shmget",
                                     "mq_getsetattr",
                                     "mq_notify",
                                     "mq_open",
                                     "mq_timedreceive",
                                     "mq_timedsend",
                                     "mq_unlink",
                                     "inotify_add_watch"};
// Landlock does not look at these; on files of the same user they would work by name.
constexpr const char* kByName[] = {
    "chmod",     "chown",       "fchmodat", "fchownat", "futimesat", "lchown",   "lremovexattr",
    "lsetxattr", "removexattr", "setxattr", "utime",    "utimes",    "utimensat"};
// On other processes of the same user; on the caller itself they are allowed below.
constexpr const char* kByProcess[] = {"prlimit64",          "sched_setattr", "sched_setparam",
                                      "sched_setscheduler", "setpriority",   "sched_setaffinity"};

constexpr int kMountSetattr = 442;
// Newer than the list that libseccomp 2.5 knows.
constexpr int kCachestat = 451, kFchmodat2 = 452, kFutexWake = 454, kFutexWait = 455,
              kFutexRequeue = 456, kMseal = 462;
constexpr std::array kAllowedNew = {kCachestat, kFchmodat2,    kFutexWake,
                                    kFutexWait, kFutexRequeue, kMseal};
constexpr int kNewest = 480;  ///< numbers up to here that are not listed answer ENOSYS

constexpr std::uint64_t kNamespaceFlags = 0x7e020000;  // CLONE_NEW* that clone takes

using Context = std::unique_ptr<void, decltype(&seccomp_release)>;

class Rules {
public:
    explicit Rules(scmp_filter_ctx context) : context_(context) {}

    template <class... Conditions>
    void add(std::uint32_t action, int call, Conditions... conditions) {
        const std::array<scmp_arg_cmp, sizeof...(Conditions)> all = {conditions...};
        const int result = seccomp_rule_add_array(context_, action, call, all.size(), all.data());
        if (result != 0 && error_ == 0) {
            error_ = result;
            call_ = call;
        }
    }
    void attribute(scmp_filter_attr which, std::uint32_t value) {
        const int result = seccomp_attr_set(context_, which, value);
        if (result != 0 && error_ == 0) error_ = result;
    }
    Result<void> done() const {
        if (error_ == 0) return {};
        return fail(Code::internal, "libseccomp refused the rule for system call {}: {}", call_,
                    std::strerror(-error_));
    }

private:
    scmp_filter_ctx context_;
    int error_ = 0, call_ = 0;
};

template <std::size_t N>
bool is_in(const char* const (&list)[N], std::string_view name) {
    return std::ranges::find(list, name) != std::end(list);
}

void allow_by_name(Rules& rules, const SeccompOptions& options) {
    for (const char* name : kAllowed) {
        if (options.shared != SharedWith::nobody &&
            (is_in(kHostWide, name) || is_in(kByProcess, name))) {
            continue;
        }
        if (options.shared == SharedWith::user && is_in(kByName, name)) continue;
        const int call = seccomp_syscall_resolve_name(name);
        if (call >= 0) rules.add(SCMP_ACT_ALLOW, call);
    }
    if (options.affinity && options.shared == SharedWith::nobody) {
        rules.add(SCMP_ACT_ALLOW, SCMP_SYS(sched_setaffinity));
    }
}

/// Level process: on itself, and on what it has open, a process may still do these.
void allow_on_itself(Rules& rules, const SeccompOptions& options) {
    const auto self = SCMP_A0_32(SCMP_CMP_EQ, 0);
    for (const char* name : kByProcess) {
        const int call = seccomp_syscall_resolve_name(name);
        if (call < 0 || name == std::string_view("setpriority")) continue;
        if (name == std::string_view("sched_setaffinity") && !options.affinity) continue;
        rules.add(SCMP_ACT_ALLOW, call, self);
    }
    rules.add(SCMP_ACT_ALLOW, SCMP_SYS(setpriority), self, SCMP_A1_32(SCMP_CMP_EQ, 0));
    if (options.shared == SharedWith::user) {
        rules.add(SCMP_ACT_ALLOW, SCMP_SYS(utimensat), SCMP_A1_64(SCMP_CMP_EQ, 0));
    }
}

void allow_new(Rules& rules, const SeccompOptions& options) {
    int next = 0;
    for (int call = kCachestat; call <= kNewest; ++call) {
        const bool allowed = next < static_cast<int>(kAllowedNew.size()) &&
                             kAllowedNew[static_cast<std::size_t>(next)] == call;
        if (allowed) ++next;
        const bool by_name = options.shared == SharedWith::user && call == kFchmodat2;
        rules.add(allowed && !by_name ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS), call);
    }
}

void allow_by_argument(Rules& rules, const SeccompOptions& options, bool making) {
    rules.add(SCMP_ACT_ALLOW, SCMP_SYS(clone), SCMP_A0_64(SCMP_CMP_MASKED_EQ, kNamespaceFlags, 0));
    // Its flags are out of a filter's sight.
    if (!making) rules.add(SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3));
    if (making) rules.add(SCMP_ACT_ALLOW, SCMP_SYS(socket));
    for (const int family : {AF_UNIX, AF_INET, AF_INET6}) {
        // The host's network, and sockets by path that nothing else would keep it from.
        if (making || options.shared != SharedWith::nobody) break;
        rules.add(SCMP_ACT_ALLOW, SCMP_SYS(socket),
                  SCMP_A0_64(SCMP_CMP_EQ, static_cast<scmp_datum_t>(family)));
    }
    rules.add(SCMP_ACT_ALLOW, SCMP_SYS(socketpair), SCMP_A0_64(SCMP_CMP_EQ, AF_UNIX));
    for (const scmp_datum_t query : {scmp_datum_t{0}, scmp_datum_t{0xffffffff}}) {
        rules.add(SCMP_ACT_ALLOW, SCMP_SYS(personality), SCMP_A0_32(SCMP_CMP_EQ, query));
    }
}

/// The kernel reads 32 bits of ioctl's request; libseccomp compares 64, and its rules of one call
/// cannot mix allowing with refusing. So these come before its program, whose jumps are relative.
std::vector<sock_filter> terminal_prelude() {
    constexpr std::array<std::uint32_t, 4> kRefused = {TIOCSTI, 0x541c /* TIOCLINUX */, TIOCSETD,
                                                       TIOCCONS};
    const auto count = static_cast<std::uint8_t>(kRefused.size());
    std::vector<sock_filter> code;
    code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)));
    code.push_back(
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, static_cast<std::uint8_t>(count + 3)));
    code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[1])));
    for (std::uint8_t i = 0; i < count; ++i) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kRefused[i],
                                static_cast<std::uint8_t>(count - i), 0));
    }
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
    code.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    return code;
}

Result<std::vector<sock_filter>> export_program(const Context& context) {
    const base::UniqueFd file(::memfd_create("dougong-seccomp", MFD_CLOEXEC));
    if (!file || seccomp_export_bpf(context.get(), file.get()) != 0) {
        return fail(Code::unavailable, "the system call filter could not be written out: {}",
                    std::strerror(errno));
    }
    const off_t bytes = ::lseek(file.get(), 0, SEEK_END);
    std::vector<sock_filter> code(static_cast<std::size_t>(bytes) / sizeof(sock_filter));
    if (::pread(file.get(), code.data(), static_cast<std::size_t>(bytes), 0) != bytes) {
        return fail(Code::unavailable, "the system call filter could not be read back: {}",
                    std::strerror(errno));
    }
    return code;
}

/// What launcher and inits do that no command may, beside sockets of other families.
std::vector<int> making_calls(const SeccompOptions& options) {
    std::vector<int> calls = {SCMP_SYS(clone3),     SCMP_SYS(fsconfig),    SCMP_SYS(fsmount),
                              SCMP_SYS(fsopen),     SCMP_SYS(fspick),      SCMP_SYS(mount),
                              SCMP_SYS(move_mount), SCMP_SYS(open_tree),   SCMP_SYS(pivot_root),
                              SCMP_SYS(setns),      SCMP_SYS(sethostname), SCMP_SYS(umount2),
                              SCMP_SYS(unshare),    kMountSetattr};
    if (!options.affinity) calls.push_back(SCMP_SYS(sched_setaffinity));
    return calls;
}

Result<std::vector<sock_filter>> build(const SeccompOptions& options, bool making) {
    const Context context(seccomp_init(SCMP_ACT_ERRNO(EPERM)), seccomp_release);
    if (!context) return fail(Code::unavailable, "no memory for a system call filter");
    Rules rules(context.get());
    rules.attribute(SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    rules.attribute(SCMP_FLTATR_CTL_OPTIMIZE, 2);  // a search tree instead of a list
    allow_by_name(rules, options);
    allow_by_argument(rules, options, making);
    if (options.shared != SharedWith::nobody) allow_on_itself(rules, options);
    allow_new(rules, options);
    if (making) {
        for (const int call : making_calls(options)) rules.add(SCMP_ACT_ALLOW, call);
    }
    DG_TRY(rules.done());
    std::vector<sock_filter> program = terminal_prelude();
    const std::vector<sock_filter> list = DG_TRY(export_program(context));
    program.insert(program.end(), list.begin(), list.end());
    return program;
}

/// What the common program allows and the whole one does not, answered as the whole one does.
std::vector<sock_filter> command_program(const SeccompOptions& options) {
    constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW, kRefuse = SECCOMP_RET_ERRNO | EPERM,
                            kUnknown = SECCOMP_RET_ERRNO | ENOSYS;
    constexpr std::uint32_t kLow = offsetof(seccomp_data, args[0]), kHigh = kLow + 4;
    static_assert(std::endian::native == std::endian::little);
    std::vector<sock_filter> code;
    const auto load = [&](std::uint32_t at) {
        code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at));
    };
    const auto answer = [&](std::uint32_t with) {
        code.push_back(BPF_STMT(BPF_RET | BPF_K, with));
    };
    const auto unless = [&](std::uint32_t value, std::uint8_t skip) {
        code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip));
    };
    load(offsetof(seccomp_data, nr));
    for (const int call : making_calls(options)) {
        unless(static_cast<std::uint32_t>(call), 1);
        answer(call == SCMP_SYS(clone3) ? kUnknown : kRefuse);
    }
    const std::size_t socket = code.size();
    unless(SYS_socket, 0);
    load(kHigh);
    unless(0, 7);
    load(kLow);
    for (const std::uint32_t family : {AF_UNIX, AF_INET, AF_INET6}) {
        unless(family, 1);
        answer(kAllow);
    }
    answer(kRefuse);
    code[socket].jf = static_cast<std::uint8_t>(code.size() - socket - 1);
    answer(kAllow);
    return code;
}

}  // namespace

Result<std::vector<sock_filter>> build_seccomp_program(const SeccompOptions& options) {
    return build(options, false);
}

Result<SeccompPrograms> build_seccomp_programs(const SeccompOptions& options) {
    SeccompPrograms programs;
    if (options.shared != SharedWith::nobody) {
        programs.command = DG_TRY(build(options, false));
    } else {
        programs.common = DG_TRY(build(options, true));
        programs.command = command_program(options);
    }
    return programs;
}

}  // namespace sphere::native
