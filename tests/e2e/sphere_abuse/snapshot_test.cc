// Snapshots and forks: what is kept, what goes on, and what no layer may carry along (S49).
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "base/core/rng.h"
#include "box_fixture.h"
#include "sphere/native/native_sphere.h"

namespace test {
namespace {

using base::Code;
using sphere::SandboxId;

class Snapshots : public AbuseTest {
protected:
    void TearDown() override {
        sphere.reset();
        std::filesystem::remove_all(state.file("snapshots"));  // stay for the next server
        AbuseTest::TearDown();
    }
    std::string shell(const SandboxId& box, const std::string& script) {
        run(box, {.argv = {"sh", "-c", script}});
        EXPECT_EQ(recorder.result->exit_code, 0) << script << "\n" << recorder.err;
        return recorder.out;
    }
    SandboxId make_from(const std::string& snapshot, sphere::SandboxSpec spec = {}) {
        spec.snapshot = snapshot;
        const auto box = sphere->create(spec);
        EXPECT_TRUE(box) << box.error().message;
        return box.value_or("");
    }
    sphere::SnapshotInfo keep(const SandboxId& box) {
        const auto kept = sphere->snapshot(box, "test");
        EXPECT_TRUE(kept) << kept.error().message;
        return kept.value_or(sphere::SnapshotInfo{});
    }
};

TEST_F(Snapshots, ABoxBeginsWithTheFilesOfAnother) {
    const SandboxId box = *sphere->create({});
    shell(box,
          "echo one > a; mkdir -p d/e; echo two > d/e/b; ln -s a link; ln a hard; chmod 700 d;"
          "echo kept > /tmp/mine; echo shared > /dev/shm/mine");
    const auto kept = keep(box);
    EXPECT_EQ(kept.consistency, "idle");
    EXPECT_EQ(kept.from, box);
    EXPECT_EQ(kept.entries, 6u);
    // The box goes on: its own /tmp is there, its files are, and it may change them.
    EXPECT_EQ(shell(box, "cat /tmp/mine /dev/shm/mine a d/e/b link"),
              "kept\nshared\none\ntwo\none\n");
    shell(box, "echo changed > a; rm d/e/b; mkdir d/new; mv link other");
    const SandboxId other = make_from(kept.id);
    EXPECT_EQ(shell(other, "cat a d/e/b link hard; stat -c %a d; ls /tmp | wc -l; id -u"),
              "one\ntwo\none\none\n700\n0\n1000\n");
    shell(other, "echo mine > a; rm -r d; echo more > c");
    EXPECT_EQ(shell(box, "cat a; ls d"), "changed\ne\nnew\n");
    const SandboxId third = make_from(kept.id);
    EXPECT_EQ(shell(third, "cat a d/e/b"), "one\ntwo\n");
}

TEST_F(Snapshots, AForkIsAnotherBoxWithTheSameFiles) {
    sphere::SandboxSpec spec;
    spec.name = "first";
    spec.environment["A"] = "both";
    const SandboxId box = *sphere->create(spec);
    shell(box, "echo one > a");
    const auto fork = sphere->fork(box, {});
    ASSERT_TRUE(fork) << fork.error().message;
    EXPECT_NE(*fork, box);
    EXPECT_EQ(shell(*fork, "cat a; echo $A"), "one\nboth\n");
    EXPECT_TRUE(sphere->snapshots().empty());
    ASSERT_TRUE(sphere->destroy(box));
    EXPECT_EQ(shell(*fork, "cat a"), "one\n");
    const auto again = sphere->fork(*fork, {});
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(shell(*again, "cat a; echo two > a; cat a"), "one\ntwo\n");
}

TEST_F(Snapshots, WhatRunsStandsStillMeanwhileAndGoesOn) {
    const SandboxId box = *sphere->create({});
    Recorder heard;
    sphere::ExecSpec spec;
    // Lines in two files, the second one always a line behind.
    spec.argv = {"sh", "-c",
                 "i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i >> a; echo $i >> b; done"};
    const auto exec = sphere->start(box, spec, heard);
    ASSERT_TRUE(exec);
    while (shell(box, "tail -n 1 b 2>/dev/null || true").empty()) std::this_thread::yield();
    std::vector<sphere::SnapshotInfo> kept;
    for (int i = 0; i < 5; ++i) kept.push_back(keep(box));
    shell(box, "touch stop");
    while (sphere->info(box)->running > 0) std::this_thread::yield();
    const int end = std::atoi(shell(box, "tail -n 1 b").c_str());
    int before = 0;
    for (const auto& each : kept) {
        EXPECT_EQ(each.consistency, "frozen");
        const SandboxId other = make_from(each.id);
        const int lines_a = std::atoi(shell(other, "wc -l < a").c_str());
        const int lines_b = std::atoi(shell(other, "wc -l < b").c_str());
        EXPECT_TRUE(lines_a == lines_b || lines_a == lines_b + 1) << lines_a << " " << lines_b;
        EXPECT_GE(lines_a, before);
        EXPECT_LE(lines_a, end);
        before = lines_a;
        ASSERT_TRUE(sphere->destroy(other));
    }
}

TEST_F(Snapshots, ADaemonKeepsABoxFromBeingIdle) {
    const SandboxId box = *sphere->create({});
    shell(box, "echo one > a; setsid sleep 1000 > /dev/null 2>&1 < /dev/null & echo");
    const auto kept = keep(box);
    EXPECT_EQ(kept.consistency, "frozen");
    EXPECT_EQ(shell(box, "cat a; cat /proc/[0-9]*/comm | grep -c sleep"), "one\n1\n");
    EXPECT_EQ(shell(make_from(kept.id), "cat a"), "one\n");
}

TEST_F(Snapshots, APausedBoxStaysPaused) {
    const SandboxId box = *sphere->create({});
    shell(box, "echo one > a");
    ASSERT_TRUE(sphere->pause(box));
    const auto kept = keep(box);
    EXPECT_EQ(sphere->info(box)->state, sphere::SandboxState::paused);
    EXPECT_EQ(shell(make_from(kept.id), "cat a"), "one\n");
    ASSERT_TRUE(sphere->resume(box));
    EXPECT_EQ(shell(box, "cat a"), "one\n");
}

TEST_F(Snapshots, ManyOfOneBoxAreEachTheirOwnMoment) {
    const SandboxId box = *sphere->create({});
    std::vector<std::string> ids;
    for (int i = 0; i < 20; ++i) {  // more than an overlay's layers
        shell(box, "echo " + std::to_string(i) + " > latest; touch at" + std::to_string(i) +
                       "; rm -f at" + std::to_string(i - 1));
        ids.push_back(keep(box).id);
    }
    for (int i = 0; i < 20; i += 3) {
        const std::string at = std::to_string(i);
        const SandboxId other = make_from(ids[static_cast<std::size_t>(i)]);
        EXPECT_EQ(shell(other, "cat latest; ls -d at*"), at + "\nat" + at + "\n");
        ASSERT_TRUE(sphere->destroy(other));
    }
    for (const std::string& id : ids) ASSERT_TRUE(sphere->remove_snapshot(id));
    EXPECT_EQ(sphere->remove_snapshot(ids.front()).error().code, Code::not_found);
    sphere::SandboxSpec gone;
    gone.snapshot = ids.front();
    EXPECT_EQ(sphere->create(gone).error().code, Code::not_found);
    EXPECT_EQ(shell(box, "cat latest"), "19\n");
}

TEST_F(Snapshots, AnotherTenantsSnapshotDoesNotExist) {
    const SandboxId box = *sphere->create({});
    const auto kept = keep(box);
    sphere::SandboxSpec spec;
    spec.tenant = "other";
    spec.snapshot = kept.id;
    EXPECT_EQ(sphere->create(spec).error().code, Code::not_found);
}

TEST_F(Snapshots, TheQuotaHoldsInABoxThatBeganWithFiles) {
    sphere::SandboxSpec spec;
    spec.limits.workspace_bytes = 8 << 20;
    const SandboxId box = *sphere->create(spec);
    shell(box, "head -c 6000000 /dev/zero > a");
    const SandboxId other = make_from(keep(box).id, spec);
    shell(other,
          "head -c 20000000 /dev/zero > b 2>/dev/null && exit 1; test $(stat -c %s b) -le "
          "8388608");
}

TEST_F(Snapshots, FilesOfTheServersSideAreInItToo) {
    const SandboxId box = *sphere->create({});
    const int workspace = *sphere->open_workspace(box);
    const int file = ::openat(workspace, "given", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    ASSERT_EQ(::write(file, "half", 4), 4);
    const auto open_file = keep(box);  // is copied: somebody may go on writing
    ASSERT_EQ(::write(file, "whole", 5), 5);
    ::close(file);
    ::close(workspace);
    const auto closed = keep(box);
    EXPECT_EQ(shell(make_from(open_file.id), "cat given"), "half");
    EXPECT_EQ(shell(make_from(closed.id), "cat given"), "halfwhole");
    EXPECT_EQ(shell(box, "cat given"), "halfwhole");
}

/// Tries to get a set-id bit, a device, an overlay's notes and a FIFO into a layer.
constexpr const char* kPlanting = R"(
import ctypes, os
open('suid', 'w').write('x'); os.chmod('suid', 0o4755)
open('sgid', 'w').write('x'); os.chmod('sgid', 0o2755)
os.mkdir('folder'); os.chmod('folder', 0o2777); open('folder/in', 'w').write('in')
for path, name, value in [('folder', 'user.overlay.opaque', b'y'),
                          ('suid', 'user.overlay.redirect', b'/etc/passwd'),
                          ('sgid', 'user.overlay.metacopy', b''),
                          ('folder', 'trusted.overlay.opaque', b'y')]:
    try: os.setxattr(path, name, value)
    except OSError: pass
for name, mode in [('null', 0o20666), ('hole', 0o20000)]:
    try: os.mknod(name, mode, os.makedev(1, 3) if name == 'null' else 0)
    except OSError: pass
open('moved', 'w').write('x')
ctypes.CDLL(None).renameat2(-100, b'moved', -100, b'target', 4)  # leaves a whiteout where it can
try: os.mkfifo('fifo')
except OSError: pass
os.symlink('/etc/passwd', 'outside')
)";

/// What stands out: set-id bits, devices, attributes with an overlay's name.
constexpr const char* kLooking = R"(
import os, stat
for folder, folders, names in os.walk('.'):
    for name in folders + names:
        path = os.path.join(folder, name)
        facts = os.lstat(path)
        if facts.st_mode & 0o6000: print('set-id', path)
        if stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode): print('device', path)
        for attribute in os.listxattr(path, follow_symlinks=False):
            if 'overlay' in attribute: print(attribute, path)
print(open('folder/in').read(), os.readlink('outside'), open('target').read())
)";

TEST_F(Snapshots, S49NothingDangerousIsInALayer) {
    for (const bool running : {false, true}) {
        const SandboxId box = *sphere->create({});
        run(box, {.argv = {"python3", "-c", kPlanting}});
        ASSERT_EQ(recorder.result->exit_code, 0) << recorder.err;
        Recorder unheard;
        if (running) {
            ASSERT_TRUE(sphere->start(box, {.argv = {"sleep", "1000"}}, unheard));
        }
        const auto kept = keep(box);
        EXPECT_EQ(kept.consistency, running ? "frozen" : "idle");
        const SandboxId other = make_from(kept.id);
        run(other, {.argv = {"python3", "-c", kLooking}});
        EXPECT_EQ(recorder.out, "in /etc/passwd x\n") << recorder.err;
        const SandboxId again = make_from(keep(other).id);  // a layer that an overlay wrote
        run(again, {.argv = {"python3", "-c", kLooking}});
        EXPECT_EQ(recorder.out, "in /etc/passwd x\n") << recorder.err;
        ASSERT_TRUE(sphere->destroy(box));
    }
}

TEST_F(Snapshots, TooManyAreRefusedAndBoxesGoOn) {
    sphere::SphereOptions options;
    options.state_dir = state.path();
    options.pool_size = 0;
    options.snapshots_max = 2;
    options.snapshot_bytes_max = 4 << 20;
    open(options);
    const SandboxId box = *sphere->create({});
    const auto first = keep(box);
    keep(box);
    EXPECT_EQ(sphere->snapshot(box, "").error().code, Code::resource_exhausted);
    ASSERT_TRUE(sphere->remove_snapshot(first.id));
    shell(box, "head -c 6000000 /dev/zero > large");
    EXPECT_EQ(sphere->snapshot(box, "").error().code, Code::resource_exhausted);
    EXPECT_EQ(shell(box, "stat -c %s large; echo on > b; cat b"), "6000000\non\n");
    EXPECT_EQ(sphere->snapshot("sbx-unknown", "").error().code, Code::not_found);
}

/// One layer, and several that a box is needed to see as one.
TEST_F(Snapshots, AKeptOneIsThereAfterARestart) {
    const SandboxId box = *sphere->create({});
    shell(box, "echo one > a; echo gone > b; mkdir -p d/e; ln -s a link; ln a hard; chmod 700 d");
    const auto first =
        sphere->snapshot(box, sphere::SnapshotRequest{.name = "first", .persist = true});
    ASSERT_TRUE(first) << first.error().message;
    EXPECT_TRUE(first->persist);
    keep(box);
    shell(box, "rm b; echo two >> a; echo deep > d/e/c");
    const auto second =
        sphere->snapshot(box, sphere::SnapshotRequest{.name = "second", .persist = true});
    ASSERT_TRUE(second) << second.error().message;
    EXPECT_EQ(sphere->snapshots().size(), 3u);
    // A change takes a hard link apart where layers lie over each other.
    const std::string hard = shell(box, "cat hard");
    EXPECT_EQ(shell(make_from(second->id), "cat a d/e/c; ls"),
              "one\ntwo\ndeep\na\nd\nhard\nlink\n");
    sphere.reset();
    open();
    const auto all = sphere->snapshots();
    ASSERT_EQ(all.size(), 2u);  // what was in memory is gone
    EXPECT_EQ(all[0].name, "first");
    EXPECT_EQ(all[1].id, second->id);
    EXPECT_EQ(all[1].bytes, second->bytes);
    EXPECT_EQ(shell(make_from(first->id), "cat a b"), "one\ngone\n");
    const SandboxId again = make_from(second->id);
    EXPECT_EQ(shell(again, "cat a hard link d/e/c; stat -c '%a %U' d; ls; test -O a && echo mine"),
              "one\ntwo\n" + hard + "one\ntwo\ndeep\n700 " + shell(again, "id -un") +
                  "a\nd\nhard\nlink\nmine\n");
    EXPECT_EQ(shell(*sphere->fork(again, {}), "cat d/e/c"), "deep\n");
    sphere::SandboxSpec foreign;
    foreign.tenant = "other";
    foreign.snapshot = first->id;
    EXPECT_EQ(sphere->create(foreign).error().code, Code::not_found);
    ASSERT_TRUE(sphere->remove_snapshot(first->id));
    EXPECT_EQ(shell(make_from(second->id), "cat d/e/c"), "deep\n");
    sphere.reset();
    open();
    EXPECT_EQ(sphere->snapshots().size(), 1u);
}

TEST_F(Snapshots, AKeptOneOutlivesTheStateFolder) {
    TempDir data, state_lost;
    open({.state_dir = state_lost.path(), .data_dir = data.path(), .pool_size = 0});
    const SandboxId box = *sphere->create({});
    shell(box, "echo kept > a");
    const auto kept =
        sphere->snapshot(box, sphere::SnapshotRequest{.name = "kept", .persist = true});
    ASSERT_TRUE(kept) << kept.error().message;
    sphere.reset();
    EXPECT_EQ(state_lost.entries(), 0u);
    open({.state_dir = state.path(), .data_dir = data.path(), .pool_size = 0});
    EXPECT_EQ(shell(make_from(kept->id), "cat a"), "kept\n");
}

TEST_F(Snapshots, AKeptOneOfARunningBoxAndMemoryThatIsShort) {
    sphere::SphereOptions options;
    options.state_dir = state.path();
    options.pool_size = 0;
    options.snapshot_bytes_max = 8 << 20;
    options.kept_snapshots_max = 3;
    open(options);
    const SandboxId box = *sphere->create({});
    Recorder unheard;
    ASSERT_TRUE(sphere->start(box, {.argv = {"sleep", "1000"}}, unheard));
    std::vector<std::string> ids;
    for (int i = 0; i < 3; ++i) {  // more than fits in memory at a time
        shell(box, "head -c 5000000 /dev/zero | tr '\\0' " + std::to_string(i) + " > a");
        const auto kept =
            sphere->snapshot(box, sphere::SnapshotRequest{.name = "", .persist = true});
        ASSERT_TRUE(kept) << kept.error().message;
        EXPECT_EQ(kept->consistency, "frozen");
        ids.push_back(kept->id);
    }
    EXPECT_EQ(
        sphere->snapshot(box, sphere::SnapshotRequest{.name = "", .persist = true}).error().code,
        Code::resource_exhausted);
    for (std::size_t i = 0; i < ids.size(); ++i) {
        const SandboxId other = make_from(ids[i]);
        EXPECT_EQ(shell(other, "head -c 1 a; stat -c %s a"), std::to_string(i) + "5000000\n");
        ASSERT_TRUE(sphere->destroy(other));
    }
    ASSERT_TRUE(sphere->destroy(box));  // before its sink goes
}

/// Killed between two snapshots, or in the middle of one: what was told as kept is there.
TEST_F(Snapshots, WhatWasKeptOutlivesAKilledServer) {
    sphere.reset();
    log.reset();  // no thread of ours at the fork
    int told[2];
    ASSERT_EQ(::pipe(told), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        // Without the guard: its record would miss the end that the kill leaves out.
        const auto own =
            sphere::native::NativeSphere::open({.state_dir = state.path(), .pool_size = 0}, clock);
        const SandboxId box = *(*own)->create({});
        for (int i = 0;; ++i) {
            const std::string script =
                "head -c 3000000 /dev/urandom > b; echo " + std::to_string(i) + " > a";
            Recorder unheard;
            if (!(*own)->exec(box, {.argv = {"sh", "-c", script}}, unheard)) ::_exit(1);
            const auto kept =
                (*own)->snapshot(box, sphere::SnapshotRequest{.name = "k", .persist = true});
            const std::string line = kept ? kept->id : std::string(25, '!');
            if (::write(told[1], line.data(), line.size()) < 0) ::_exit(1);
        }
    }
    ::close(told[1]);
    std::vector<std::string> ids;
    char id[25];
    while (ids.size() < 3 && ::read(told[0], id, sizeof(id)) == sizeof(id)) {
        ids.emplace_back(id, sizeof(id));
    }
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    while (::read(told[0], id, sizeof(id)) == sizeof(id)) ids.emplace_back(id, sizeof(id));
    ::close(told[0]);
    open();
    ASSERT_GE(sphere->snapshots().size(), ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
        EXPECT_EQ(shell(make_from(ids[i]), "cat a; stat -c %s b"),
                  std::to_string(i) + "\n3000000\n");
    }
    for (const auto& kept : sphere->snapshots()) {
        ASSERT_TRUE(sphere->remove_snapshot(kept.id));
    }
    std::size_t left = 0;
    for (const auto& entry : std::filesystem::directory_iterator(state.path() + "/snapshots")) {
        left += entry.path().filename() != "lock" ? 1 : 0;
    }
    EXPECT_EQ(left, 0u);
}

/// Pauses, snapshots, boxes that end by force, servers' files: what was written and told as written
/// is there in whatever comes after. DG_SOAK_CYCLES raises the number.
TEST_F(Snapshots, NothingIsLostOverManyCycles) {
    const char* const asked = std::getenv("DG_SOAK_CYCLES");
    const int cycles = asked == nullptr ? 25 : std::atoi(asked);
    const std::uint64_t seed = base::entropy64();
    SCOPED_TRACE("seed " + std::to_string(seed));
    base::Rng rng(seed);
    SandboxId box = *sphere->create({});
    std::string expected;
    for (int i = 0; i < cycles; ++i) {
        const std::string line = std::to_string(i) + "\n";
        shell(box, "printf '" + std::to_string(i) + "\\n' >> log");
        expected += line;
        switch (rng.below(4)) {
            case 0:
                ASSERT_TRUE(sphere->pause(box));
                ASSERT_TRUE(sphere->resume(box));
                break;
            case 1:
                ASSERT_FALSE(keep(box).id.empty());
                break;
            case 2: {  // the box is gone, what was kept is not
                const auto kept = keep(box);
                shell(box, "echo lost >> log");
                ASSERT_TRUE(sphere->destroy(box));
                box = make_from(kept.id);
                break;
            }
            default: {
                const auto fork = sphere->fork(box, {});
                ASSERT_TRUE(fork) << fork.error().message;
                ASSERT_TRUE(sphere->destroy(box));
                box = *fork;
            }
        }
        ASSERT_EQ(shell(box, "cat log"), expected) << "cycle " << i;
        while (sphere->snapshots().size() > 8) {
            ASSERT_TRUE(sphere->remove_snapshot(sphere->snapshots().front().id));
        }
    }
}

/// S55: a stop in the middle of it leaves no box.
TEST_F(Snapshots, S55AStopDuringASnapshotLeavesNothing) {
    for (int i = 0; i < 10; ++i) {
        const SandboxId box = *sphere->create({});
        shell(box, "head -c 100000 /dev/zero > a");
        std::atomic<bool> over = false;
        std::thread snapshots([&] {
            while (!over && sphere->snapshot(box, "")) {
            }
        });
        std::this_thread::yield();
        sphere->emergency_stop({});
        over = true;
        snapshots.join();
        EXPECT_TRUE(sphere->list().empty());
        EXPECT_EQ(sphere->info(box)->state, sphere::SandboxState::ended);
        ASSERT_TRUE(sphere->lift_stop({}));
        while (!sphere->snapshots().empty()) {
            ASSERT_TRUE(sphere->remove_snapshot(sphere->snapshots().front().id));
        }
    }
}

/// A single mount cannot be copied, as in kernels before 6.15 when it is attached nowhere.
bool forbid_layers() {
    constexpr std::uint32_t kRecursive = 0x8000;
    sock_filter code[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open_tree, 0, 3),
                          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
                          BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, kRecursive, 1, 0),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
                          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const sock_fprog program{6, code};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

TEST_F(Snapshots, WithoutLayersTheFilesAreCopied) {
    sphere.reset();
    log.reset();  // no thread of ours at the fork
    const pid_t child = ::fork();
    if (child == 0) {
        if (!forbid_layers()) ::_exit(40);
        open();
        const SandboxId box = *sphere->create({});
        shell(box, "echo one > a; echo kept > /tmp/mine");
        const auto kept = keep(box);
        shell(box, "echo changed > a");
        const bool right = shell(make_from(kept.id), "cat a") == "one\n" &&
                           shell(box, "cat a /tmp/mine") == "changed\nkept\n" &&
                           shell(*sphere->fork(box, {}), "cat a") == "changed\n";
        sphere.reset();
        ::_exit(right ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace test
