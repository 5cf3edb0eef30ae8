// The filter, installed in a child of the test's own: what each call answers.
#include "sphere/native/seccomp_program.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>

#include <fcntl.h>
#include "sphere/native/launcher_image.h"

namespace sphere::native {
namespace {

constexpr int kSignalled = 1000;

bool install(std::vector<sock_filter>& code) {
    const sock_fprog filter{static_cast<unsigned short>(code.size()), code.data()};
    return code.empty() || ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) == 0;
}

/// errno of `attempt` under both filters, 0 when it works, kSignalled + signal when it ends the
/// child.
int outcome(const std::function<long()>& attempt, const SeccompOptions& options = {}) {
    auto programs = build_seccomp_programs(options);
    EXPECT_TRUE(programs);
    const pid_t pid = ::fork();
    if (pid == 0) {
        ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (!install(programs->common) || !install(programs->command)) ::_exit(255);
        errno = 0;
        const long result = attempt();
        ::_exit(result < 0 ? errno : 0);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? kSignalled + WTERMSIG(status) : WEXITSTATUS(status);
}

int call(long number) {
    return outcome([number] { return ::syscall(number, 0, 0, 0, 0, 0, 0); });
}

TEST(SeccompProgram, FitsTheKernelsLimit) {
    const auto program = build_seccomp_program();
    ASSERT_TRUE(program);
    EXPECT_LT(program->size(), 4096u);
    EXPECT_GT(program->size(), 100u);
}

/// What a program answers, by the kernel's rules for the instructions that filters here use.
std::uint32_t answer(const std::vector<sock_filter>& code, const seccomp_data& call) {
    std::uint32_t value = 0;
    for (std::size_t at = 0; at < code.size(); ++at) {
        const sock_filter& step = code[at];
        const auto branch = [&](bool taken) { at += taken ? step.jt : step.jf; };
        switch (step.code) {
            case BPF_LD | BPF_W | BPF_ABS:
                std::memcpy(&value, reinterpret_cast<const char*>(&call) + step.k, sizeof(value));
                break;
            case BPF_ALU | BPF_AND | BPF_K:
                value &= step.k;
                break;
            case BPF_JMP | BPF_JA:
                at += step.k;
                break;
            case BPF_JMP | BPF_JEQ | BPF_K:
                branch(value == step.k);
                break;
            case BPF_JMP | BPF_JGT | BPF_K:
                branch(value > step.k);
                break;
            case BPF_JMP | BPF_JGE | BPF_K:
                branch(value >= step.k);
                break;
            case BPF_JMP | BPF_JSET | BPF_K:
                branch((value & step.k) != 0);
                break;
            case BPF_RET | BPF_K:
                return step.k;
            default:
                ADD_FAILURE() << "an instruction this test does not know: " << step.code;
                return 0;
        }
    }
    ADD_FAILURE() << "no answer";
    return 0;
}

/// As the kernel orders answers: as signed numbers, the lesser is the stricter.
std::uint32_t stricter(std::uint32_t a, std::uint32_t b) {
    const auto action = [](std::uint32_t of) {
        return static_cast<std::int32_t>(of & SECCOMP_RET_ACTION_FULL);
    };
    return action(b) < action(a) ? b : a;
}

TEST(SeccompProgram, TwoFiltersTogetherAnswerAsTheWholeListDoes) {
    constexpr std::uint64_t kValues[] = {
        0,      1,      2,      10,         16,         0x10000000,      0x20000,
        0x5412, 0x541c, 0x5413, 0xffffffff, 1ull << 32, (1ull << 32) | 2};
    for (const bool affinity : {true, false}) {
        const SeccompOptions options{.affinity = affinity};
        const auto whole = build_seccomp_program(options);
        const auto parts = build_seccomp_programs(options);
        ASSERT_TRUE(whole && parts);
        ASSERT_FALSE(parts->common.empty());
        int differ_alone = 0;
        for (const std::uint32_t arch :
             std::array<std::uint32_t, 3>{AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64, AUDIT_ARCH_I386}) {
            for (std::uint32_t nr = 0; nr < 1100; ++nr) {
                for (const std::uint64_t first : kValues) {
                    for (const std::uint64_t second : kValues) {
                        seccomp_data call{};
                        call.nr = static_cast<int>(nr < 1000 ? nr : nr - 1000 + 0x40000000);
                        call.arch = arch;
                        call.args[0] = first;
                        call.args[1] = second;
                        const std::uint32_t expected = answer(*whole, call);
                        const std::uint32_t common = answer(parts->common, call);
                        ASSERT_EQ(stricter(common, answer(parts->command, call)), expected)
                            << "call " << call.nr << " arch " << arch << " with " << first << ", "
                            << second;
                        differ_alone += common != expected;
                    }
                }
            }
        }
        EXPECT_GT(differ_alone, 0) << "the launcher could make no box";
    }
}

TEST(SeccompProgram, DangerousCallsAreNotPermitted) {
    for (const long number : {425l,
                              426l,
                              427l,
                              long{SYS_bpf},
                              long{SYS_userfaultfd},
                              long{SYS_perf_event_open},
                              long{SYS_ptrace},
                              long{SYS_process_vm_readv},
                              long{SYS_process_vm_writev},
                              long{SYS_kcmp},
                              long{SYS_keyctl},
                              long{SYS_add_key},
                              long{SYS_request_key},
                              long{SYS_mount},
                              long{SYS_umount2},
                              long{SYS_pivot_root},
                              long{SYS_chroot},
                              long{SYS_setns},
                              long{SYS_unshare},
                              long{SYS_name_to_handle_at},
                              long{SYS_open_by_handle_at},
                              long{SYS_kexec_load},
                              long{SYS_init_module},
                              long{SYS_finit_module},
                              long{SYS_delete_module},
                              long{SYS_reboot},
                              long{SYS_swapon},
                              long{SYS_acct},
                              long{SYS_syslog},
                              long{SYS_clock_settime},
                              long{SYS_settimeofday},
                              long{SYS_adjtimex},
                              long{SYS_quotactl},
                              long{SYS_vhangup},
                              long{SYS_sethostname},
                              long{SYS_fanotify_init},
                              long{SYS_lookup_dcookie},
                              long{SYS_move_pages},
                              long{SYS_migrate_pages},
                              428l,
                              429l,
                              430l,
                              438l,
                              440l,
                              442l,
                              447l}) {
        EXPECT_EQ(call(number), EPERM) << "system call " << number;
    }
}

TEST(SeccompProgram, WhatIsNewerThanTheListFallsBack) {
    EXPECT_EQ(call(SYS_clone3), ENOSYS);
    for (const long number : {453l, 457l, 458l, 463l, 467l, 480l}) {
        EXPECT_EQ(call(number), ENOSYS) << "system call " << number;
    }
    EXPECT_EQ(call(9999), EPERM);
}

TEST(SeccompProgram, OrdinaryCallsWork) {
    EXPECT_EQ(outcome([] { return ::syscall(SYS_getppid); }), 0);
    EXPECT_EQ(outcome([] { return ::open("/dev/null", O_RDWR); }), 0);
    EXPECT_EQ(outcome([] {
                  const pid_t child = ::fork();
                  if (child == 0) ::_exit(0);
                  return child > 0 && ::waitpid(child, nullptr, 0) == child ? 0 : -1;
              }),
              0);
    for (const int family : {AF_UNIX, AF_INET, AF_INET6}) {
        EXPECT_EQ(outcome([family] { return ::socket(family, SOCK_STREAM, 0); }), 0) << family;
    }
}

TEST(SeccompProgram, OtherSocketFamiliesAreNotPermitted) {
    for (int family = 3; family < 46; ++family) {
        if (family == AF_INET6) continue;
        EXPECT_EQ(outcome([family] { return ::socket(family, SOCK_RAW, 0); }), EPERM) << family;
    }
}

TEST(SeccompProgram, NamespacesCannotComeWithAClone) {
    for (const long flag : {CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC,
                            CLONE_NEWUTS, CLONE_NEWCGROUP}) {
        EXPECT_EQ(outcome([flag] { return ::syscall(SYS_clone, flag | SIGCHLD, 0, 0, 0, 0); }),
                  EPERM);
    }
}

TEST(SeccompProgram, TerminalRequestsAreReadAsTheKernelDoes) {
    // The kernel takes the low half: what stands above must not change the answer.
    for (const unsigned long high : {0ul, 0x100000000ul, 0xffffffff00000000ul}) {
        for (const unsigned long request : {0x5412ul, 0x541cul, 0x5423ul, 0x541dul}) {
            EXPECT_EQ(outcome([=] { return ::syscall(SYS_ioctl, 0, high | request, 0); }), EPERM);
        }
    }
    EXPECT_EQ(outcome([] { return ::syscall(SYS_ioctl, -1, TIOCGWINSZ, 0); }), EBADF);
}

TEST(SeccompProgram, PersonalityAnswersButDoesNotChange) {
    EXPECT_EQ(outcome([] { return ::syscall(SYS_personality, 0xffffffffu); }), 0);
    EXPECT_EQ(outcome([] { return ::syscall(SYS_personality, 0x0040000u); }), EPERM);
    EXPECT_EQ(outcome([] { return ::syscall(SYS_personality, 8u); }), EPERM);
}

TEST(SeccompProgram, AffinityIsHeldWhereItIsTheLimit) {
    const auto keep = [] {
        cpu_set_t set;
        ::sched_getaffinity(0, sizeof(set), &set);
        return static_cast<long>(::sched_setaffinity(0, sizeof(set), &set));
    };
    EXPECT_EQ(outcome(keep), 0);
    EXPECT_EQ(outcome(keep, {.affinity = false}), EPERM);
}

#ifdef __x86_64__
TEST(SeccompProgram, OtherCallTablesEndTheProcess) {
    EXPECT_EQ(outcome([] { return ::syscall(0x40000000 | SYS_getpid); }), kSignalled + SIGSYS);
    EXPECT_EQ(outcome([] {
                  long result;
                  asm volatile("int $0x80" : "=a"(result) : "a"(20) : "memory");
                  return result;
              }),
              kSignalled + SIGSYS);
}
#endif

TEST(LauncherImage, IsSealed) {
    const auto image = launcher_image();
    ASSERT_TRUE(image);
    const char byte = 'x';
    EXPECT_EQ(::pwrite(image->get(), &byte, 1, 0), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(::ftruncate(image->get(), 0), -1);
    const std::string again = "/proc/self/fd/" + std::to_string(image->get());
    const int writable = ::open(again.c_str(), O_RDWR);
    if (writable >= 0) {
        EXPECT_EQ(::pwrite(writable, &byte, 1, 0), -1);
        ::close(writable);
    }
}

}  // namespace
}  // namespace sphere::native
