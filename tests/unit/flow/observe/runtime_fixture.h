#pragma once
// A runtime over a real journal in a temporary folder, whose calls the test ends; it can be stopped
// and opened again as another process would.

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "base/files/files.h"
#include "base/files/linux_disk.h"
#include "base/journal/journal.h"
#include "flow/flow.h"
#include "flow/log/journal_run_log.h"
#include "flow/store/definition_store.h"

namespace flow_test {

namespace json = base::json;
using namespace std::chrono_literals;

/// Echoes native calls at once; others wait until the test ends them.
class SomeHeld final : public flow::StepRunner {
public:
    struct Held {
        flow::Call call;
        Done done;
    };
    void run(flow::Call call, Done done) override {
        if (std::holds_alternative<flow::NativeAction>(call.step->action)) {
            done(flow::StepOutput{std::move(call.request), 3, 0.5});
            return;
        }
        const std::lock_guard lock(mutex_);
        held_.push_back({std::move(call), std::move(done)});
        changed_.notify_all();
    }
    void cancel(flow::RunId, std::string_view) override {}
    /// The next call, once it was made.
    Held next() {
        std::unique_lock lock(mutex_);
        EXPECT_TRUE(changed_.wait_for(lock, 60s, [&] { return !held_.empty(); }));
        Held out = std::move(held_.front());
        held_.pop_front();
        return out;
    }
    void forget() {
        const std::lock_guard lock(mutex_);
        held_.clear();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Held> held_;
};

class RuntimeTest : public testing::Test {
protected:
    RuntimeTest() : dir_(*base::TemporaryDir::create("/tmp", "dougong-flow-observe-")) { boot(); }
    ~RuntimeTest() override { halt(); }

    void boot() {
        journal_ = *base::journal::Journal::open(
            disk_, dir_.path() + "/journal",
            {.segment_bytes = 1u << 20, .record_bytes_max = 256u << 10});
        log_ = *flow::JournalRunLog::open(*journal_, dir_.path() + "/runs.db");
        definitions_ = *flow::DefinitionStore::open(dir_.path() + "/workflows.db", clock_);
        runtime_ = *flow::Runtime::open(*log_, *definitions_, calls_, clock_, {});
    }
    /// Calls that are out are lost, as by a crash.
    void halt() {
        if (runtime_) runtime_->halt();
        runtime_.reset();
        calls_.forget();
        definitions_.reset();
        log_.reset();
        journal_.reset();
    }
    void deploy(std::string_view yaml) {
        const auto deployed = definitions_->deploy("", yaml, "test.yaml");
        ASSERT_TRUE(deployed.has_value()) << deployed.error().message;
    }
    flow::RunId start(std::string workflow, json::value input = nullptr) {
        auto run = runtime_->start({.workflow = std::move(workflow), .input = std::move(input)});
        EXPECT_TRUE(run.has_value()) << (run ? "" : run.error().message);
        return run.value_or(flow::RunId{});
    }
    flow::RunEnd end_of(flow::RunId run) {
        auto end = runtime_->wait(run, 60s);
        EXPECT_TRUE(end.has_value()) << (end ? "" : end.error().message);
        return end ? *std::move(end) : flow::RunEnd{};
    }

    base::SystemClock clock_;
    base::LinuxDisk disk_;
    base::TemporaryDir dir_;
    SomeHeld calls_;
    std::unique_ptr<base::journal::Journal> journal_;
    std::unique_ptr<flow::JournalRunLog> log_;
    std::unique_ptr<flow::DefinitionStore> definitions_;
    std::unique_ptr<flow::Runtime> runtime_;
};

}  // namespace flow_test
