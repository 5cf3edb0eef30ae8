// What a hostile program tries from inside a box: `abuser NAME [ARGUMENT]` prints one line for each
// thing it tried, "name=outcome", where outcome is ok, a number of errno, or what it found. It
// never judges; the tests do. Static, so that it runs in any root.
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <pty.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <string>
#include <vector>

namespace {

void tell(const char* name, long result) {
    if (result >= 0) {
        std::printf("%s=ok\n", name);
    } else {
        std::printf("%s=%d\n", name, errno);
    }
    std::fflush(stdout);
}
void tell_number(const char* name, long long number) {
    std::printf("%s=%lld\n", name, number);
    std::fflush(stdout);
}
void tell_open(const char* path, int flags) {
    errno = 0;
    const int fd = ::open(path, flags | O_NONBLOCK);
    tell(path, fd);
    if (fd >= 0) ::close(fd);
}

template <class... A>
long call(long number, A... arguments) {
    errno = 0;
    return ::syscall(number, arguments...);
}

/// Runs `body` in a child and tells its exit status, or 1000 + the signal that ended it.
template <class Body>
void tell_child(const char* name, Body body) {
    std::fflush(stdout);
    const pid_t pid = ::fork();
    if (pid == 0) {
        body();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    tell_number(name, WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status));
}

void s01(const char*) {
    char params[256] = {};
    tell("io_uring_setup", call(425, 4, params));
    tell("io_uring_enter", call(426, 0, 0, 0, 0, nullptr, 0));
    tell("io_uring_register", call(427, 0, 0, nullptr, 0));
}
void s02(const char*) {
    bpf_attr map{};
    map.map_type = BPF_MAP_TYPE_ARRAY;
    map.key_size = map.value_size = 4;
    map.max_entries = 1;
    tell("map", call(SYS_bpf, BPF_MAP_CREATE, &map, sizeof(map)));
    const bpf_insn code[] = {{0xb7, 0, 0, 0, 0}, {0x95, 0, 0, 0, 0}};
    bpf_attr program{};
    program.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    program.insns = reinterpret_cast<std::uint64_t>(code);
    program.insn_cnt = 2;
    program.license = reinterpret_cast<std::uint64_t>("GPL");
    tell("program", call(SYS_bpf, BPF_PROG_LOAD, &program, sizeof(program)));
}
void s03(const char*) {
    for (const int flags : {0, 1, O_CLOEXEC, O_CLOEXEC | O_NONBLOCK | 1}) {
        tell("userfaultfd", call(SYS_userfaultfd, flags));
    }
    tell_open("/dev/userfaultfd", O_RDWR);
}
void s04(const char*) {
    const int flags[] = {CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
                         CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP};
    for (const int flag : flags) {
        tell("unshare", call(SYS_unshare, flag));
        tell("clone", call(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0));
        tell("clone_high", call(SYS_clone, 0x100000000l | flag | SIGCHLD, 0, 0, 0, 0));
        const int own = ::open("/proc/self/ns/user", O_RDONLY);
        tell("setns", call(SYS_setns, own, flag));
        if (own >= 0) ::close(own);
    }
    std::uint64_t arguments[11] = {};
    arguments[4] = SIGCHLD;
    const long child = call(SYS_clone3, arguments, sizeof(arguments));
    if (child == 0) ::_exit(0);
    tell("clone3", child);
    tell_child("fork", [] {});
}
void s05(const char*) {
    tell("mount", call(SYS_mount, "x", "/tmp", "tmpfs", 0, nullptr));
    tell("remount", call(SYS_mount, "x", "/", nullptr, MS_REMOUNT | MS_BIND, nullptr));
    tell("umount", call(SYS_umount2, "/proc", MNT_DETACH));
    tell("fsopen", call(430, "tmpfs", 0));
    tell("open_tree", call(428, AT_FDCWD, "/usr", 1));
    tell("move_mount", call(429, -1, "", AT_FDCWD, "/tmp", 4));
    tell("mount_setattr", call(442, AT_FDCWD, "/", 0, nullptr, 0));
    tell("pivot_root", call(SYS_pivot_root, "/tmp", "/tmp"));
    tell("chroot", call(SYS_chroot, "/tmp"));
}
void s06(const char*) {
    tell("add_key", call(SYS_add_key, "user", "x", "y", 1, -2));
    tell("request_key", call(SYS_request_key, "user", "x", nullptr, -2));
    tell("keyctl", call(SYS_keyctl, 0, -3, 0, 0, 0));
    tell_open("/proc/keys", O_RDONLY);
    tell_open("/proc/key-users", O_RDONLY);
}
void s07(const char*) {
    unsigned attribute[32] = {1, sizeof(attribute)};
    attribute[10] = 0x21;  // user space only
    tell("perf_all", call(SYS_perf_event_open, attribute, 0, -1, -1, 0));
    attribute[10] = 0;
    tell("perf_user", call(SYS_perf_event_open, attribute, 0, -1, -1, 0));
}
void s08(const char*) {
    struct Family {
        const char* name;
        int family, type, protocol;
    };
    for (const Family& f : {Family{"vsock", 40, SOCK_STREAM, 0}, Family{"netlink", 16, SOCK_RAW, 0},
                            Family{"packet", 17, SOCK_RAW, 0}, Family{"alg", 38, SOCK_SEQPACKET, 0},
                            Family{"icmp_raw", AF_INET, SOCK_RAW, IPPROTO_ICMP},
                            Family{"icmp_ping", AF_INET, SOCK_DGRAM, IPPROTO_ICMP},
                            Family{"xdp", 44, SOCK_RAW, 0}, Family{"bluetooth", 31, SOCK_RAW, 0}}) {
        errno = 0;
        tell(f.name, ::socket(f.family, f.type, f.protocol));
    }
    int pair[2];
    tell("vsock_pair", ::socketpair(40, SOCK_STREAM, 0, pair));
    tell("unix", ::socket(AF_UNIX, SOCK_STREAM, 0));
    tell("inet", ::socket(AF_INET, SOCK_STREAM, 0));
}
void s09(const char*) {
#ifdef __x86_64__
    tell_child("x32", [] { ::syscall(0x40000000 | SYS_getpid); });
    tell_child("int80", [] {
        long result;
        asm volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
    });
    tell_child("far32", [] {
        // Into the 32-bit code segment at a low address, where a 32-bit call is then made.
        auto* low = static_cast<unsigned char*>(
            ::mmap(reinterpret_cast<void*>(0x10000000), 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
        if (low == MAP_FAILED) ::_exit(9);
        const unsigned char code[] = {0xb8, 20, 0, 0, 0, 0xcd, 0x80, 0xf4};
        std::memcpy(low, code, sizeof(code));
        struct __attribute__((packed)) {
            std::uint32_t offset;
            std::uint16_t segment;
        } target{0x10000000, 0x23};
        asm volatile("ljmp *%0" : : "m"(target) : "memory");
    });
#endif
}
void s10(const char*) {
    char byte = 0;
    iovec ours{&byte, 1}, theirs{reinterpret_cast<void*>(0x400000), 1};
    tell("ptrace_attach", call(SYS_ptrace, 16, 1, 0, 0));
    tell("ptrace_seize", call(SYS_ptrace, 0x4206, 1, 0, 0));
    tell("ptrace_me", call(SYS_ptrace, 0, 0, 0, 0));
    tell("vm_readv", call(SYS_process_vm_readv, 1, &ours, 1, &theirs, 1, 0));
    tell("vm_writev", call(SYS_process_vm_writev, 1, &ours, 1, &theirs, 1, 0));
    const long pidfd = call(SYS_pidfd_open, 1, 0);
    tell("pidfd_getfd", call(438, pidfd, 3, 0));
    tell("kcmp", call(SYS_kcmp, 1, ::getpid(), 0, 0, 0));
    tell_open("/proc/1/mem", O_RDWR);
    tell_open("/proc/1/environ", O_RDONLY);
    tell_open("/proc/1/maps", O_RDONLY);
}
void s11(const char*) {
    struct {
        unsigned bytes = 64;
        int type = 0;
        char handle[64];
    } handle;
    int mount = 0;
    tell("name_to_handle_at", call(SYS_name_to_handle_at, AT_FDCWD, "/usr", &handle, &mount, 0));
    tell("open_by_handle_at", call(SYS_open_by_handle_at, AT_FDCWD, &handle, O_RDONLY));
}
void s12(const char*) {
    tell("no_randomize", call(SYS_personality, 0x0040000));
    tell("read_implies_exec", call(SYS_personality, 0x0400000));
    tell("linux32", call(SYS_personality, 8));
    tell("query", call(SYS_personality, 0xffffffff));
}
void s13(const char*) {
    char letter = 'x';
    int line = 0;
    tell("tiocsti", ::ioctl(0, TIOCSTI, &letter));
    tell("tiocsti_high", call(SYS_ioctl, 0, 0x100000000ul | TIOCSTI, &letter));
    tell("tioclinux", ::ioctl(0, 0x541c, &letter));
    tell("tiocsetd", ::ioctl(0, TIOCSETD, &line));
    tell("tioccons", ::ioctl(0, TIOCCONS, nullptr));
    winsize size{};
    tell("winsize", ::ioctl(0, TIOCGWINSZ, &size));
    std::printf("size=%dx%d\n", size.ws_col, size.ws_row);
}
void s14(const char*) {
    tell("kexec_load", call(SYS_kexec_load, 0, 0, nullptr, 0));
    tell("kexec_file_load", call(SYS_kexec_file_load, -1, -1, 0, nullptr, 0));
    tell("init_module", call(SYS_init_module, nullptr, 0, ""));
    tell("finit_module", call(SYS_finit_module, -1, "", 0));
    tell("delete_module", call(SYS_delete_module, "x", 0));
    tell("reboot", call(SYS_reboot, 0xfee1dead, 672274793, 0, nullptr));
    tell("swapon", call(SYS_swapon, "/tmp/x", 0));
    tell("swapoff", call(SYS_swapoff, "/tmp/x"));
    timespec time{};
    tell("clock_settime", call(SYS_clock_settime, CLOCK_REALTIME, &time));
    tell("settimeofday", call(SYS_settimeofday, nullptr, nullptr));
    char timex[512] = {};
    tell("adjtimex", call(SYS_adjtimex, timex));
    tell("acct", call(SYS_acct, nullptr));
    tell("syslog", call(SYS_syslog, 3, nullptr, 0));
#ifdef __x86_64__
    tell("ioperm", call(SYS_ioperm, 0, 1, 1));
    tell("iopl", call(SYS_iopl, 3));
#endif
    tell("quotactl", call(SYS_quotactl, 0, nullptr, 0, nullptr));
}
void s15(const char*) {
    unsigned gained = 0;
    for (const char* path : {"/usr/bin/su", "/usr/bin/passwd", "/usr/bin/mount", "/bin/ping"}) {
        struct stat facts;
        if (::stat(path, &facts) != 0) continue;
        gained += (facts.st_mode & S_ISUID) != 0 ? 1 : 0;
    }
    tell_number("setuid_programs", gained);
    tell("setuid_0", ::setuid(0));
    tell("setgid_0", ::setgid(0));
    tell_number("no_new_privs", ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    FILE* status = std::fopen("/proc/self/status", "r");
    char line[256];
    while (status != nullptr && std::fgets(line, sizeof(line), status) != nullptr) {
        if (std::strncmp(line, "Cap", 3) == 0 || std::strncmp(line, "Seccomp:", 8) == 0 ||
            std::strncmp(line, "Uid", 3) == 0) {
            for (char* at = line; *at != '\0'; ++at) {
                if (*at == '\t' || *at == '\n') *at = ' ';
            }
            std::printf("%.*s=%s\n", static_cast<int>(std::strcspn(line, ":")), line, line);
        }
    }
    // A setuid file of our own making gains nothing either.
    const int copy = ::open("/workspace/suid", O_CREAT | O_WRONLY, 0755);
    tell("own_suid", copy >= 0 ? ::fchmod(copy, 06755) : -1);
    ::close(copy);
}
void s16(const char*) {
    for (const char* path : {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
                             "/proc/sysrq-trigger", "/proc/sys/fs/binfmt_misc/register",
                             "/sys/kernel/uevent_helper", "/proc/sys/vm/panic_on_oom"}) {
        tell_open(path, O_WRONLY);
    }
}
void s17(const char*) {
    for (const char* path : {"/proc/kcore", "/proc/kallsyms", "/proc/kmsg", "/proc/timer_list",
                             "/proc/cmdline", "/proc/config.gz", "/proc/modules", "/proc/iomem",
                             "/proc/sched_debug", "/proc/keys", "/dev/kmsg", "/dev/mem"}) {
        tell_open(path, O_RDONLY);
    }
}
void s18(const char*) {
    DIR* proc = ::opendir("/proc");
    long long processes = 0, others = 0;
    while (const dirent* entry = proc != nullptr ? ::readdir(proc) : nullptr) {
        const long pid = std::atol(entry->d_name);
        if (pid == 0) continue;
        ++processes;
        if (pid != ::getpid()) ++others;
    }
    tell_number("processes", processes);
    tell_number("others", others);
    tell_number("own_pid_small", ::getpid() < 100);
    for (const char* path : {"/proc/1/root/etc/shadow", "/proc/1/cwd", "/proc/1/fd/3",
                             "/etc/shadow", "/root", "/home", "/srv", "/var", "/boot", "/opt"}) {
        tell_open(path, O_RDONLY);
    }
}
void s19(const char*) {
    for (const char* path :
         {"/sys", "/sys/fs/cgroup", "/sys/firmware", "/sys/kernel/debug", "/sys/kernel/security"}) {
        tell_open(path, O_RDONLY);
    }
}
void s20(const char*) {
    tell("mknod_char", ::mknod("/workspace/mem", S_IFCHR | 0600, makedev(1, 1)));
    tell("mknod_block", ::mknod("/tmp/disk", S_IFBLK | 0600, makedev(8, 0)));
    for (const char* path : {"/dev/kvm", "/dev/mem", "/dev/sda", "/dev/vda", "/dev/loop0",
                             "/dev/loop-control", "/dev/fuse", "/dev/net/tun", "/dev/kmsg"}) {
        tell_open(path, O_RDWR);
    }
    for (const char* path : {"/dev/null", "/dev/zero", "/dev/urandom"}) tell_open(path, O_RDWR);
}
void s21(const char*) {
    for (const auto which : {RLIMIT_NOFILE, RLIMIT_NPROC, RLIMIT_CORE, RLIMIT_MEMLOCK}) {
        rlimit limit{};
        ::getrlimit(which, &limit);
        limit.rlim_max += 1;
        limit.rlim_cur = limit.rlim_max;
        errno = 0;
        tell("raise", ::setrlimit(which, &limit));
    }
    FILE* groups = std::fopen("/proc/self/cgroup", "r");
    char line[512];
    while (groups != nullptr && std::fgets(line, sizeof(line), groups) != nullptr) {
        if (std::strstr(line, "dougong") != nullptr) std::printf("names_host_group=1\n");
    }
    tell_open("/sys/fs/cgroup/cgroup.procs", O_WRONLY);
}
void s22(const char*) {
    tell_open("/proc/1/exe", O_RDONLY);
    tell_open("/proc/1/exe", O_WRONLY);
    tell_open("/proc/self/exe", O_WRONLY);
    char target[256] = {};
    tell("readlink_exe", ::readlink("/proc/1/exe", target, sizeof(target) - 1));
}
void s23(const char*) {
    long long open_fds = 0;
    for (int fd = 3; fd < 1024; ++fd) open_fds += ::fcntl(fd, F_GETFD) >= 0;
    tell_number("extra_fds", open_fds);
    char cwd[256] = {};
    if (::getcwd(cwd, sizeof(cwd)) != nullptr) std::printf("cwd=%s\n", cwd);
    for (int i = 0; i < 40; ++i) {
        if (::chdir("..") != 0) break;
    }
    struct stat up, root;
    ::stat(".", &up);
    ::stat("/", &root);
    tell_number("up_is_root", up.st_ino == root.st_ino && up.st_dev == root.st_dev);
}
void s26_processes(const char*) {
    long long made = 0;
    while (made < 100'000) {
        const pid_t pid = ::fork();
        if (pid < 0) break;
        if (pid == 0) {
            ::pause();
            ::_exit(0);
        }
        ++made;
    }
    tell_number("made", made);
}
void* wait_for_ever(void*) {
    ::pause();
    return nullptr;
}
void s26_threads(const char*) {
    long long made = 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 * 1024);
    pthread_t thread;
    while (made < 100'000 && pthread_create(&thread, &small, wait_for_ever, nullptr) == 0) ++made;
    tell_number("made", made);
    ::_exit(0);
}
void fill(char* memory, std::size_t bytes) {
    for (std::size_t i = 0; i < bytes; i += 4096) memory[i] = 1;
}
void s27_heap(const char*) {
    for (;;) {
        auto* piece = static_cast<char*>(::malloc(8 << 20));
        if (piece == nullptr) ::_exit(7);
        fill(piece, 8 << 20);
    }
}
void s27_shared(const char*) {
    for (;;) {
        void* piece =
            ::mmap(nullptr, 8 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (piece == MAP_FAILED) ::_exit(7);
        fill(static_cast<char*>(piece), 8 << 20);
    }
}
void s27_memfd(const char*) {
    const int file = static_cast<int>(call(SYS_memfd_create, "x", 0));
    static char piece[1 << 20];
    while (::write(file, piece, sizeof(piece)) > 0) {
    }
    tell("memfd", -1);
    ::_exit(7);
}
void s27_page_tables(const char*) {
    // One touched page in each 2 MiB: the tables weigh as much as the pages.
    for (std::size_t i = 0;; ++i) {
        auto* piece =
            static_cast<char*>(::mmap(nullptr, 2 << 20, PROT_READ | PROT_WRITE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (piece == MAP_FAILED) ::_exit(7);
        ::madvise(piece, 2 << 20, MADV_NOHUGEPAGE);
        piece[0] = 1;
    }
}
void s27_sockets(const char*) {
    static char piece[64 * 1024];
    long long bytes = 0;
    int pair[2];
    while (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0) {
        for (ssize_t put; (put = ::write(pair[0], piece, sizeof(piece))) > 0;) bytes += put;
    }
    tell_number("buffered", bytes);
}
void s28_fill(const char* path) {
    const std::string name = std::string(path) + "/fill";
    const int file = ::open(name.c_str(), O_CREAT | O_WRONLY, 0600);
    static char piece[1 << 16];
    long long bytes = 0;
    ssize_t put;
    while ((put = ::write(file, piece, sizeof(piece))) > 0) bytes += put;
    tell("error", -1);
    tell_number("bytes", bytes);
    ::close(file);
    ::unlink(name.c_str());
}
void s28_inodes(const char* path) {
    long long made = 0;
    for (; made < 1'000'000; ++made) {
        const std::string name = std::string(path) + "/f" + std::to_string(made);
        const int file = ::open(name.c_str(), O_CREAT | O_WRONLY, 0600);
        if (file < 0) break;
        ::close(file);
    }
    tell("error", -1);
    tell_number("made", made);
}
void s28_sparse(const char* path) {
    const std::string name = std::string(path) + "/sparse";
    const int file = ::open(name.c_str(), O_CREAT | O_RDWR, 0600);
    tell("truncate", ::ftruncate(file, 1ll << 40));
    errno = 0;
    tell("fallocate", ::fallocate(file, 0, 0, 1ll << 40));
    ::unlink(name.c_str());
}
void s28_deep(const char* path) {
    if (::chdir(path) != 0) return;
    long long depth = 0;
    while (depth < 100'000 && ::mkdir("d", 0700) == 0 && ::chdir("d") == 0) ++depth;
    tell_number("depth", depth);
}
void s29(const char* seconds) {
    std::vector<pid_t> spinning;
    for (int i = 0; i < 16; ++i) {
        const pid_t pid = ::fork();
        if (pid == 0) {
            for (;;) {
                asm volatile("" ::: "memory");
            }
        }
        spinning.push_back(pid);
    }
    timespec begin, now;
    ::clock_gettime(CLOCK_MONOTONIC, &begin);
    do {
        ::poll(nullptr, 0, 50);
        ::clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - begin.tv_sec < std::atoi(seconds));
    rusage usage{};
    for (const pid_t pid : spinning) {
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
    }
    ::getrusage(RUSAGE_CHILDREN, &usage);
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    tell_number("cpu_us", usage.ru_utime.tv_sec * 1'000'000ll + usage.ru_utime.tv_usec +
                              usage.ru_stime.tv_sec * 1'000'000ll + usage.ru_stime.tv_usec);
    tell_number("wall_us",
                (now.tv_sec - begin.tv_sec) * 1'000'000ll + (now.tv_nsec - begin.tv_nsec) / 1000);
}
template <class Make>
void exhaust(const char* name, Make make) {
    long long made = 0;
    std::vector<int> kept;
    for (int fd; made < 1'000'000 && (fd = make()) >= 0; ++made) kept.push_back(fd);
    tell_number(name, made);
    for (const int fd : kept) ::close(fd);
}
void s30(const char*) {
    exhaust("descriptors", [] { return ::open("/dev/null", O_RDONLY); });
    exhaust("pipes", [] {
        int ends[2];
        return ::pipe(ends) == 0 ? (::dup2(ends[0], ends[0]), ends[0]) : -1;
    });
    for (int fd = 3; fd < 2048; ++fd) ::close(fd);
    exhaust("epolls", [] { return ::epoll_create1(0); });
    exhaust("inotifies", [] { return ::inotify_init1(0); });
    exhaust("timers", [] { return ::timerfd_create(CLOCK_MONOTONIC, 0); });
    long long posix_timers = 0;
    timer_t timer;
    sigevent event{};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGRTMIN;
    while (posix_timers < 1'000'000 && ::timer_create(CLOCK_MONOTONIC, &event, &timer) == 0) {
        ++posix_timers;
    }
    tell_number("posix_timers", posix_timers);
    errno = 0;
    const long queue = call(SYS_mq_open, "x", O_CREAT | O_RDWR, 0600, nullptr);
    tell("posix_queue", queue);
    long long in_flight = 0;
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0) {
        for (; in_flight < 1'000'000; ++in_flight) {
            char byte = 'x', control[CMSG_SPACE(sizeof(int))] = {};
            iovec piece{&byte, 1};
            msghdr message{};
            message.msg_iov = &piece;
            message.msg_iovlen = 1;
            message.msg_control = control;
            message.msg_controllen = sizeof(control);
            cmsghdr* head = CMSG_FIRSTHDR(&message);
            head->cmsg_level = SOL_SOCKET;
            head->cmsg_type = SCM_RIGHTS;
            head->cmsg_len = CMSG_LEN(sizeof(int));
            std::memcpy(CMSG_DATA(head), &pair[1], sizeof(int));
            if (::sendmsg(pair[0], &message, 0) < 0) break;
        }
    }
    tell_number("in_flight", in_flight);
}
void s31(const char* megabytes) {
    static char piece[1 << 20];
    std::memset(piece, 'x', sizeof(piece));
    for (int i = 0; i < std::atoi(megabytes); ++i) {
        for (std::size_t at = 0; at < sizeof(piece);) {
            const ssize_t put = ::write(i % 2 == 0 ? 1 : 2, piece + at, sizeof(piece) - at);
            if (put <= 0) return;
            at += static_cast<std::size_t>(put);
        }
    }
}
/// Leaves a process that is in another session, has no parent here and ignores every signal.
void daemonise() {
    if (::fork() != 0) return;
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_IGN);
    for (;;) ::pause();
}
void s32(const char*) {
    for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_IGN);
    daemonise();
    std::printf("began=ok\n");
    std::fflush(stdout);
    for (;;) ::pause();
}
void s33_stop(const char*) {
    std::printf("began=ok\n");
    std::fflush(stdout);
    ::raise(SIGSTOP);
    for (;;) ::pause();
}
void s33_hold(const char*) {  // ends at once; what it leaves holds the pipes
    daemonise();
    std::printf("began=ok\n");
    std::fflush(stdout);
}
void s34(const char* count) {
    for (int i = 0; i < std::atoi(count); ++i) {
        const pid_t child = ::fork();
        if (child == 0) {
            if (::fork() == 0) ::_exit(0);
            ::_exit(0);
        }
        if (child > 0) ::waitpid(child, nullptr, 0);
    }
    long long zombies = 0;
    // hidepid shows only our own; orphans are the init's, and ours by user.
    for (int tries = 0; tries < 200; ++tries) {
        zombies = 0;
        DIR* proc = ::opendir("/proc");
        while (const dirent* entry = ::readdir(proc)) {
            if (std::atol(entry->d_name) == 0) continue;
            const std::string path = std::string("/proc/") + entry->d_name + "/stat";
            FILE* stat = std::fopen(path.c_str(), "r");
            char line[256] = {};
            if (stat != nullptr && std::fgets(line, sizeof(line), stat) != nullptr) {
                zombies += std::strstr(line, ") Z") != nullptr;
            }
            if (stat != nullptr) std::fclose(stat);
        }
        ::closedir(proc);
        if (zombies == 0) break;
        ::poll(nullptr, 0, 5);
    }
    tell_number("zombies", zombies);
}
void s35(const char*) {
    rlimit limit{RLIM_INFINITY, RLIM_INFINITY};
    tell("raise_core", ::setrlimit(RLIMIT_CORE, &limit));
    std::fflush(stdout);
    ::abort();
}
void s37(const char*) {
    const auto try_connect = [](const char* name, int family, int type, const char* address) {
        const int s = ::socket(family, type, 0);
        sockaddr_storage to{};
        socklen_t bytes;
        if (family == AF_INET) {
            auto* v4 = reinterpret_cast<sockaddr_in*>(&to);
            v4->sin_family = AF_INET;
            v4->sin_port = htons(80);
            ::inet_pton(AF_INET, address, &v4->sin_addr);
            bytes = sizeof(*v4);
        } else {
            auto* v6 = reinterpret_cast<sockaddr_in6*>(&to);
            v6->sin6_family = AF_INET6;
            v6->sin6_port = htons(80);
            ::inet_pton(AF_INET6, address, &v6->sin6_addr);
            bytes = sizeof(*v6);
        }
        errno = 0;
        const long result = type == SOCK_STREAM
                                ? ::connect(s, reinterpret_cast<sockaddr*>(&to), bytes)
                                : ::sendto(s, "x", 1, 0, reinterpret_cast<sockaddr*>(&to), bytes);
        tell(name, result);
        ::close(s);
    };
    try_connect("tcp", AF_INET, SOCK_STREAM, "93.184.216.34");
    try_connect("udp", AF_INET, SOCK_DGRAM, "93.184.216.34");
    try_connect("tcp6", AF_INET6, SOCK_STREAM, "2606:2800:220:1::1");
    try_connect("udp6", AF_INET6, SOCK_DGRAM, "2606:2800:220:1::1");
    try_connect("multicast", AF_INET, SOCK_DGRAM, "224.0.0.1");
    try_connect("loopback", AF_INET, SOCK_STREAM, "127.0.0.1");
    try_connect("metadata", AF_INET, SOCK_STREAM, "169.254.169.254");
    tell("raw", ::socket(AF_INET, SOCK_RAW, IPPROTO_RAW));
}
void s38(const char* port) {
    const int tcp = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in local{};
    local.sin_family = AF_INET;
    local.sin_port = htons(static_cast<std::uint16_t>(std::atoi(port)));
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    errno = 0;
    tell("host_port", ::connect(tcp, reinterpret_cast<sockaddr*>(&local), sizeof(local)));
    const int stream = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    const std::string bait = std::string("dougong-bait-") + port;
    std::memcpy(name.sun_path + 1, bait.data(), bait.size());
    errno = 0;
    tell("abstract", ::connect(stream, reinterpret_cast<sockaddr*>(&name),
                               static_cast<socklen_t>(sizeof(sa_family_t) + 1 + bait.size())));
    const int path_socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un path{};
    path.sun_family = AF_UNIX;
    std::snprintf(path.sun_path, sizeof(path.sun_path), "/tmp/%s", bait.c_str());
    errno = 0;
    tell("path", ::connect(path_socket, reinterpret_cast<sockaddr*>(&path), sizeof(path)));
}
void s50(const char* host_pid) {
    tell_child("neighbour", [] {
        if (::kill(-1, SIGKILL) != 0) ::_exit(errno);
    });
    errno = 0;
    tell("init_term", ::kill(1, SIGTERM));
    tell("init_kill", ::kill(1, SIGKILL));
    errno = 0;
    tell("host", ::kill(std::atoi(host_pid), 0));
}
void s51_leave(const char*) {
    const int file = ::open("/tmp/left", O_CREAT | O_WRONLY, 0666);
    ::close(file);
    ::close(::open("/workspace/left", O_CREAT | O_WRONLY, 0666));
    ::close(::open("/dev/shm/left", O_CREAT | O_WRONLY, 0666));
    tell("shm", ::shmget(0x5151, 4096, IPC_CREAT | 0666));
}
void s51_look(const char*) {
    tell_open("/tmp/left", O_RDONLY);
    tell_open("/workspace/left", O_RDONLY);
    tell_open("/dev/shm/left", O_RDONLY);
    errno = 0;
    tell("shm", ::shmget(0x5151, 4096, 0));
    for (const char* folder : {"/tmp", "/workspace", "/dev/shm"}) {
        long long entries = -2;
        DIR* open = ::opendir(folder);
        while (open != nullptr && ::readdir(open) != nullptr) ++entries;
        tell_number(folder, entries);
    }
}
void s52(const char*) {
    timespec time{};
    tell("clock", call(SYS_clock_settime, CLOCK_REALTIME, &time));
    ::clock_gettime(CLOCK_BOOTTIME, &time);
    std::printf("uptime_s=%lld\n", static_cast<long long>(time.tv_sec));
    tell("hostname", call(SYS_sethostname, "x", 1));
    errno = 0;
    tell("nice", ::setpriority(PRIO_PROCESS, 0, -10));
    sched_param priority{.sched_priority = 1};
    tell("realtime", ::sched_setscheduler(0, SCHED_FIFO, &priority));
    void* memory =
        ::mmap(nullptr, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    errno = 0;
    tell("mlock", ::mlock(memory, 64 << 20));
}
/// Where and as whom it runs, and what it was given.
void show(const char*) {
    char folder[4096] = "";
    if (::getcwd(folder, sizeof(folder)) == nullptr) folder[0] = '\0';
    std::printf("cwd=%s\nuid=%d\n", folder, static_cast<int>(::getuid()));
    for (const char* name : {"WHO", "B"}) {
        const char* const value = ::getenv(name);
        std::printf("%s=%s\n", name, value == nullptr ? "" : value);
    }
    std::printf("/etc/motd=%s\n", ::access("/etc/motd", R_OK) == 0 ? "readable" : "closed");
}
/// Types and permissions of what is in a folder, and whether it can be written in.
void modes(const char* folder) {
    DIR* const open = ::opendir(folder);
    while (const dirent* entry = open == nullptr ? nullptr : ::readdir(open)) {
        struct stat facts {};
        if (::fstatat(::dirfd(open), entry->d_name, &facts, AT_SYMLINK_NOFOLLOW) != 0) continue;
        std::printf("%s=%o\n", entry->d_name, static_cast<unsigned>(facts.st_mode));
    }
    tell("write", ::openat(::dirfd(open), "written", O_CREAT | O_WRONLY, 0644));
}
void tree(const char* count) {
    for (int i = 0; i < std::atoi(count); ++i) {
        if (::fork() == 0) {
            for (;;) ::pause();
        }
    }
    std::printf("began=ok\n");
    std::fflush(stdout);
    for (;;) ::pause();
}

const std::map<std::string, void (*)(const char*)> kCases = {{"s01", s01},
                                                             {"s02", s02},
                                                             {"s03", s03},
                                                             {"s04", s04},
                                                             {"s05", s05},
                                                             {"s06", s06},
                                                             {"s07", s07},
                                                             {"s08", s08},
                                                             {"s09", s09},
                                                             {"s10", s10},
                                                             {"s11", s11},
                                                             {"s12", s12},
                                                             {"s13", s13},
                                                             {"s14", s14},
                                                             {"s15", s15},
                                                             {"s16", s16},
                                                             {"s17", s17},
                                                             {"s18", s18},
                                                             {"s19", s19},
                                                             {"s20", s20},
                                                             {"s21", s21},
                                                             {"s22", s22},
                                                             {"s23", s23},
                                                             {"s26_processes", s26_processes},
                                                             {"s26_threads", s26_threads},
                                                             {"s27_heap", s27_heap},
                                                             {"s27_shared", s27_shared},
                                                             {"s27_memfd", s27_memfd},
                                                             {"s27_page_tables", s27_page_tables},
                                                             {"s27_sockets", s27_sockets},
                                                             {"s28_fill", s28_fill},
                                                             {"s28_inodes", s28_inodes},
                                                             {"s28_sparse", s28_sparse},
                                                             {"s28_deep", s28_deep},
                                                             {"s29", s29},
                                                             {"s30", s30},
                                                             {"s31", s31},
                                                             {"s32", s32},
                                                             {"s33_stop", s33_stop},
                                                             {"s33_hold", s33_hold},
                                                             {"s34", s34},
                                                             {"s35", s35},
                                                             {"s37", s37},
                                                             {"s38", s38},
                                                             {"s50", s50},
                                                             {"s51_leave", s51_leave},
                                                             {"s51_look", s51_look},
                                                             {"s52", s52},
                                                             {"show", show},
                                                             {"modes", modes},
                                                             {"tree", tree}};

}  // namespace

int main(int argc, char** argv) {
    const auto found = kCases.find(argc > 1 ? argv[1] : "");
    if (found == kCases.end()) return 2;
    found->second(argc > 2 ? argv[2] : "");
    return 0;
}
