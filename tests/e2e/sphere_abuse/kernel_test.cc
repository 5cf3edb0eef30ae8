// S01 to S25: what the kernel offers a program, and what a box must not find.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <thread>

#include "box_fixture.h"

namespace test {
namespace {

const std::string kEperm = errno_text(EPERM);

/// Every answer under every name given is `expected`.
void expect_all(const Answers& answers, const std::vector<std::string>& names,
                const std::string& expected) {
    for (const std::string& name : names) {
        const auto [begin, end] = answers.equal_range(name);
        EXPECT_NE(begin, end) << name << " was not tried";
        for (auto at = begin; at != end; ++at) EXPECT_EQ(at->second, expected) << name;
    }
}

/// Nothing of what was tried worked.
void expect_none(const Answers& answers) {
    EXPECT_FALSE(answers.empty());
    for (const auto& [name, outcome] : answers) EXPECT_NE(outcome, "ok") << name;
}

TEST_F(AbuseTest, S01_IoUringIsRefused) {
    expect_all(abuse({"s01"}), {"io_uring_setup", "io_uring_enter", "io_uring_register"}, kEperm);
}

TEST_F(AbuseTest, S02_BpfIsRefused) {
    expect_all(abuse({"s02"}), {"map", "program"}, kEperm);
}

TEST_F(AbuseTest, S03_UserfaultfdIsRefused) {
    const Answers answers = abuse({"s03"});
    EXPECT_EQ(answers.count("userfaultfd"), 4u);
    expect_all(answers, {"userfaultfd"}, kEperm);
    expect_none(answers);
}

TEST_F(AbuseTest, S04_NoNewNamespaceCanBeEntered) {
    const Answers answers = abuse({"s04"});
    expect_all(answers, {"unshare", "clone", "clone_high", "setns"}, kEperm);
    EXPECT_EQ(one(answers, "clone3"), errno_text(ENOSYS));
    EXPECT_EQ(one(answers, "fork"), "0");
}

TEST_F(AbuseTest, S05_NoMountCanBeChanged) {
    expect_all(abuse({"s05"}),
               {"mount", "remount", "umount", "fsopen", "open_tree", "move_mount", "mount_setattr",
                "pivot_root", "chroot"},
               kEperm);
}

TEST_F(AbuseTest, S06_KeyringsAreRefused) {
    const Answers answers = abuse({"s06"});
    expect_all(answers, {"add_key", "request_key", "keyctl"}, kEperm);
    expect_all(answers, {"/proc/keys", "/proc/key-users"}, errno_text(ENOENT));
}

TEST_F(AbuseTest, S07_PerfEventsAreRefused) {
    expect_all(abuse({"s07"}), {"perf_all", "perf_user"}, kEperm);
}

TEST_F(AbuseTest, S08_OnlyInternetAndUnixSocketsExist) {
    const Answers answers = abuse({"s08"});
    expect_all(answers, {"vsock", "netlink", "packet", "alg", "xdp", "bluetooth", "vsock_pair"},
               kEperm);
    EXPECT_NE(one(answers, "icmp_raw"), "ok");
    if (!own_kernel()) {  // whose own network stack reaches nothing
        EXPECT_NE(one(answers, "icmp_ping"), "ok");
    }
    expect_all(answers, {"unix", "inet"}, "ok");
}

TEST_F(AbuseTest, S09_OtherCallTablesEndTheProcess) {
#ifndef __x86_64__
    GTEST_SKIP() << "x86-64 only";
#endif
    const sphere::SandboxId box = make();
    const Answers answers = abuse(box, {"s09"});
    expect_all(answers, {"x32"}, std::to_string(1000 + SIGSYS));
    if (!own_kernel()) {  // it takes an int 0x80 for one of its own calls, by the same list
        expect_all(answers, {"int80", "far32"}, std::to_string(1000 + SIGSYS));
    }
    // The command itself, not a child of it: its end says why.
    run(box, {.argv = {"/usr/bin/python3", "-c",
                       "import ctypes; ctypes.CDLL(None).syscall(0x40000000 | 39)"}});
    EXPECT_EQ(recorder.result->reason, sphere::EndReason::forbidden);
    EXPECT_EQ(recorder.result->signal, SIGSYS);
}

TEST_F(AbuseTest, S10_NoOtherProcessCanBeLookedInto) {
    const Answers answers = abuse({"s10"});
    expect_all(answers,
               {"ptrace_attach", "ptrace_seize", "ptrace_me", "vm_readv", "vm_writev",
                "pidfd_getfd", "kcmp"},
               kEperm);
    EXPECT_NE(one(answers, "/proc/1/mem"), "ok");
    for (const char* path : {"/proc/1/environ", "/proc/1/maps"}) {
        if (own_kernel()) break;  // shows them to everybody; the agent's name nothing
        EXPECT_NE(one(answers, path), "ok") << path;
    }
    if (own_kernel()) {
        const sphere::SandboxId box = make();
        run(box, {.argv = {"cat", "/proc/1/environ"}});
        EXPECT_EQ(recorder.out.find("PATH=/usr/bin:/bin"), 0u);
        EXPECT_LT(recorder.out.size(), 64u) << recorder.out;  // HOME, which runsc adds
    }
}

TEST_F(AbuseTest, S11_FileHandlesAreRefused) {
    expect_all(abuse({"s11"}), {"name_to_handle_at", "open_by_handle_at"}, kEperm);
}

TEST_F(AbuseTest, S12_PersonalityCannotChange) {
    const Answers answers = abuse({"s12"});
    expect_all(answers, {"no_randomize", "read_implies_exec", "linux32"}, kEperm);
    if (!own_kernel()) {  // which has no such call
        EXPECT_EQ(one(answers, "query"), "ok");
    }
}

TEST_F(AbuseTest, S13_TheTerminalTakesNoInputFromInside) {
    sphere::ExecSpec spec;
    spec.tty = true;
    spec.tty_columns = 91;
    spec.tty_rows = 17;
    const Answers answers = abuse(make(), {"s13"}, spec);
    expect_all(answers, {"tiocsti", "tiocsti_high", "tioclinux", "tiocsetd", "tioccons"}, kEperm);
    EXPECT_EQ(one(answers, "winsize"), "ok");
    EXPECT_EQ(one(answers, "size"), "91x17");
}

TEST_F(AbuseTest, S14_TheMachineCannotBeGoverned) {
    const Answers answers = abuse({"s14"});
    expect_none(answers);
    for (const auto& [name, outcome] : answers) EXPECT_EQ(outcome, kEperm) << name;
}

TEST_F(AbuseTest, S15_NothingGainsPrivileges) {
    const Answers answers = abuse({"s15"});
    EXPECT_NE(one(answers, "setuid_0"), "ok");
    EXPECT_NE(one(answers, "setgid_0"), "ok");
    EXPECT_EQ(one(answers, "no_new_privs"), "1");
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
        if (own_kernel() && set == std::string_view("CapAmb")) continue;  // not shown there
        EXPECT_NE(one(answers, set).find("0000000000000000"), std::string::npos) << set;
    }
    EXPECT_NE(one(answers, "Seccomp").find("Seccomp: 2"), std::string::npos);
    EXPECT_NE(one(answers, "Uid").find("1000 1000 1000 1000"), std::string::npos);
    // The host's setuid programs run, and stay who we are.
    const sphere::SandboxId box = make();
    run(box, {.argv = {"/bin/sh", "-c",
                       "su -c id root </dev/null >/dev/null 2>&1 && echo gained; "
                       "passwd -S root 2>/dev/null | grep -q root && echo read; id -u"}});
    EXPECT_EQ(recorder.out, "1000\n");
}

TEST_F(AbuseTest, S16_KernelKnobsCannotBeOpened) {
    expect_none(abuse({"s16"}));
}

TEST_F(AbuseTest, S17_KernelSecretsAreAbsent) {
    const Answers answers = abuse({"s17"});
    for (const auto& [name, outcome] : answers) {
        if (own_kernel() && name == "/proc/cmdline") continue;
        EXPECT_EQ(outcome, errno_text(ENOENT)) << name;
    }
    if (own_kernel()) {
        const sphere::SandboxId box = make();
        run(box, {.argv = {"cat", "/proc/cmdline"}});
        EXPECT_NE(recorder.out, read_text("/proc/cmdline"));
    }
}

TEST_F(AbuseTest, S18_OnlyOwnProcessesAreSeen) {
    const Answers answers = abuse({"s18"});
    EXPECT_EQ(number(answers, "processes"), 1 + others_seen());
    EXPECT_EQ(number(answers, "others"), others_seen());
    EXPECT_EQ(one(answers, "own_pid_small"), "1");
    for (const char* path : {"/proc/1/root/etc/shadow", "/proc/1/cwd", "/proc/1/fd/3",
                             "/etc/shadow", "/root", "/home", "/srv", "/var", "/boot", "/opt"}) {
        EXPECT_NE(one(answers, path), "ok") << path;
    }
}

TEST_F(AbuseTest, S19_SysIsNotMounted) {
    const Answers answers = abuse({"s19"});
    for (const auto& [name, outcome] : answers) {
        const bool kernel = name == "/sys/kernel/debug" || name == "/sys/kernel/security";
        if (own_kernel() && !kernel) continue;  // made up there
        EXPECT_EQ(outcome, errno_text(ENOENT)) << name;
    }
    if (!own_kernel()) return;
    const sphere::SandboxId box = make();
    run(box, {.argv = {"/usr/bin/python3", "-c",
                       "import os\nfor at, _, files in os.walk('/sys'):\n"
                       "  for f in files: print(at + '/' + f)"}});
    EXPECT_EQ(recorder.out.find("dougong"), std::string::npos) << recorder.out;
    EXPECT_EQ(recorder.out.find("cgroup.procs"), std::string::npos) << recorder.out;
}

TEST_F(AbuseTest, S20_DevicesCannotBeMadeOrFound) {
    const Answers answers = abuse({"s20"});
    for (const auto& [name, outcome] : answers) {
        const bool harmless = name == "/dev/null" || name == "/dev/zero" || name == "/dev/urandom";
        const bool made_up = name == "/dev/fuse" || name == "/dev/net/tun";
        if (harmless) {
            EXPECT_EQ(outcome, "ok") << name;
        } else if (own_kernel() && made_up) {
            continue;  // of that kernel, and of no use without its mount and its privileges
        } else {
            EXPECT_NE(outcome, "ok") << name;
        }
    }
}

TEST_F(AbuseTest, S21_LimitsAndGroupsCannotBeLeft) {
    const Answers answers = abuse({"s21"});
    expect_all(answers, {"raise"}, kEperm);
    EXPECT_EQ(answers.count("names_host_group"), 0u);
    EXPECT_NE(one(answers, "/sys/fs/cgroup/cgroup.procs"), "ok");
}

TEST_F(AbuseTest, S22_TheLauncherIsOutOfReach) {
    expect_all(abuse({"s22"}), {"/proc/1/exe", "readlink_exe"},
               errno_text(own_kernel() ? EACCES : ENOENT));
    // And were it reached: it is a sealed memory file. See LauncherImage.IsSealed.
}

TEST_F(AbuseTest, S23_NothingLeaksIn) {
    const int bait = ::open("/etc/passwd", O_RDONLY);  // inheritable, on purpose
    ASSERT_GE(bait, 0);
    const Answers answers = abuse({"s23"});
    ::close(bait);
    EXPECT_EQ(one(answers, "extra_fds"), "0");
    EXPECT_EQ(one(answers, "cwd"), "/workspace");
    EXPECT_EQ(one(answers, "up_is_root"), "1");
}

class TemplateTest : public AbuseTest {
protected:
    /// A root folder with what a box needs: the abuser and the mount points.
    std::string make_template() {
        const std::string root = templates.path();
        ::chmod(root.c_str(), 0755);
        std::filesystem::create_directory(root + "/bin");
        std::filesystem::copy_file(abuser_path(), root + "/bin/abuser");
        for (const char* name : {"dev", "proc", "tmp", "workspace"}) {
            std::filesystem::create_directory(root + "/" + name);
        }
        return root;
    }
    sphere::SandboxSpec spec_of(const std::string& root) {
        sphere::SandboxSpec spec;
        spec.root = {sphere::RootSpec::Kind::directory, root};
        return of_this_run(std::move(spec));
    }
    TempDir templates;
};

TEST_F(TemplateTest, APreparedFolderIsTheWholeRoot) {
    const auto box = sphere->create(spec_of(make_template()));
    ASSERT_TRUE(box) << box.error().message;
    run(*box, {.argv = {"/bin/abuser", "s18"}});
    EXPECT_EQ(recorder.result->reason, sphere::EndReason::exited);
    run(*box, {.argv = {"/bin/abuser", "s05"}});
    EXPECT_EQ(one(parse_answers(recorder.out), "remount"), kEperm);
}

TEST_F(TemplateTest, S24_LinksAtMountPointsAreRefused) {
    for (const char* name : {"dev", "proc", "tmp", "workspace"}) {
        for (const char* target : {"/etc", "../../../../etc", "bin"}) {
            const std::string root = templates.path();
            std::filesystem::remove_all(root);
            std::filesystem::create_directory(root);
            make_template();
            std::filesystem::remove(root + "/" + name);
            std::filesystem::create_symlink(target, root + "/" + name);
            const auto box = sphere->create(spec_of(root));
            ASSERT_FALSE(box) << name << " -> " << target;
            EXPECT_EQ(box.error().code, base::Code::invalid_argument) << box.error().message;
            EXPECT_EQ(box.error().subject, "root.path");
        }
    }
    const auto refused = events("sandbox.create");
    EXPECT_EQ(refused.size(), 12u) << "one event for each";
    for (const auto& event : refused) EXPECT_EQ(event.at("decision").as_string(), "deny");
    // The host's /etc is as it was, and there is no mount of ours on it.
    EXPECT_TRUE(std::filesystem::exists("/etc/passwd"));
    EXPECT_EQ(read_text("/proc/self/mountinfo").find(templates.path()), std::string::npos);
}

TEST_F(TemplateTest, S25_ASwappedMountPointIsInsideOrRefused) {
    const std::string root = make_template();
    std::atomic<bool> done = false;
    std::thread swapper([&] {
        // RENAME_EXCHANGE: at any moment "workspace" is a folder or a link out.
        std::filesystem::create_symlink("/etc", root + "/link");
        while (!done) {
            ::syscall(SYS_renameat2, AT_FDCWD, (root + "/workspace").c_str(), AT_FDCWD,
                      (root + "/link").c_str(), 2u);
        }
    });
    int made = 0, refused = 0;
    const int tries = in_container() ? 20 : 60;
    for (int i = 0; i < tries; ++i) {
        const auto box = sphere->create(spec_of(root));
        if (!box) {
            ++refused;
            const bool by_runtime =
                in_container() && box.error().code == base::Code::failed_precondition;
            EXPECT_TRUE(by_runtime || box.error().code == base::Code::invalid_argument)
                << box.error().message;
            continue;
        }
        ++made;
        // By its workspace descriptor: nothing of the host is in it.
        const auto workspace = sphere->open_workspace(*box);
        ASSERT_TRUE(workspace);
        EXPECT_LT(::openat(*workspace, "passwd", O_RDONLY), 0);
        ::close(*workspace);
        ASSERT_TRUE(sphere->destroy(*box));
    }
    done = true;
    swapper.join();
    EXPECT_EQ(made + refused, tries);
    EXPECT_TRUE(std::filesystem::exists("/etc/passwd"));
}

}  // namespace
}  // namespace test
