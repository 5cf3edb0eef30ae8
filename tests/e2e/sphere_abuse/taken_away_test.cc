// The same walls with a primitive taken away for real, in a child: it is refused by name, or the
// lower level is told; never silently less.
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include "box_fixture.h"

namespace test {
namespace {

bool write_file(const char* path, const std::string& text) {
    const int fd = ::open(path, O_WRONLY | O_CLOEXEC);
    const bool written =
        fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    if (fd >= 0) ::close(fd);
    return written;
}

/// A user namespace of one's own in which `key` of /proc/sys/user is 0.
bool forbid_namespaces(const char* key) {
    const std::string user = std::to_string(::geteuid()), group = std::to_string(::getegid());
    return ::unshare(CLONE_NEWUSER) == 0 && write_file("/proc/self/setgroups", "deny") &&
           write_file("/proc/self/uid_map", "0 " + user + " 1") &&
           write_file("/proc/self/gid_map", "0 " + group + " 1") &&
           write_file((std::string("/proc/sys/user/") + key).c_str(), "0");
}

/// The three calls of Landlock answer as in a kernel without it.
bool forbid_landlock() {
    sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 444, 0, 2),
                          BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 446, 1, 0),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{5, code};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

/// Answers of a child in which `take_away` was done.
enum Answer {
    kRefusedByName = 0,
    kOnlyProcess = 1,  ///< full is refused by name, and level process is there
    kCannotTakeAway = 40,
    kOpened,
    kOtherError,
    kReportSilent
};

/// A sphere without level full: it refuses that by name, and gives the lower level to who asks.
bool gives_only_process(sphere::Sphere& sphere, const std::string& named) {
    const auto full = sphere.create({});
    sphere::SandboxSpec spec;
    spec.isolation = sphere::Isolation::process;
    const auto box = sphere.create(spec);
    Recorder heard;
    const bool runs = box && sphere.exec(*box, {.argv = {"echo", "runs"}}, heard) &&
                      heard.out == "runs\n" && sphere.destroy(*box);
    if (!runs || full || full.error().message.find(named) == std::string::npos) {
        std::fprintf(stderr, "%s: full: %s; process: %s\n", named.c_str(),
                     full ? "made" : full.error().message.c_str(),
                     box ? heard.out.c_str() : box.error().message.c_str());
    }
    return runs && !full && full.error().code == base::Code::failed_precondition &&
           full.error().message.find(named) != std::string::npos;
}

Answer ask(const std::string& state_dir, const std::function<bool()>& take_away,
           const std::string& named) {
    const pid_t child = ::fork();
    if (child == 0) {
        if (!take_away()) ::_exit(kCannotTakeAway);
        base::SystemClock clock;
        auto opened = sphere::Sphere::open({.state_dir = state_dir, .pool_size = 0}, clock);
        if (opened && !gives_only_process(**opened, named)) ::_exit(kOpened);
        if (!opened && (opened.error().code != base::Code::failed_precondition ||
                        opened.error().message.find(named) == std::string::npos)) {
            ::_exit(kOtherError);
        }
        const auto report = sphere::inspect_host();
        const auto fact = std::ranges::find(report.facts, named, &sphere::HostFact::primitive);
        const bool told = fact != report.facts.end() && fact->finding == sphere::Finding::missing &&
                          !fact->consequence.empty() &&
                          report.levels.size() == (opened ? 1u : 0u) &&
                          (!opened || report.levels.front() == sphere::Isolation::process);
        const Answer answer = opened ? kOnlyProcess : kRefusedByName;
        if (opened) opened->reset();
        ::_exit(told ? answer : kReportSilent);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? static_cast<Answer>(WEXITSTATUS(status)) : kOtherError;
}

class TakenAway : public AbuseTest {
protected:
    void expect_refused(const std::function<bool()>& take_away, const std::string& named,
                        Answer expected = kOnlyProcess) {
        sphere.reset();  // no thread of ours at the fork
        const Answer answer = ask(state.path(), take_away, named);
        if (answer == kCannotTakeAway) GTEST_SKIP() << "THIS HOST DOES NOT LET IT BE TAKEN AWAY";
        EXPECT_EQ(answer, expected);
    }
};

TEST_F(TakenAway, WithoutLandlockNothingIsMade) {
    expect_refused(forbid_landlock, "landlock", kRefusedByName);
}

TEST_F(TakenAway, WithoutUserNamespacesOnlyLevelProcessIsThere) {
    expect_refused([] { return forbid_namespaces("max_user_namespaces"); }, "user namespaces");
}

TEST_F(TakenAway, WithoutNetworkNamespacesOnlyLevelProcessIsThere) {
    expect_refused([] { return forbid_namespaces("max_net_namespaces"); }, "network namespaces");
}

TEST_F(TakenAway, WithoutProcessNamespacesOnlyLevelProcessIsThere) {
    expect_refused([] { return forbid_namespaces("max_pid_namespaces"); }, "process namespaces");
}

/// Runs this program again as an ordinary user, who may make no control groups here.
TEST_F(TakenAway, AnOrdinaryUserHasTheSameWalls) {
    if (::geteuid() != 0) GTEST_SKIP() << "this run is an ordinary user's already";
    sphere.reset();
    TempDir copies;
    ASSERT_EQ(::chmod(copies.path().c_str(), 0755), 0);
    const std::string program = copies.file("tests"), abuser = copies.file("abuser");
    std::filesystem::copy_file("/proc/self/exe", program);
    std::filesystem::copy_file(abuser_path(), abuser);
    const pid_t child = ::fork();
    if (child == 0) {
        ::setenv("DG_ABUSER", abuser.c_str(), 1);
        ::setenv("TMPDIR", "/tmp", 1);
        ::unsetenv("GTEST_OUTPUT");
        const bool dropped = ::setresgid(65534, 65534, 65534) == 0 &&
                             ::setresuid(65534, 65534, 65534) == 0 && ::chdir("/") == 0;
        if (!dropped) ::_exit(kCannotTakeAway);
        ::execl(program.c_str(), program.c_str(), "--gtest_brief=1",
                "--gtest_filter=-TakenAway.*:HumanEval.*", nullptr);
        ::_exit(kCannotTakeAway);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

/// The cases that a process of this host, in no namespace, holds as a full box does. The README
/// lists the others.
constexpr const char* kHeldByProcess =
    "AbuseTest.ABoxWhoseLifetimeIsOverEnds:"
    "AbuseTest.ACommandsStatusAndStreamsAreItsOwn:"
    "AbuseTest.AKilledServerLeavesNoProcessAndTheNextOneNoGroup:"
    "AbuseTest.APausedBoxDoesNothingUntilItIsResumed:"
    "AbuseTest.AtTheLimitMoreAreRefused:"
    "AbuseTest.DestroyedBoxesAndClosedSpheresLeaveNoGroup:"
    "AbuseTest.ProcessorTimeEndsACommand:"
    "AbuseTest.S01_IoUringIsRefused:"
    "AbuseTest.S02_BpfIsRefused:"
    "AbuseTest.S03_UserfaultfdIsRefused:"
    "AbuseTest.S04_NoNewNamespaceCanBeEntered:"
    "AbuseTest.S05_NoMountCanBeChanged:"
    "AbuseTest.S07_PerfEventsAreRefused:"
    "AbuseTest.S09_OtherCallTablesEndTheProcess:"
    "AbuseTest.S10_NoOtherProcessCanBeLookedInto:"
    "AbuseTest.S11_FileHandlesAreRefused:"
    "AbuseTest.S12_PersonalityCannotChange:"
    "AbuseTest.S13_TheTerminalTakesNoInputFromInside:"
    "AbuseTest.S14_TheMachineCannotBeGoverned:"
    "AbuseTest.S16_KernelKnobsCannotBeOpened:"
    "AbuseTest.S20_DevicesCannotBeMadeOrFound:"
    "AbuseTest.S21_LimitsAndGroupsCannotBeLeft:"
    "AbuseTest.S26_ForkAndThreadBombsMeetTheirCap:"
    "AbuseTest.S27_SocketBuffersAreBounded:"
    "AbuseTest.S30_ObjectsOfTheKernelAreBounded:"
    "AbuseTest.S31_OutputIsCutAtItsCapAndTold:"
    "AbuseTest.S32_DaemonsDieWithTheirTime:"
    "AbuseTest.S33_APipeHeldOpenDoesNotHoldTheAnswer:"
    "AbuseTest.S33_AStoppedProcessDiesWithItsTime:"
    "AbuseTest.S37_WithoutANetworkNothingConnects:"
    "AbuseTest.S50_SignalsHitOnlyOwnProcesses:"
    "AbuseTest.SignalsReachACommandAndDestroyIsIdempotent:"
    "AbuseTest.StdinMayStayOpen:"
    "AbuseTest.WhatCannotStartIsNamed";

TEST_F(TakenAway, LevelProcessHoldsWhatItCan) {
    sphere.reset();
    const pid_t child = ::fork();
    if (child == 0) {
        ::setenv("DG_ABUSE_ISOLATION", "process", 1);
        ::unsetenv("GTEST_OUTPUT");
        const std::string filter = std::string("--gtest_filter=") + kHeldByProcess;
        ::execl("/proc/self/exe", "tests", "--gtest_brief=1", filter.c_str(), nullptr);
        ::_exit(kCannotTakeAway);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(AbuseTest, WhatEnforcesALimitIsToldAndHolds) {
    sphere::SandboxSpec spec;
    spec.limits.memory_bytes = 64ull << 20;
    spec.limits.cpus = 1;
    const sphere::SandboxId box = make(spec);
    const auto info = sphere->info(box);
    ASSERT_TRUE(info);
    const auto told = [&](const std::string& line) {
        return std::ranges::find(info->enforced_by, line) != info->enforced_by.end();
    };
    if (!limited_by_groups("memory limit")) {
        EXPECT_TRUE(told("memory: rlimit per process"));
        run(box, {.argv = {"python3", "-c", "x = bytearray(100 << 20)"}});
        EXPECT_NE(recorder.result->exit_code, 0);
        EXPECT_NE(recorder.err.find("MemoryError"), std::string::npos) << recorder.err;
    } else {
        EXPECT_TRUE(std::ranges::any_of(info->enforced_by, [](const std::string& line) {
            return line.starts_with("memory: cgroup v1") || line.starts_with("memory: cgroup v2");
        }));
    }
    if (!limited_by_groups("cpu limit")) {
        EXPECT_TRUE(told("cpu: processor affinity"));
        run(box, {.argv = {"python3", "-c",
                           "import os\nprint(len(os.sched_getaffinity(0)))\n"
                           "try: os.sched_setaffinity(0, range(os.cpu_count()))\n"
                           "except PermissionError: print('held')"}});
        EXPECT_EQ(recorder.out, "1\nheld\n") << recorder.err;
    }
    if (in_container()) {
        EXPECT_TRUE(told("system calls: seccomp allow list") ||
                    told("system calls: seccomp allow list, answered by its own kernel"));
    } else {
        EXPECT_TRUE(told("system calls: seccomp allow list"));
    }
}

}  // namespace
}  // namespace test
