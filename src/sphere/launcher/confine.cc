#include "sphere/launcher/confine.h"

#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>

#include "sphere/launcher/kernel.h"

namespace sphere::launcher {
namespace {

constexpr std::uint64_t kRead =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kMakeDevices = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK;
constexpr std::uint64_t kRefer = 1ull << 13, kTruncate = 1ull << 14, kIoctlDevice = 1ull << 15;

/// Rights of version 1 are bits 0 to 12; later versions add one each at 2, 3 and 5.
std::uint64_t all_file_rights(int abi) {
    std::uint64_t rights = (1ull << 13) - 1;
    if (abi >= 2) rights |= kRefer;
    if (abi >= 3) rights |= kTruncate;
    if (abi >= 5) rights |= kIoctlDevice;
    return rights;
}

/// linux/landlock.h of Debian 12 ends before the later fields.
struct Ruleset {
    std::uint64_t files, ports, scopes;
};

bool allow_folder(int ruleset, int folder, std::uint64_t rights) {
    landlock_path_beneath_attr rule{};
    rule.allowed_access = rights;
    rule.parent_fd = folder;
    return ::syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0u) == 0;
}

bool allow(int ruleset, const char* path, std::uint64_t rights) {
    const int folder = ::open(path, O_PATH | O_CLOEXEC);
    if (folder < 0) return errno == ENOENT;
    const bool added = allow_folder(ruleset, folder, rights);
    ::close(folder);
    return added;
}

// Of the host, what programs need to start and to look up names, and nothing that says who works
// here.
constexpr const char* kPrograms[] = {"/usr",          "/bin",   "/sbin",   "/lib",
                                     "/lib32",        "/lib64", "/libx32", "/etc/alternatives",
                                     "/etc/ssl/certs"};
constexpr const char* kReadable[] = {
    "/etc/ld.so.cache", "/etc/ld.so.conf",    "/etc/localtime",
    "/etc/mime.types",  "/etc/passwd",        "/etc/group",
    "/etc/hosts",       "/etc/nsswitch.conf", "/etc/ssl/openssl.cnf"};
constexpr const char* kUsableDevices[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                          "/dev/random", "/dev/urandom", "/dev/tty"};

bool set_limit(__rlimit_resource which, std::uint64_t value) {
    const rlimit limit{value, value};
    return ::setrlimit(which, &limit) == 0;
}

/// As set_limit, but nothing where it is as low already: a container may have begun with less.
bool lower_limit(__rlimit_resource which, std::uint64_t value) {
    rlimit now{};
    return ::getrlimit(which, &now) == 0 && (now.rlim_max <= value || set_limit(which, value));
}

/// The first `count` of the processors this process may use.
bool keep_processors(std::uint32_t count) {
    cpu_set_t allowed, kept;
    if (::sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return false;
    CPU_ZERO(&kept);
    for (std::size_t i = 0; i < CPU_SETSIZE && count > 0; ++i) {
        if (!CPU_ISSET(i, &allowed)) continue;
        CPU_SET(i, &kept);
        --count;
    }
    return ::sched_setaffinity(0, sizeof(kept), &kept) == 0;
}

}  // namespace

int landlock_abi() {
    return static_cast<int>(
        ::syscall(SYS_landlock_create_ruleset, nullptr, 0u, LANDLOCK_CREATE_RULESET_VERSION));
}

Outcome drop_privileges(bool bounding_set) {
    // A limit of one byte, not zero: with zero the kernel still starts a core_pattern program.
    if (!set_limit(RLIMIT_CORE, 1) || !set_limit(RLIMIT_MEMLOCK, 64 * 1024) ||
        !set_limit(RLIMIT_MSGQUEUE, 0) || !set_limit(RLIMIT_RTPRIO, 0)) {
        return failed(Step::limits);
    }
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed(Step::privileges);
    for (int capability = 0; bounding_set && ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0;
         ++capability) {
        if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) return failed(Step::privileges);
    }
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
        return failed(Step::privileges);
    }
    __user_cap_header_struct head{_LINUX_CAPABILITY_VERSION_3, 0};
    const __user_cap_data_struct none[2] = {};
    if (::syscall(SYS_capset, &head, none) != 0 || ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return failed(Step::privileges);
    }
    return {};
}

Outcome restrict_files(bool network) {
    const int abi = landlock_abi();
    const std::uint64_t all = all_file_rights(abi);
    Ruleset rules{all, 0, 0};
    if (abi >= 4 && !network) rules.ports = 3;  // bind, connect: nothing allowed
    if (abi >= 6) rules.scopes = LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL;
    const std::size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
    const int ruleset = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, size, 0u));
    if (ruleset < 0) return failed(Step::landlock);
    const std::uint64_t work = all & ~kMakeDevices & ~kIoctlDevice;
    const std::uint64_t device =
        kRead | LANDLOCK_ACCESS_FS_WRITE_FILE | (all & (kTruncate | kIoctlDevice));
    const bool done = allow(ruleset, "/", kRead) && allow(ruleset, "/tmp", work) &&
                      allow(ruleset, "/workspace", work) && allow(ruleset, "/dev/shm", work) &&
                      allow(ruleset, "/dev", device) &&
                      allow(ruleset, "/proc",
                            LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
                                LANDLOCK_ACCESS_FS_WRITE_FILE) &&
                      ::syscall(SYS_landlock_restrict_self, ruleset, 0u) == 0;
    const Outcome outcome = done ? Outcome{} : failed(Step::landlock);
    ::close(ruleset);
    return outcome;
}

Outcome restrict_host_files(int workspace, int tmp) {
    const int abi = landlock_abi();
    if (abi < 6) return {Step::landlock, EOPNOTSUPP};
    const std::uint64_t all = all_file_rights(abi);
    const Ruleset rules{all, 3, LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL};
    const int ruleset = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, 24, 0u));
    if (ruleset < 0) return failed(Step::landlock);
    const std::uint64_t work = all & ~kMakeDevices & ~kIoctlDevice;
    bool done = allow_folder(ruleset, workspace, work) && allow_folder(ruleset, tmp, work);
    for (const char* path : kPrograms) done = done && allow(ruleset, path, kRead);
    for (const char* path : kReadable) {
        done = done && allow(ruleset, path, LANDLOCK_ACCESS_FS_READ_FILE);
    }
    for (const char* path : kUsableDevices) {
        done = done && allow(ruleset, path,
                             LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                 kTruncate | kIoctlDevice);
    }
    done = done && ::syscall(SYS_landlock_restrict_self, ruleset, 0u) == 0;
    const Outcome outcome = done ? Outcome{} : failed(Step::landlock);
    ::close(ruleset);
    return outcome;
}

Outcome restrict_scopes() {
    const Ruleset rules{0, 0, LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | LANDLOCK_SCOPE_SIGNAL};
    const int ruleset = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, 24, 0u));
    if (ruleset < 0) return failed(Step::landlock);
    const Outcome outcome = ::syscall(SYS_landlock_restrict_self, ruleset, 0u) == 0
                                ? Outcome{}
                                : failed(Step::landlock);
    ::close(ruleset);
    return outcome;
}

Outcome install_filter(const sock_fprog& program) {
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) {
        return failed(Step::seccomp);
    }
    return {};
}

Outcome lower_limits() {
    // A limit of one byte, not zero: with zero the kernel still starts a core_pattern program.
    if (!lower_limit(RLIMIT_CORE, 1) || !lower_limit(RLIMIT_MEMLOCK, 64 * 1024)) {
        return failed(Step::limits);
    }
    // gVisor's kernel has no such limits and refuses to set them.
    static_cast<void>(lower_limit(RLIMIT_MSGQUEUE, 0));
    static_cast<void>(lower_limit(RLIMIT_RTPRIO, 0));
    return {};
}

Outcome limit_processor_time(std::uint64_t seconds) {
    return seconds == 0 || set_limit(RLIMIT_CPU, seconds) ? Outcome{} : failed(Step::limits);
}

Outcome limit_process(const ProcessLimits& limits) {
    if (!set_limit(RLIMIT_NOFILE, limits.open_files) ||
        (limits.processes != 0 && !set_limit(RLIMIT_NPROC, limits.processes)) ||
        !lower_limit(RLIMIT_SIGPENDING, 1024) ||
        (limits.data_bytes != 0 && !set_limit(RLIMIT_DATA, limits.data_bytes)) ||
        (limits.file_bytes != 0 && !set_limit(RLIMIT_FSIZE, limits.file_bytes)) ||
        (limits.processors != 0 && !keep_processors(limits.processors))) {
        return failed(Step::limits);
    }
    return limit_processor_time(limits.cpu_seconds);
}

}  // namespace sphere::launcher
