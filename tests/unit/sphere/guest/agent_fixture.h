#pragma once
// The real agent as an ordinary process behind two pipes, as a machine without walls.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <fstream>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sphere/guest/guest_sphere.h"
#include "sphere/guest/spawn.h"
#include "sphere/native/launcher_image.h"

namespace test {

/// Each leads a group of its own.
inline std::vector<pid_t> children_of(pid_t agent) {
    const std::string of_it = std::to_string(agent);
    std::ifstream children("/proc/" + of_it + "/task/" + of_it + "/children");
    std::vector<pid_t> found;
    for (pid_t child = 0; children >> child;) found.push_back(child);
    return found;
}

class ProcessMachine final : public sphere::guest::Machine {
public:
    ~ProcessMachine() override {
        kill();
        if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    }
    base::Result<void> begin() {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
            return base::fail(base::Code::unavailable, "no socket");
        }
        ours_ = base::UniqueFd(ends[0]);
        const base::UniqueFd theirs(ends[1]);
        ::fcntl(ours_.get(), F_SETFL, O_NONBLOCK);
        const base::UniqueFd image = DG_TRY(sphere::native::launcher_image());
        pid_ =
            DG_TRY(sphere::guest::spawn({.program = "/proc/self/fd/" + std::to_string(image.get()),
                                         .arguments = {"guest", "stdio"},
                                         .descriptors = {{theirs.get(), 0}, {theirs.get(), 1}}}));
        return {};
    }
    int to_agent() const override { return ours_.get(); }
    int from_agent() const override { return ours_.get(); }
    base::Result<void> freeze(bool frozen) override {
        ::kill(pid_, frozen ? SIGSTOP : SIGCONT);
        return {};
    }
    /// A machine ends whole: the agent and the groups of its commands.
    void kill() override {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGSTOP);  // it begins nothing more
        for (const pid_t child : children_of(pid_)) ::kill(-child, SIGKILL);
        ::kill(pid_, SIGKILL);
    }
    sphere::guest::Usage usage() const override { return {}; }
    base::Result<base::UniqueFd> open_workspace() const override {
        return base::fail(base::Code::unimplemented, "no folder of its own");
    }
    std::string last_words() const override { return ""; }
    int pid() const { return pid_; }

private:
    base::UniqueFd ours_;
    int pid_ = 0;
};

class ProcessMaker final : public sphere::guest::MachineMaker {
public:
    std::string_view name() const override { return "process"; }
    base::Result<void> check(const sphere::SandboxSpec&) const override { return {}; }
    base::Result<std::unique_ptr<sphere::guest::Machine>> make(const sphere::SandboxSpec&,
                                                               const sphere::SandboxId&) override {
        if (meanwhile) meanwhile();
        auto machine = std::make_unique<ProcessMachine>();
        DG_TRY(machine->begin());
        last_pid = machine->pid();
        return std::unique_ptr<sphere::guest::Machine>(std::move(machine));
    }
    sphere::launcher::GuestSetup setup(const sphere::SandboxSpec&) const override {
        return sphere::launcher::make_message<sphere::launcher::GuestSetup>();
    }
    std::chrono::seconds start_max() const override { return std::chrono::seconds(20); }
    std::vector<std::string> enforced_by() const override { return {"nothing: a test's process"}; }
    bool limits_processes() const override { return true; }

    int last_pid = 0;
    std::function<void()> meanwhile;  ///< happens while a machine is being made
};

class Recorder final : public sphere::ExecSink {
public:
    void on_output(sphere::Stream stream, std::string_view bytes) override {
        (stream == sphere::Stream::out ? out : err) += bytes;
    }
    void on_end(const sphere::ExecResult& ended) override { result = ended; }

    std::string out, err;
    std::optional<sphere::ExecResult> result;
};

/// One box with the agent in it.
class AgentTest : public ::testing::Test {
protected:
    void SetUp() override {
        auto made = std::make_unique<ProcessMaker>();
        maker = made.get();
        sphere = std::make_unique<sphere::guest::GuestSphere>(
            sphere::SphereOptions{.state_dir = "", .sandboxes_max = 4}, clock, std::move(made));
        const auto created = sphere->create({});
        ASSERT_TRUE(created) << created.error().message;
        box = *created;
    }
    void run(sphere::ExecSpec spec) {
        recorder = Recorder();
        spec.working_directory = "/";
        const auto ended = sphere->exec(box, spec, recorder);
        ASSERT_TRUE(ended) << ended.error().message;
    }

    base::SystemClock clock;
    ProcessMaker* maker = nullptr;
    std::unique_ptr<sphere::guest::GuestSphere> sphere;
    sphere::SandboxId box;
    Recorder recorder;
};

}  // namespace test
