// Alarms of a process that is killed by SIGKILL, told to a receiver over HTTP by the next one.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <future>
#include <thread>

#include "base/files/files.h"
#include "base/files/linux_disk.h"
#include "base/http/client.h"
#include "base/http/server.h"
#include "base/journal/journal.h"
#include "flow/alarm/alarms.h"
#include "flow/log/journal_run_log.h"
#include "flow/store/definition_store.h"

namespace {

namespace json = base::json;
using namespace std::chrono_literals;

class Fails final : public flow::StepRunner {
public:
    void run(flow::Call, Done done) override {
        done(base::fail(base::Code::invalid_argument, "it broke"));
    }
    void cancel(flow::RunId, std::string_view) override {}
};

/// A process's own plane of workflows, in a folder.
struct Plane {
    explicit Plane(const std::string& dir, std::string url, bool threaded) {
        journal = *base::journal::Journal::open(disk, dir + "/journal", {});
        log = *flow::JournalRunLog::open(*journal, dir + "/runs.db");
        definitions = *flow::DefinitionStore::open(dir + "/workflows.db", clock);
        runtime = *flow::Runtime::open(*log, *definitions, steps, clock, {});
        flow::Alarms::Parts parts{.runtime = *runtime, .log = *log, .clock = clock};
        parts.file.webhooks = {{"ops", std::move(url), std::string(32, 'k')}};
        parts.file.rules = {*flow::read_alarm_rule(
            base::parse_json(R"({"name": "failing", "when": {"failure_rate": 0.5, "over": "1h"}})")
                ->as_object(),
            "")};
        parts.post = [this](const flow::Webhook& to, const flow::WebhookHeaders& headers,
                            const std::string& body) -> base::Result<flow::WebhookAnswer> {
            base::HttpClient::Request request;
            request.method = "POST";
            request.url = to.url;
            request.headers = headers;
            request.body = body;
            const auto answer = DG_TRY(client.send(request));
            return flow::WebhookAnswer{.status = answer.status};
        };
        alarms = *flow::Alarms::open(dir + "/alarms.db", std::move(parts), threaded);
    }
    void fail(int runs) {
        (void)definitions->deploy("default", "name: w\nsteps: [{id: s, call: {function: f}}]\n",
                                  "w.yaml");
        for (int i = 0; i < runs; ++i) {
            const auto run = runtime->start({.tenant = "default", .workflow = "w"});
            (void)runtime->wait(*run, 60s);
        }
    }

    base::SystemClock clock;
    base::LinuxDisk disk;
    base::HttpClient client;
    Fails steps;
    std::unique_ptr<base::journal::Journal> journal;
    std::unique_ptr<flow::JournalRunLog> log;
    std::unique_ptr<flow::DefinitionStore> definitions;
    std::unique_ptr<flow::Runtime> runtime;
    std::unique_ptr<flow::Alarms> alarms;
};

std::string setting(const char* name) {
    const char* const value = std::getenv(name);
    return value == nullptr ? "" : value;
}

/// What a child does: this program again, with one test alone.
TEST(AlarmCrashChild, DISABLED_Work) {
    const std::string what = setting("ALARM_WHAT");
    Plane plane(setting("ALARM_DIR"), setting("ALARM_URL"), what != "die");
    if (what == "die") {
        plane.fail(5);
        ::raise(SIGKILL);  // nothing of what was heard is written
    }
    if (what == "fail") plane.fail(5);
    while (plane.alarms->deliveries("default", "delivered", 10)->empty()) std::this_thread::yield();
}

class AlarmCrash : public testing::Test {
protected:
    AlarmCrash() : dir_(*base::TemporaryDir::create("/tmp", "dougong-alarm-crash-")) {
        server_ = std::move(*base::http::Server::listen({}, clock_));
        server_->router().add(
            "POST", "/hook",
            [this](const base::http::Request& request, const base::http::ResponderPtr& to) {
                const std::lock_guard lock(mutex_);
                got_.emplace_back(request.headers.get("webhook-id"), request.body);
                if (std::exchange(kill_next_, false)) {
                    ::kill(child_, SIGKILL);  // it has sent, and does not hear that it arrived
                    return;
                }
                base::http::Response taken;
                taken.status = 200;
                to->send(std::move(taken));
            });
        server_->start();
    }
    ~AlarmCrash() override { server_->stop(0ms); }

    /// Its exit status, or minus the signal that ended it.
    int work(const char* what, bool kill_it = false) {
        {
            const std::lock_guard lock(mutex_);  // until the child is known
            kill_next_ = kill_it;
            child_ = ::fork();
            if (child_ == 0) {
                ::setenv("ALARM_WHAT", what, 1);
                ::setenv("ALARM_DIR", dir_.path().c_str(), 1);
                ::setenv("ALARM_URL", (server_->url() + "/hook").c_str(), 1);
                ::execl("/proc/self/exe", "child", "--gtest_also_run_disabled_tests",
                        "--gtest_filter=AlarmCrashChild.*", "--gtest_brief=1", nullptr);
                ::_exit(99);
            }
        }
        int status = 0;
        ::waitpid(child_, &status, 0);
        return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    }

    base::SystemClock clock_;
    base::TemporaryDir dir_;
    std::mutex mutex_;  // guards what is below
    pid_t child_ = 0;
    bool kill_next_ = false;
    std::vector<std::pair<std::string, std::string>> got_;
    std::unique_ptr<base::http::Server> server_;
};

TEST_F(AlarmCrash, KilledBetweenFiringAndDeliveryItIsDeliveredByTheNextProcess) {
    ASSERT_EQ(work("fail", true), -SIGKILL);
    ASSERT_EQ(work("deliver"), 0);
    const std::lock_guard lock(mutex_);
    ASSERT_EQ(got_.size(), 2u);
    EXPECT_EQ(got_[0], got_[1]) << "the same message under the same id";
    EXPECT_EQ(base::parse_json(got_[0].second)->at("type"), "flow.alarm.fired");
}

TEST_F(AlarmCrash, KilledBeforeAnythingWasWrittenItFiresInTheNextProcess) {
    ASSERT_EQ(work("die"), -SIGKILL);
    ASSERT_EQ(work("deliver"), 0);
    const std::lock_guard lock(mutex_);
    ASSERT_EQ(got_.size(), 1u);
    EXPECT_EQ(base::parse_json(got_[0].second)->at("data").at("runs_total"), 5);
}

}  // namespace
