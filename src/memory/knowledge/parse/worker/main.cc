// The program that parses one document: a request and the bytes in, text and structure out. It
// takes every right from itself before it looks at a byte, because a document may be hostile and
// parsers of PDF and images have a history.
//
// 3: a file with one line of JSON (the request) and the document; 4: this program; 1: the answer.
#include <fcntl.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <exception>
#include <new>

#include "base/files/unique_fd.h"
#include "memory/knowledge/parse/parse.h"

namespace memory::knowledge::parse {
namespace {

constexpr int kInput = 3, kProgram = 4;
constexpr rlim_t kMemoryBytesMax = 1536ull << 20;
constexpr rlim_t kCpuSeconds = 120;
constexpr rlim_t kFilesMax = 64;

void limit(int what, rlim_t most) {
    const rlimit both{most, most};
    ::setrlimit(static_cast<__rlimit_resource>(what), &both);
}

/// Fonts, encodings and tesseract's data can be read; nothing else of the machine can be.
bool read_only_there() {
    constexpr std::uint64_t kRead =
        LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_EXECUTE;
    landlock_ruleset_attr handled{};
    handled.handled_access_fs = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
    const base::UniqueFd rules(static_cast<int>(
        ::syscall(SYS_landlock_create_ruleset, &handled, sizeof(handled.handled_access_fs), 0)));
    if (!rules) return false;
    for (const char* path :
         {"/usr", "/lib", "/lib64", "/etc/fonts", "/etc/ld.so.cache", "/etc/paperspecs",
          "/var/cache/fontconfig", "/dev/null", "/dev/urandom"}) {
        const base::UniqueFd fd(::open(path, O_PATH | O_CLOEXEC));
        if (!fd) continue;
        struct stat what {};
        ::fstat(fd.get(), &what);
        landlock_path_beneath_attr rule{};
        rule.parent_fd = fd.get();
        rule.allowed_access =
            S_ISDIR(what.st_mode) ? kRead : std::uint64_t{LANDLOCK_ACCESS_FS_READ_FILE};
        ::syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    }
    return ::syscall(SYS_landlock_restrict_self, rules.get(), 0) == 0;
}

/// No network, no other process, no rights to gain; no program either where none is needed.
bool no_calls_out(bool runs_a_program) {
    const scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
    if (filter == nullptr) return false;
    const auto deny = [&](std::initializer_list<int> calls) {
        for (const int call : calls) ::seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), call, 0);
    };
    deny({SCMP_SYS(socket),
          SCMP_SYS(socketpair),
          SCMP_SYS(connect),
          SCMP_SYS(bind),
          SCMP_SYS(ptrace),
          SCMP_SYS(process_vm_readv),
          SCMP_SYS(process_vm_writev),
          SCMP_SYS(mount),
          SCMP_SYS(umount2),
          SCMP_SYS(unshare),
          SCMP_SYS(setns),
          SCMP_SYS(bpf),
          SCMP_SYS(keyctl),
          SCMP_SYS(add_key),
          SCMP_SYS(request_key),
          SCMP_SYS(kexec_load),
          SCMP_SYS(init_module),
          SCMP_SYS(finit_module),
          SCMP_SYS(perf_event_open),
          SCMP_SYS(userfaultfd),
          SCMP_SYS(io_uring_setup),
          SCMP_SYS(kill),
          SCMP_SYS(tkill),
          SCMP_SYS(pidfd_open),
          SCMP_SYS(shmget),
          SCMP_SYS(msgget)});
    if (!runs_a_program) {
        deny({SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork)});
    }
    const bool loaded = ::seccomp_load(filter) == 0;
    ::seccomp_release(filter);
    return loaded;
}

/// What an old kernel lacks is left out: limits and a process of its own remain.
void give_up_rights(bool runs_a_program) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::prctl(PR_SET_DUMPABLE, 0);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_CPU, kCpuSeconds);
    limit(RLIMIT_NOFILE, kFilesMax);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    limit(RLIMIT_AS, kMemoryBytesMax);  // sanitizers map terabytes
#endif
    static_cast<void>(read_only_there());
    static_cast<void>(no_calls_out(runs_a_program));
}

base::Result<Parsed> work(std::string_view input) {
    const std::size_t line = input.find('\n');
    if (line == std::string_view::npos) {
        return base::fail(base::Code::internal, "the parser was given no request");
    }
    const ParseRequest request = DG_TRY(decode_request(input.substr(0, line)));
    const std::string_view bytes = input.substr(line + 1);
    give_up_rights(sniff(bytes, request.name).starts_with("image/"));
    try {
        auto parsed = parse_document(bytes, request);
        if (parsed) DG_TRY(check_parsed(*parsed, request.text_bytes_max));
        return parsed;
    } catch (const std::bad_alloc&) {
        return base::fail(base::Code::resource_exhausted,
                          "the document takes more than {} MiB to read", kMemoryBytesMax >> 20);
    } catch (const std::exception& error) {
        return base::fail(base::Code::invalid_argument, "the document cannot be read: {}",
                          error.what());
    }
}

int run() {
    ::close(kProgram);
    struct stat what {};
    if (::fstat(kInput, &what) != 0 || what.st_size <= 0) return 2;
    const auto size = static_cast<std::size_t>(what.st_size);
    void* const mapped = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, kInput, 0);
    if (mapped == MAP_FAILED) return 2;
    const std::string answer =
        encode_answer(work(std::string_view(static_cast<const char*>(mapped), size)));
    for (std::string_view rest = answer; !rest.empty();) {
        const auto wrote = ::write(1, rest.data(), rest.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote <= 0) return 3;
        rest.remove_prefix(static_cast<std::size_t>(wrote));
    }
    return 0;
}

}  // namespace
}  // namespace memory::knowledge::parse

int main() {
    return memory::knowledge::parse::run();
}
