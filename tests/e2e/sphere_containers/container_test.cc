// Boxes in real containers, by each runtime that is installed: runsc, which gives level gvisor, and
// crun, which is driven the same way and is at hand more often.
#include <fcntl.h>
#include <sys/statfs.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "box_fixture.h"
#include "sphere/guest/spawn.h"
#include "sphere/oci/container_maker.h"

namespace test {
namespace {

using base::Code;
using sphere::EndReason;
using sphere::oci::ContainerMaker;

class ContainerTest : public ::testing::TestWithParam<const char*> {
protected:
    void SetUp() override {
        const std::string name = GetParam();
        if (name == "runsc") {
            const auto found = sphere::oci::find_runsc({.program = "runsc"}, clock);
            if (!found) GTEST_SKIP() << "NO RUNSC HERE: " << found.error().message;
            runtime = *found;
        } else {
            const std::string program = sphere::guest::find_program(name);
            if (program.empty()) GTEST_SKIP() << "NO " << name << " HERE";
            runtime = sphere::oci::crun(program);
        }
        auto maker = ContainerMaker::open(state.path(), runtime);
        if (!maker) GTEST_SKIP() << "NO CONTAINERS HERE: " << maker.error().message;
        sphere = std::make_unique<sphere::guest::GuestSphere>(
            sphere::SphereOptions{.state_dir = state.path()}, clock, std::move(*maker));
    }
    void TearDown() override {
        sphere.reset();
        EXPECT_EQ(state.entries(), 0u);
    }
    sphere::SandboxSpec spec() const {
        sphere::SandboxSpec made;
        made.isolation = sphere::Isolation::gvisor;
        return made;
    }
    sphere::SandboxId make(const sphere::SandboxSpec& wanted) {
        const auto box = sphere->create(wanted);
        EXPECT_TRUE(box) << box.error().message;
        return box.value_or("");
    }
    void run(const sphere::SandboxId& box, sphere::ExecSpec command) {
        recorder = Recorder();
        const auto ended = sphere->exec(box, command, recorder);
        ASSERT_TRUE(ended) << ended.error().message;
    }
    void python(const sphere::SandboxId& box, const std::string& code) {
        run(box, {.argv = {"python3", "-I", "-c", code}});
    }

    TempDir state;
    base::SystemClock clock;
    sphere::oci::Runtime runtime;
    std::unique_ptr<sphere::guest::GuestSphere> sphere;
    Recorder recorder;
};

TEST_P(ContainerTest, ACommandRunsAsTheBoxesUserWithNothing) {
    const auto box = make(spec());
    python(box,
           "import os\nprint(os.getuid(), os.getgid(), os.getgroups(), os.getcwd())\n"
           "s = open('/proc/self/status').read()\n"
           "print({l.split()[1] for l in s.splitlines() if l.startswith('Cap')})\n"
           "print(os.uname().nodename, sorted(os.environ))\n");
    EXPECT_EQ(recorder.err, "");
    EXPECT_NE(recorder.out.find("1000 1000 [] /workspace"), std::string::npos) << recorder.out;
    EXPECT_NE(recorder.out.find("{'0000000000000000'}"), std::string::npos) << recorder.out;
    EXPECT_NE(recorder.out.find("sandbox ['HOME', 'LANG'"), std::string::npos) << recorder.out;
    const auto info = sphere->info(box);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->backend, GetParam());
    EXPECT_FALSE(info->enforced_by.empty());
    EXPECT_GT(info->memory_bytes, 0u);
}

TEST_P(ContainerTest, TheRootIsReadOnlyAndTheAgentOutOfReach) {
    const auto box = make(spec());
    python(box, R"(
import os
def attempt(name, call):
    try: call(); print(name, 'REACHED')
    except OSError as e: print(name, 'refused')
attempt('usr', lambda: open('/usr/x', 'w'))
attempt('etc', lambda: open('/etc/passwd', 'a'))
attempt('root', lambda: open('/x', 'w'))
attempt('agent', lambda: open('/dev/dougong/agent', 'r+b'))
def agent_stream():
    for fd in range(32):
        for mode in ('rb', 'wb'):
            try: opened = open(f'/proc/1/fd/{fd}', mode, buffering=0)
            except OSError: continue
            if opened.fileno() and 'null' not in os.readlink(f'/proc/self/fd/{opened.fileno()}'):
                return
    raise OSError('none')
attempt('agent stream', agent_stream)
attempt('agent memory', lambda: open('/proc/1/mem', 'rb').read(1))
attempt('agent signal', lambda: os.kill(1, 9))
attempt('uid 0', lambda: os.setuid(0))
attempt('chroot', lambda: os.chroot('/tmp'))
attempt('sysrq', lambda: open('/proc/sysrq-trigger', 'w'))
attempt('core_pattern', lambda: open('/proc/sys/kernel/core_pattern', 'w'))
print(sorted(p for p in os.listdir('/proc') if p.isdigit())[0:1])
)");
    EXPECT_EQ(recorder.err, "");
    EXPECT_EQ(recorder.out.find("REACHED"), std::string::npos) << recorder.out;
    EXPECT_NE(recorder.out.find("agent stream refused"), std::string::npos) << recorder.out;
}

TEST_P(ContainerTest, TheWorkspaceIsSeenFromBothSidesAndHasItsQuota) {
    auto small = spec();
    small.limits.workspace_bytes = 8 << 20;
    small.limits.inodes_max = 64;
    const auto box = make(small);
    const auto workspace = sphere->open_workspace(box);
    ASSERT_TRUE(workspace) << workspace.error().message;
    const base::UniqueFd folder(*workspace);
    struct statfs facts {};
    ASSERT_EQ(::fstatfs(folder.get(), &facts), 0);
    EXPECT_EQ(
        static_cast<std::uint64_t>(facts.f_blocks) * static_cast<std::uint64_t>(facts.f_bsize),
        8u << 20);
    const base::UniqueFd file(
        ::openat(folder.get(), "from_host", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    ASSERT_EQ(::write(file.get(), "hello", 5), 5);
    python(box, R"(
print(open('/workspace/from_host').read())
open('/workspace/from_box', 'w').write('back')
import errno
try:
    with open('/workspace/full', 'wb') as f:
        for _ in range(20): f.write(bytes(1 << 20)); f.flush()
    print('FILLED')
except OSError as e: print(e.errno == errno.ENOSPC)
import os
os.unlink('/workspace/full')
try:
    for i in range(100): open(f'/workspace/f{i}', 'w')
    print('UNBOUNDED')
except OSError as e: print(e.errno == errno.ENOSPC)
)");
    EXPECT_EQ(recorder.out, "hello\nTrue\nTrue\n") << recorder.err;
    const base::UniqueFd back(::openat(folder.get(), "from_box", O_RDONLY | O_CLOEXEC));
    char text[8] = {};
    ASSERT_EQ(::read(back.get(), text, sizeof(text)), 4);
    EXPECT_EQ(std::string(text), "back");
}

TEST_P(ContainerTest, TmpHasItsQuota) {
    auto small = spec();
    small.limits.tmp_bytes = 4 << 20;
    python(make(small), R"(
for folder in ('/tmp', '/dev/shm'):
    try:
        with open(folder + '/full', 'wb') as f:
            for _ in range(20): f.write(bytes(1 << 20)); f.flush()
        print('FILLED')
    except OSError as e: print(e.errno)
)");
    EXPECT_EQ(recorder.out, "28\n28\n") << recorder.err;
}

TEST_P(ContainerTest, AMemoryBombEndsInsideAndIsToldSo) {
    auto small = spec();
    small.limits.memory_bytes = 96 << 20;
    const auto box = make(small);
    run(box, {.argv = {"python3", "-I", "-c", "x = []\nwhile True: x.append(bytearray(1 << 20))"}});
    EXPECT_EQ(recorder.result->reason, EndReason::memory) << recorder.err;
    EXPECT_TRUE(sphere->destroy(box));
}

TEST_P(ContainerTest, AForkBombIsBoundedAndTheHostGoesOn) {
    auto small = spec();
    small.limits.processes_max = 24;
    small.limits.memory_bytes = 256 << 20;
    const auto box = make(small);
    sphere::ExecSpec bomb{.argv = {"python3", "-I", "-c", R"(
import os, sys, time
n = 0
try:
    while n < 2000:
        if os.fork() == 0:
            time.sleep(1000)
        n += 1
except OSError as e: pass
print(n, flush=True)
)"}};
    bomb.wall_timeout = std::chrono::milliseconds(60'000);
    run(box, bomb);
    // Where the limit is the runtime's whole group, what hits it may be the box's own kernel.
    if (recorder.result->reason == EndReason::exited) {
        EXPECT_LT(std::atoi(recorder.out.c_str()), 200) << recorder.out;
    } else {
        EXPECT_EQ(recorder.out.find("2000"), std::string::npos);
    }
    EXPECT_TRUE(sphere->destroy(box));
    const auto next = make(spec());
    run(next, {.argv = {"echo", "fine"}});
    EXPECT_EQ(recorder.out, "fine\n");
}

TEST_P(ContainerTest, NetworkNoneReachesNothingAndLoopbackItself) {
    const std::string code = R"(
import socket
def attempt(call):
    try: call(); return 'reached'
    except OSError: return 'refused'
print(attempt(lambda: socket.create_connection(('169.254.169.254', 80), 2)))
print(attempt(lambda: socket.create_connection(('192.0.2.1', 80), 2)))
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen()
print(attempt(lambda: socket.create_connection(s.getsockname(), 2)))
)";
    auto with_lo = spec();
    with_lo.network.mode = sphere::NetworkMode::loopback;
    python(make(with_lo), code);
    EXPECT_EQ(recorder.out, "refused\nrefused\nreached\n") << recorder.err;
    python(make(spec()), code);
    EXPECT_EQ(recorder.out.substr(0, 16), "refused\nrefused\n") << recorder.err;
}

TEST_P(ContainerTest, PauseStopsItAndResumeContinues) {
    const auto box = make(spec());
    const auto paused = sphere->pause(box);
    if (!paused) GTEST_SKIP() << "NO CGROUP TREE HERE: " << paused.error().message;
    EXPECT_EQ(sphere->info(box)->state, sphere::SandboxState::paused);
    ASSERT_TRUE(sphere->resume(box));
    run(box, {.argv = {"echo", "again"}});
    EXPECT_EQ(recorder.out, "again\n");
    ASSERT_TRUE(sphere->pause(box));
    EXPECT_TRUE(sphere->destroy(box)) << "also when it stands still";
}

TEST_P(ContainerTest, WhatItCannotHoldIsRefusedByName) {
    auto wanted = spec();
    wanted.network.mode = sphere::NetworkMode::egress;
    EXPECT_EQ(sphere->create(wanted).error().subject, "network.mode");
    wanted = spec();
    wanted.snapshot = "snap-x";
    EXPECT_EQ(sphere->create(wanted).error().subject, "snapshot");
    wanted = spec();
    wanted.root = {sphere::RootSpec::Kind::image, "/image"};
    EXPECT_EQ(sphere->create(wanted).error().subject, "root.kind");
    wanted = spec();
    wanted.isolation = sphere::Isolation::full;
    EXPECT_EQ(sphere->create(wanted).error().subject, "isolation");
    EXPECT_TRUE(sphere->list().empty());
}

TEST_P(ContainerTest, ADirectoryIsARootUnlessItsMountPointsAreLinks) {
    TempDir root;
    std::filesystem::permissions(root.path(), std::filesystem::perms(0755));
    for (const char* name : {"dev", "proc", "tmp", "workspace"}) {
        std::filesystem::create_directory(root.file(name));
    }
    std::filesystem::copy_file(abuser_path(), root.file("abuser"));
    auto wanted = spec();
    wanted.root = {sphere::RootSpec::Kind::directory, root.path()};
    const auto box = make(wanted);
    run(box, {.argv = {"/abuser", "s12"}});
    EXPECT_EQ(recorder.result->reason, EndReason::exited);
    EXPECT_EQ(recorder.result->exit_code, 0) << recorder.err;
    ASSERT_TRUE(sphere->destroy(box));
    std::filesystem::remove(root.file("tmp"));
    std::filesystem::create_directory_symlink("/etc", root.file("tmp"));
    const auto refused = sphere->create(wanted);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::invalid_argument);
}

TEST_P(ContainerTest, NothingIsLeftOfAServerThatWasKilled) {
    sphere.reset();
    int told[2];
    ASSERT_EQ(::pipe(told), 0);
    const pid_t server = ::fork();
    if (server == 0) {
        auto maker = ContainerMaker::open(state.path(), runtime);
        if (!maker) ::_exit(1);
        sphere::guest::GuestSphere left({.state_dir = state.path()}, clock, std::move(*maker));
        const auto box = left.create(spec());
        const char ok = box ? 'y' : 'n';
        static_cast<void>(::write(told[1], &ok, 1));
        ::pause();
        ::_exit(0);
    }
    ::close(told[1]);
    char ok = 'n';
    ASSERT_EQ(::read(told[0], &ok, 1), 1);
    ::close(told[0]);
    ASSERT_EQ(ok, 'y');
    ::kill(server, SIGKILL);
    ::waitpid(server, nullptr, 0);
    std::vector<std::string> groups;
    for (const auto& entry : std::filesystem::directory_iterator(state.path())) {
        if (entry.path().extension() != ".sphere") continue;
        std::istringstream lines(read_text(entry.path().string()));
        for (std::string line; std::getline(lines, line);) groups.push_back(line);
    }
    ASSERT_FALSE(groups.empty());
    // All of it goes with the next that opens, which waits for the last process to end.
    auto next = ContainerMaker::open(state.path(), runtime);
    ASSERT_TRUE(next);
    for (const std::string& group : groups) EXPECT_FALSE(std::filesystem::exists(group)) << group;
    next->reset();
    EXPECT_EQ(state.entries(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Runtimes, ContainerTest, ::testing::Values("crun", "runsc"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace test
