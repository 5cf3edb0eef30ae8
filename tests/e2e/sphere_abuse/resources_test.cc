// S26 to S38, S50 to S52, S55: bombs, floods, survivors, the network, neighbours, the stop.
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/core/rng.h"
#include "box_fixture.h"

namespace test {
namespace {

using namespace std::chrono_literals;
using sphere::EndReason;

sphere::SandboxSpec small_box() {
    sphere::SandboxSpec spec;
    spec.limits.memory_bytes = 64ull << 20;
    spec.limits.processes_max = 40;
    spec.limits.workspace_bytes = 8ull << 20;
    spec.limits.tmp_bytes = 2ull << 20;
    spec.limits.inodes_max = 200;
    return spec;
}

sphere::ExecSpec within(std::chrono::milliseconds timeout) {
    sphere::ExecSpec spec;
    spec.wall_timeout = timeout;
    return spec;
}

TEST_F(AbuseTest, S26_ForkAndThreadBombsMeetTheirCap) {
    const sphere::SandboxId box = make(small_box());
    const sphere::SandboxId neighbour = make();
    // crun's own processes are counted, too; and a box of gVisor's whose kernel runs out of threads
    // ends as a whole.
    const int most = in_container() && !own_kernel() ? 48 : 40;
    const auto expect_bounded = [&](const Answers& answers) {
        if (own_kernel() && recorder.result->reason != EndReason::exited) return;
        EXPECT_GT(number(answers, "made"), 20);
        EXPECT_LE(number(answers, "made"), most);
    };
    expect_bounded(abuse(box, {"s26_processes"}, within(20s)));
    // What the bomb left still holds the cap; its neighbour does not notice, and the box goes.
    run(neighbour, {.argv = {"/bin/true"}});
    EXPECT_EQ(recorder.result->exit_code, 0);
    ASSERT_TRUE(sphere->destroy(box));
    expect_bounded(abuse(make(small_box()), {"s26_threads"}, within(20s)));
}

TEST_F(AbuseTest, S27_MemoryBombsEndInsideTheirBox) {
    if (!limited_by_groups("memory limit")) {
        GTEST_SKIP() << "NO MEMORY CGROUP HERE: the limit is per process, see "
                        "WhatEnforcesALimitIsToldAndHolds";
    }
    for (const char* bomb : {"s27_heap", "s27_shared", "s27_memfd", "s27_page_tables"}) {
        SCOPED_TRACE(bomb);
        const sphere::SandboxId box = make(small_box());
        abuse(box, {bomb}, within(60s));
        EXPECT_EQ(recorder.result->reason, EndReason::memory)
            << end_reason_name(recorder.result->reason) << " signal " << recorder.result->signal
            << " code " << recorder.result->exit_code;
        EXPECT_LE(recorder.result->peak_memory_bytes, 64ull << 20);
        ASSERT_TRUE(sphere->destroy(box));
    }
}

TEST_F(AbuseTest, S27_SocketBuffersAreBounded) {
    const sphere::SandboxId box = make(small_box());
    abuse(box, {"s27_sockets"}, within(60s));
    // By the memory limit, or by descriptors and their buffers.
    const bool by_memory = recorder.result->reason == EndReason::memory;
    const Answers answers = parse_answers(recorder.out);
    EXPECT_TRUE(by_memory || number(answers, "buffered") < (256ll << 20));
}

TEST_F(AbuseTest, S28_DisksAndInodesEnd) {
    const sphere::SandboxId box = make(small_box());
    const Answers workspace = abuse(box, {"s28_fill", "/workspace"});
    EXPECT_EQ(one(workspace, "error"), errno_text(ENOSPC));
    EXPECT_LE(number(workspace, "bytes"), 8ll << 20);
    const Answers tmp = abuse(box, {"s28_fill", "/tmp"});
    EXPECT_EQ(one(tmp, "error"), errno_text(ENOSPC));
    EXPECT_LE(number(tmp, "bytes"), 2ll << 20);
    const Answers shared = abuse(box, {"s28_fill", "/dev/shm"});
    EXPECT_EQ(one(shared, "error"), errno_text(ENOSPC));
    // gVisor's own tmpfs counts no inodes; its workspace is a tmpfs of the host's.
    const char* const counted = own_kernel() ? "/workspace" : "/tmp";
    const Answers inodes = abuse(box, {"s28_inodes", counted});
    EXPECT_EQ(one(inodes, "error"), errno_text(ENOSPC));
    EXPECT_LE(number(inodes, "made"), 200);
    run(box, {.argv = {"sh", "-c", std::string("rm -f ") + counted + "/f*"}});
    const Answers sparse = abuse(box, {"s28_sparse", "/workspace"});
    EXPECT_NE(one(sparse, "fallocate"), "ok");
    EXPECT_LE(number(abuse(box, {"s28_deep", "/workspace"}), "depth"), 200);
    if (own_kernel()) {  // what is not counted ends at the box's memory, and ends the box
        abuse(make(small_box()), {"s28_inodes", "/tmp"}, within(60s));
        EXPECT_EQ(recorder.result->reason, EndReason::memory);
    }
    for (const char* folder : {"/usr", "/etc", "/", "/proc", "/dev"}) {
        run(box, {.argv = {"/bin/sh", "-c", std::string("echo x > ") + folder + "/x"}});
        EXPECT_NE(recorder.result->exit_code, 0) << folder;
    }
}

TEST_F(AbuseTest, S29_SpinningProcessesKeepToTheirQuota) {
    if (!limited_by_groups("cpu limit")) GTEST_SKIP() << "NO CPU CGROUP HERE: affinity only";
    sphere::SandboxSpec spec;
    spec.limits.cpus = 0.5;
    const sphere::SandboxId box = make(spec);
    const auto before = sphere->info(box)->cpu;
    const auto begin = clock.now();
    const Answers answers = abuse(box, {"s29", "2"}, within(60s));
    auto cpu = static_cast<double>(number(answers, "cpu_us"));
    auto wall = static_cast<double>(number(answers, "wall_us"));
    if (own_kernel()) {  // which also counts threads that wait; the host's group does not
        cpu = static_cast<double>((sphere->info(box)->cpu - before).count());
        wall = base::to_seconds(clock.now() - begin) * 1e6;
    }
    // 5 %, and the period that is under way at each end.
    EXPECT_LE(cpu, 0.5 * wall * 1.05 + 2 * 100'000);
    EXPECT_GT(cpu, 0);
}

TEST_F(AbuseTest, S30_ObjectsOfTheKernelAreBounded) {
    const Answers answers = abuse(make(small_box()), {"s30"}, within(60s));
    EXPECT_LT(number(answers, "descriptors"), 1024);
    EXPECT_LT(number(answers, "pipes"), 1024);
    EXPECT_LT(number(answers, "epolls"), 1024);
    EXPECT_LT(number(answers, "inotifies"), 1024);
    EXPECT_LT(number(answers, "timers"), 1024);
    if (own_kernel() && recorder.result->reason == EndReason::memory) return;  // nor are timers
    EXPECT_LE(number(answers, "posix_timers"), 1024);
    EXPECT_LE(number(answers, "in_flight"), 1024);
    EXPECT_NE(one(answers, "posix_queue"), "ok");
}

TEST_F(AbuseTest, S31_OutputIsCutAtItsCapAndTold) {
    sphere::ExecSpec spec = within(120s);
    spec.output_bytes_max = 1 << 20;
    abuse(make(), {"s31", "200"}, spec);
    const sphere::ExecResult& result = *recorder.result;
    EXPECT_EQ(result.reason, EndReason::exited);
    EXPECT_EQ(result.output_bytes, 200ull << 20);
    EXPECT_EQ(result.output_dropped, (200ull << 20) - (1 << 20));
    EXPECT_EQ(recorder.out.size() + recorder.err.size(), 1u << 20);
}

TEST_F(AbuseTest, S32_DaemonsDieWithTheirTime) {
    const sphere::SandboxId box = make();
    const Answers answers = abuse(box, {"s32"}, within(700ms));
    EXPECT_EQ(one(answers, "began"), "ok");
    EXPECT_EQ(recorder.result->reason, EndReason::wall_time);
    EXPECT_EQ(number(abuse(box, {"s18"}), "others"), others_seen());
    const auto info = sphere->info(box);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->state, sphere::SandboxState::ready);
}

TEST_F(AbuseTest, S33_AStoppedProcessDiesWithItsTime) {
    const sphere::SandboxId box = make();
    const Answers answers = abuse(box, {"s33_stop"}, within(700ms));
    EXPECT_EQ(one(answers, "began"), "ok");
    EXPECT_EQ(recorder.result->reason, EndReason::wall_time);
    EXPECT_EQ(number(abuse(box, {"s18"}), "others"), others_seen());
}

TEST_F(AbuseTest, S33_APipeHeldOpenDoesNotHoldTheAnswer) {
    const sphere::SandboxId box = make();
    abuse(box, {"s33_hold"}, within(1500ms));
    EXPECT_EQ(recorder.result->reason, EndReason::exited);
    // What was left goes on until the command's time is over, then dies.
    const base::Instant patience = clock.now() + 60s;
    // A container's look is ended with it, when it comes at that moment.
    while (one(abuse(box, {"s18"}), "others") != std::to_string(others_seen())) {
        ASSERT_LT(clock.now(), patience) << "a daemon outlived its command's time";
    }
}

TEST_F(AbuseTest, S34_OrphansAreReaped) {
    const char* const orphans = own_kernel() ? "200" : "3000";  // a fork is 100 times slower there
    EXPECT_EQ(number(abuse(make(), {"s34", orphans}, within(120s)), "zombies"), 0);
}

TEST_F(AbuseTest, S35_NoCoreIsWritten) {
    const sphere::SandboxId box = make();
    const Answers answers = abuse(box, {"s35"});
    EXPECT_NE(one(answers, "raise_core"), "ok");
    EXPECT_EQ(recorder.result->reason, EndReason::signalled);
    EXPECT_EQ(recorder.result->signal, SIGABRT);
    run(box, {.argv = {"python3", "-c", "import os; print(*os.listdir('/workspace'))"}});
    EXPECT_EQ(recorder.out, "abuser\n");
}

TEST_F(AbuseTest, S36_ArchivesStayInside) {
    // Whatever an archive says, tar runs as the box: bombs meet the quota, names meet the root.
    const sphere::SandboxId box = make(small_box());
    run(box, {.argv = {"/usr/bin/python3", "-c", R"(
import tarfile, io, subprocess, os
def add(t, name, kind=tarfile.REGTYPE, link='', data=b''):
    m = tarfile.TarInfo(name); m.type = kind; m.linkname = link; m.size = len(data)
    t.addfile(m, io.BytesIO(data))
with tarfile.open('/workspace/a.tar', 'w') as t:
    add(t, '../../../../../escape', data=b'x')
    add(t, '/escape2', data=b'x')
    add(t, 'out', tarfile.SYMTYPE, '/usr'); add(t, 'out/escape3', data=b'x')
    add(t, 'hard', tarfile.LNKTYPE, '/etc/passwd')
    add(t, 'device', tarfile.CHRTYPE)
for flags in ([], ['-P']):
    subprocess.run(['tar', *flags, '-xf', '/workspace/a.tar', '-C', '/workspace'],
                   stderr=subprocess.DEVNULL)
print('escaped', any(os.path.exists(p) for p in ('/escape', '/escape2', '/usr/escape3')))
print('device', os.path.exists('/workspace/device'))
with tarfile.open('/workspace/b.tar.gz', 'w:gz') as t: add(t, 'big', data=bytes(6 << 20))
r = subprocess.run(['tar', '-xf', '/workspace/b.tar.gz', '-C', '/tmp'], stderr=subprocess.DEVNULL)
print('bomb', r.returncode != 0)
)"}});
    EXPECT_EQ(recorder.out, "escaped False\ndevice False\nbomb True\n") << recorder.err;
}

TEST_F(AbuseTest, S37_WithoutANetworkNothingConnects) {
    for (const auto& [name, outcome] : abuse({"s37"})) EXPECT_NE(outcome, "ok") << name;
}

/// Bait of the host: a port, an abstract name and a path that anybody may connect to.
class Bait {
public:
    Bait() {
        tcp_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        ::bind(tcp_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
        ::listen(tcp_, 8);
        socklen_t bytes = sizeof(address);
        ::getsockname(tcp_, reinterpret_cast<sockaddr*>(&address), &bytes);
        port_ = std::to_string(ntohs(address.sin_port));
        const std::string name = "dougong-bait-" + port_;
        sockaddr_un local{};
        local.sun_family = AF_UNIX;
        name.copy(local.sun_path + 1, sizeof(local.sun_path) - 2);
        abstract_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ::bind(abstract_, reinterpret_cast<sockaddr*>(&local),
               static_cast<socklen_t>(sizeof(sa_family_t) + 1 + name.size()));
        ::listen(abstract_, 8);
        path_name_ = "/tmp/" + name;
        sockaddr_un path{};
        path.sun_family = AF_UNIX;
        path_name_.copy(path.sun_path, sizeof(path.sun_path) - 1);
        path_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        ::bind(path_, reinterpret_cast<sockaddr*>(&path), sizeof(path));
        ::listen(path_, 8);
    }
    ~Bait() {
        for (const int fd : {tcp_, abstract_, path_}) ::close(fd);
        ::unlink(path_name_.c_str());
    }
    Bait(const Bait&) = delete;
    Bait& operator=(const Bait&) = delete;
    const std::string& port() const { return port_; }

private:
    int tcp_, abstract_, path_;
    std::string port_, path_name_;
};

TEST_F(AbuseTest, S38_TheHostsServicesAreUnreachable) {
    const Bait bait;
    for (const auto mode : {sphere::NetworkMode::none, sphere::NetworkMode::loopback}) {
        sphere::SandboxSpec spec;
        spec.network.mode = mode;
        const Answers answers = abuse(make(spec), {"s38", bait.port()});
        EXPECT_EQ(answers.size(), 3u);
        for (const auto& [name, outcome] : answers) EXPECT_NE(outcome, "ok") << name;
    }
}

TEST_F(AbuseTest, S38_ANeighboursPortIsUnreachable) {
    sphere::SandboxSpec spec;
    spec.network.mode = sphere::NetworkMode::loopback;
    const sphere::SandboxId serving = make(spec), asking = make(spec);
    Recorder server;
    sphere::ExecSpec serve;
    serve.argv = {"/usr/bin/python3", "-c",
                  "import socket; s=socket.socket(); s.bind(('127.0.0.1',4711)); s.listen(); "
                  "print('up', flush=True); s.accept(); print('reached', flush=True)"};
    serve.wall_timeout = 60s;
    const auto started = sphere->start(serving, serve, server);
    ASSERT_TRUE(started) << started.error().message;
    const char* connect =
        "import socket,sys\n"
        "for _ in range(300):\n"
        "  s=socket.socket()\n"
        "  if s.connect_ex(('127.0.0.1',4711))==0: sys.exit(0)\n"
        "sys.exit(1)";
    run(asking, {.argv = {"/usr/bin/python3", "-c", connect}});
    EXPECT_EQ(recorder.result->exit_code, 1);
    // Its own loopback works, so the refusal above was the wall and not the socket.
    const char* patient =
        "import socket,sys,time\n"
        "while socket.socket().connect_ex(('127.0.0.1',4711)): time.sleep(.01)";
    run(serving, {.argv = {"/usr/bin/python3", "-c", patient}, .wall_timeout = 30s});
    EXPECT_EQ(recorder.result->exit_code, 0);
    ASSERT_TRUE(sphere->destroy(serving));
    EXPECT_NE(server.out.find("reached"), std::string::npos);
}

TEST_F(AbuseTest, S50_SignalsHitOnlyOwnProcesses) {
    const pid_t bystander = ::fork();
    if (bystander == 0) {
        for (;;) ::pause();
    }
    const sphere::SandboxId box = make(), neighbour = make();
    Recorder waits;
    ASSERT_TRUE(sphere->start(neighbour, {.argv = {"/bin/sleep", "1000"}}, waits));
    const Answers answers = abuse(box, {"s50", std::to_string(bystander)}, within(20s));
    // kill(-1) of the first try took the abuser itself with it: that is all there was.
    EXPECT_TRUE(answers.count("host") == 0 || one(answers, "host") != "ok");
    EXPECT_EQ(::kill(bystander, 0), 0);
    EXPECT_FALSE(waits.result.has_value());
    run(box, {.argv = {"/bin/sh", "-c", "kill -9 1; kill -TERM 1; echo alive"}});
    EXPECT_EQ(recorder.out, "alive\n");
    run(box, {.argv = {"/bin/sh", "-c", "kill -0 " + std::to_string(bystander)}});
    EXPECT_NE(recorder.result->exit_code, 0);
    ::kill(bystander, SIGKILL);
    ::waitpid(bystander, nullptr, 0);
    ASSERT_TRUE(sphere->destroy(neighbour));
}

TEST_F(AbuseTest, S51_TheNextBoxFindsNothing) {
    const sphere::SandboxId first = make();
    abuse(first, {"s51_leave"});
    EXPECT_EQ(one(parse_answers(recorder.out), "shm"), "ok");
    ASSERT_TRUE(sphere->destroy(first));
    const Answers answers = abuse(make(), {"s51_look"});
    for (const char* name : {"/tmp/left", "/workspace/left", "/dev/shm/left", "shm"}) {
        EXPECT_NE(one(answers, name), "ok") << name;
    }
    EXPECT_EQ(one(answers, "/tmp"), "0");
    EXPECT_EQ(one(answers, "/dev/shm"), "0");
    EXPECT_EQ(one(answers, "/workspace"), "1");  // the abuser itself
}

TEST_F(AbuseTest, S52_TheMachineIsNotChanged) {
    char before[256] = {}, after[256] = {};
    ::gethostname(before, sizeof(before) - 1);
    const Answers answers = abuse({"s52"});
    for (const auto& [name, outcome] : answers) {
        if (own_kernel() && name == "nice") continue;  // in its own scheduler, within its quota
        EXPECT_NE(outcome, "ok") << name;
    }
    // Its clocks began with this sphere, or with its own kernel; crun makes no time namespace.
    if (own_kernel() || (works_here("time namespaces") && !in_container())) {
        timespec host{};
        ::clock_gettime(CLOCK_BOOTTIME, &host);
        EXPECT_LT(number(answers, "uptime_s"), host.tv_sec / 2);
    }
    ::gethostname(after, sizeof(after) - 1);
    EXPECT_STREQ(before, after);
}

/// What an agent does over and over: makes a box, puts a file into it, runs, keeps, removes.
/// Remembers the boxes; ends at the first refusal, which must be the stop's.
void work_until_stopped(sphere::Sphere& sphere, const sphere::SandboxSpec& spec,
                        std::vector<sphere::SandboxId>& made) {
    const auto stopped = [](const base::Error& error) {
        EXPECT_TRUE(error.code == base::Code::permission_denied ||
                    error.code == base::Code::unavailable || error.code == base::Code::not_found ||
                    error.code == base::Code::failed_precondition)
            << error.message;
    };
    for (;;) {
        const auto box = sphere.create(spec);
        if (!box) return stopped(box.error());
        made.push_back(*box);
        const auto uploads = sphere.admit_file(
            *box, {.kind = sphere::FileAccess::Kind::write, .name = "job", .bytes = 4096});
        if (!uploads) return stopped(uploads.error());
        if (const auto folder = sphere.open_workspace(*box)) {
            const int file = ::openat(*folder, "job", O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
            const std::string text(4096, 'x');
            EXPECT_TRUE(file < 0 || ::write(file, text.data(), text.size()) >= 0);
            if (file >= 0) ::close(file);
            ::close(*folder);
        }
        Recorder first, second;
        static_cast<void>(sphere.exec(*box, {.argv = {"/bin/true"}}, first));
        static_cast<void>(sphere.snapshot(*box, "s"));  // where the backend keeps any
        static_cast<void>(
            sphere.exec(*box, {.argv = {"/bin/sh", "-c", "sleep 100 & sleep 100"}}, second));
        static_cast<void>(sphere.destroy(*box));
    }
}

/// Random points at which the stop comes; DG_STOPS=10000 is the soak.
int stop_rounds(int otherwise) {
    const char* const asked = std::getenv("DG_STOPS");
    return asked != nullptr ? std::atoi(asked) : otherwise;
}

TEST_F(AbuseTest, S55_AStopAtAnyMomentLeavesNoSurvivor) {
    // Two threads work; the stop comes at random points. None survives, and nothing is created
    // until it is lifted.
    base::Rng rng(55);
    std::size_t points = 0;
    const int rounds = stop_rounds(in_container() ? 6 : 20);
    const std::uint64_t span_us = in_container() ? 500'000 : 16'000;  // of one box's life
    for (int round = 0; round < rounds && !HasFailure(); ++round) {
        std::vector<sphere::SandboxId> made[2];
        std::thread first([&] { work_until_stopped(*sphere, of_this_run(), made[0]); });
        std::thread second([&] { work_until_stopped(*sphere, of_this_run(), made[1]); });
        const auto moment = clock.now() + std::chrono::microseconds(rng.below(span_us));
        while (clock.now() < moment) std::this_thread::yield();
        sphere->emergency_stop({});
        const auto refused = sphere->create(of_this_run());
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, base::Code::permission_denied);
        first.join();
        second.join();
        EXPECT_TRUE(sphere->list().empty());
        for (const auto& boxes : made) {
            for (const sphere::SandboxId& box : boxes) {
                const auto info = sphere->info(box);
                ASSERT_TRUE(info) << info.error().message;
                EXPECT_EQ(info->state, sphere::SandboxState::ended) << box;
            }
        }
        ++points;
        ASSERT_TRUE(sphere->lift_stop({}));
    }
    EXPECT_TRUE(sphere->create(of_this_run()));
    EXPECT_EQ(events("emergency.stop").size(), points);
    EXPECT_EQ(events("emergency.lift").size(), points);
}

TEST_F(AbuseTest, AStopTakesOnlyItsScope) {
    sphere::SandboxSpec ours, theirs;
    ours.tenant = "a";
    ours.agent = "x";
    theirs.tenant = "b";
    const sphere::SandboxId stopped = make(ours), spared = make(theirs);
    Recorder waits;
    ASSERT_TRUE(sphere->start(stopped, {.argv = {"/bin/sleep", "1000"}}, waits));
    EXPECT_EQ(sphere->emergency_stop({.tenant = "a"}), 1u);
    ASSERT_TRUE(waits.result.has_value());
    EXPECT_EQ(waits.result->reason, EndReason::emergency);
    EXPECT_EQ(sphere->info(stopped)->state, sphere::SandboxState::ended);
    run(spared, {.argv = {"/bin/true"}});
    EXPECT_EQ(recorder.result->exit_code, 0);
    EXPECT_FALSE(sphere->create(of_this_run(ours)));
    EXPECT_TRUE(sphere->create(of_this_run(theirs)));
}

}  // namespace
}  // namespace test
