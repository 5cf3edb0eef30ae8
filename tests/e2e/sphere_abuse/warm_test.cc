// Sessions from boxes that waited with an interpreter, and live forks, are walled in as one that
// was started when it was asked for: the hostile program finds the same in each, and so does
// python.
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "box_fixture.h"
#include "sphere/session/session.h"

namespace {

using sphere::Language;
using sphere::SandboxId;
using sphere::SessionId;
using test::AbuseTest;

/// What a process is to the kernel, but for what no two have alike.
constexpr const char* kFacts = R"(
import os, resource
kept = ('Uid', 'Gid', 'Groups', 'Cap', 'NoNewPrivs', 'Seccomp', 'Shd', 'SigBlk',
        'Cpus_allowed_list', 'THP', 'Umask', 'CoreDumping')
for line in open('/proc/self/status'):
    if line.startswith(kept):
        print(line.rstrip().replace('\t', ' '))
    if line.startswith('SigIgn'):  # but 32 and 33, the C library's, which a library's thread sets
        print('ignored %x' % (int(line.split()[1], 16) & ~(3 << 31)))
for name in sorted(n for n in dir(resource) if n.startswith('RLIMIT_')):
    print(name, resource.getrlimit(getattr(resource, name)))
print('fds', sorted(os.readlink('/proc/self/fd/' + f).split(':')[0]
                    for f in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + f)))
print('leader', os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid(), 'parent', os.getppid())
print('cwd', os.getcwd(), sorted(os.listdir('/')), sorted(os.listdir('/dev')))
print('environment', sorted(os.environ.items()))
print('argv', len(open('/proc/self/cmdline').read()), 'priority', os.getpriority(os.PRIO_PROCESS, 0))
print('scheduler', os.sched_getscheduler(0), open('/proc/self/oom_score_adj').read())
print('uid map', open('/proc/self/uid_map').read().split()[0::2])
)";

class WarmWalls : public AbuseTest {
protected:
    void SetUp() override {
        AbuseTest::SetUp();
        if (IsSkipped() || HasFatalFailure()) return;
        if (level() != sphere::Isolation::full) GTEST_SKIP() << "nothing waits at another level";
        if (::access("/usr/bin/python3", X_OK) != 0) GTEST_SKIP() << "THIS HOST HAS NO python3";
        sphere::SphereOptions options{.state_dir = state.path(), .sandboxes_max = 256};
        options.pool_size = 2;
        options.warm_commands.push_back({.spec = sphere::session::driver_command(
                                             Language::python, sphere::session::kPythonModules)});
        open(options);
        sessions = std::make_unique<sphere::SessionManager>(*sphere, clock);
    }
    void TearDown() override {
        sessions.reset();
        AbuseTest::TearDown();
    }
    struct Place {
        SandboxId box;
        SessionId session = 0;
    };
    Place cold() {
        const SandboxId box = make();  // its files were touched: nothing is exchanged for it
        return {box, opened(box)};
    }
    Place warm() {
        while (sphere->pool().warm.at(0) == 0) std::this_thread::yield();
        const auto box = sphere->create({});
        EXPECT_TRUE(box);
        const Place place{*box, opened(*box)};
        EXPECT_EQ(run_cell(place, "import sys; print('statistics' in sys.modules)"), "True\n");
        install(place.box);
        return place;
    }
    SessionId opened(const SandboxId& box) {
        const auto session = sessions->open(box, Language::python);
        EXPECT_TRUE(session) << session.error().message;
        return session ? session->id : 0;
    }
    std::string run_cell(const Place& place, const std::string& code) {
        const auto cell = sessions->run(place.box, place.session, {.code = code});
        EXPECT_TRUE(cell) << cell.error().message;
        if (!cell) return "";
        EXPECT_EQ(cell->result.status, sphere::CellStatus::ok) << cell->result.error.traceback;
        return cell->out;
    }
    /// The hostile program, begun by the interpreter.
    std::string attack(const Place& place, const std::string& what) {
        return run_cell(place, "import subprocess\np = subprocess.run(['./abuser', '" + what +
                                   "'], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)\n"
                                   "print(p.stdout.decode('utf-8', 'replace'), p.returncode)");
    }
    void expect_alike(const Place& one, const Place& other) {
        EXPECT_EQ(run_cell(one, kFacts), run_cell(other, kFacts));
        for (const char* const what :
             {"s01", "s02", "s03", "s04", "s05", "s06", "s07", "s08", "s09", "s11", "s12", "s14",
              "s15", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s37", "s38", "s52"}) {
            SCOPED_TRACE(what);
            const std::string answer = attack(one, what);
            EXPECT_GT(answer.size(), 3u);
            EXPECT_EQ(answer, attack(other, what));
        }
    }

    std::unique_ptr<sphere::SessionManager> sessions;
};

TEST_F(WarmWalls, AWarmSessionIsWalledInAsAColdOne) {
    expect_alike(cold(), warm());
}

TEST_F(WarmWalls, SoIsALiveFork) {
    if (!works_here("tree kill and freeze")) GTEST_SKIP() << "NO CGROUP V2 TREE HERE: no forks";
    const Place first = cold();
    const auto forked = sessions->fork(first.box, first.session);
    ASSERT_TRUE(forked) << forked.error().message;
    const Place fork{first.box, forked->id};
    ASSERT_TRUE(sessions->close(first.box, first.session));
    expect_alike(cold(), fork);
}

TEST_F(WarmWalls, OneTenantsSessionIsNotFoundInTheNext) {
    const Place first = warm();
    run_cell(first,
             "import os, tempfile\nopen('/tmp/left', 'w').write('left')\n"
             "open('/workspace/left', 'w').write('left')\nos.environ['LEFT'] = 'left'");
    ASSERT_TRUE(sphere->destroy(first.box));
    const Place second = warm();
    EXPECT_EQ(run_cell(second,
                       "import os\nprint(os.listdir('/tmp'), os.path.exists('left'), "
                       "'LEFT' in os.environ)"),
              "[] False False\n");
}

TEST_F(WarmWalls, ItIsRecordedAsItsTenantsCommand) {
    const Place place = warm();
    const auto starts = events("exec.start", place.box);
    ASSERT_EQ(starts.size(), 1u);
    EXPECT_EQ(starts[0].at("decision").as_string(), "allow");
    EXPECT_EQ(starts[0].at("tenant").as_string(), "default");
    ASSERT_TRUE(sessions->close(place.box, place.session));
    while (events("exec.end", place.box).empty()) std::this_thread::yield();
    EXPECT_EQ(events("sandbox.create", place.box).size(), 1u);
}

}  // namespace
