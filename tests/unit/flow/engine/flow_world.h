#pragma once
// A whole workflow engine on a simulated disk and clock, driven step by step: for tests that crash
// it, fill its disk, and look at what is left.

#include <gtest/gtest.h>

#include <cstdio>
#include <deque>
#include <map>

#include "base/files/files.h"
#include "base/journal/journal.h"
#include "base/sim/sim_clock.h"
#include "base/sim/sim_disk.h"
#include "flow/blobs/file_blob_store.h"
#include "flow/blobs/spilling_run_log.h"
#include "flow/definition/read_definition.h"
#include "flow/engine/run_engine.h"
#include "flow/log/journal_run_log.h"

namespace flow_test {

namespace json = base::json;

class Definitions final : public flow::DefinitionSource {
public:
    void add(std::string_view yaml) {
        auto read = flow::read_definition(yaml, "test.yaml");
        ASSERT_TRUE(read.has_value()) << read.error().message;
        auto own = std::make_shared<flow::Definition>(**read);
        std::vector<std::shared_ptr<const flow::Definition>>& versions = by_name_[own->name];
        own->version = static_cast<std::uint32_t>(versions.size()) + 1;
        versions.push_back(std::move(own));
    }
    base::Result<std::shared_ptr<const flow::Definition>> find(std::string_view,
                                                               std::string_view name,
                                                               std::uint32_t version) override {
        const auto found = by_name_.find(std::string(name));
        if (found == by_name_.end() || version > found->second.size()) {
            return base::fail(base::Code::not_found, "no {}", name);
        }
        return version == 0 ? found->second.back() : found->second[version - 1];
    }
    base::Result<std::shared_ptr<const flow::Definition>> by_hash(std::string_view hash) override {
        for (const auto& [name, versions] : by_name_) {
            for (const auto& definition : versions) {
                if (definition->hash == hash) return definition;
            }
        }
        return base::fail(base::Code::not_found, "no {}", hash);
    }

private:
    std::map<std::string, std::vector<std::shared_ptr<const flow::Definition>>> by_name_;
};

/// Calls wait until the test ends them.
class HeldCalls final : public flow::StepRunner {
public:
    struct Held {
        flow::Call call;
        Done done;
    };
    void run(flow::Call call, Done done) override {
        if (on_begin) on_begin(call);
        ++begun[call.idempotency_key];
        held.push_back({std::move(call), std::move(done)});
    }
    void cancel(flow::RunId run, std::string_view path) override {
        cancelled.emplace_back(run, path);
    }

    std::function<void(const flow::Call&)> on_begin;
    std::vector<Held> held;
    std::map<std::string, int> begun;  ///< by idempotency key, over crashes
    std::vector<std::pair<flow::RunId, std::string>> cancelled;
};

class World {
public:
    /// `around`: puts a runner around the held calls at each boot.
    using Around = std::function<flow::StepRunner*(flow::StepRunner&)>;
    explicit World(std::uint64_t seed, flow::EngineOptions options = {}, Around around = {})
        : disk(seed), rng(seed ^ 0x5eed), options_(options), around_(std::move(around)) {
        auto made = base::TemporaryDir::create("/tmp", "dougong-flow-test-");
        dir_.emplace(*std::move(made));
        boot();
    }
    ~World() { halt(); }

    /// Opens everything as a process that starts does. False: the disk does not let it.
    bool boot() {
        auto journal_opened = base::journal::Journal::open(disk, "journal",
                                                           {.segment_bytes = 1u << 20,
                                                            .record_bytes_max = 256u << 10,
                                                            .threaded = false,
                                                            .id = 7});
        if (!journal_opened) return false;
        journal = *std::move(journal_opened);
        auto log_opened = flow::JournalRunLog::open(*journal, dir_->path() + "/index.db", false);
        EXPECT_TRUE(log_opened.has_value()) << (log_opened ? "" : log_opened.error().message);
        if (!log_opened) return false;
        events = *std::move(log_opened);
        auto blobs_opened = flow::FileBlobStore::open(disk, "blobs");
        if (!blobs_opened) return false;
        blobs = *std::move(blobs_opened);
        // Small enough that ordinary tests have large values, too.
        log = std::make_unique<flow::SpillingRunLog>(
            *events, *blobs, flow::SpillOptions{.value_bytes = 24, .group_bytes = 64u << 10});
        if (!log->collect()) return false;
        engine = std::make_unique<flow::RunEngine>(
            *log, definitions, around_ ? *around_(calls) : calls, clock, rng.next(), options_,
            [this](std::function<void()> task) { tasks.push_back(std::move(task)); });
        const auto recovered = engine->recover();
        EXPECT_TRUE(recovered.has_value()) << (recovered ? "" : recovered.error().message);
        calls.on_begin = [this](const flow::Call& call) { expect_written(call); };
        return recovered.has_value();
    }
    /// Whatever is called for was durable before.
    void expect_written(const flow::Call& call) {
        if (disk.stopped()) return;
        const auto stored = log->load(call.run);
        ASSERT_TRUE(stored.has_value()) << call.path << ": " << stored.error().message;
        bool found = !stored->snapshot.empty();
        for (const flow::Event& event : stored->events) {
            found = found || (event.kind == flow::EventKind::step_started &&
                              event.path == call.path && event.attempt == call.attempt);
        }
        EXPECT_TRUE(found) << call.path;
    }
    /// The process is gone: what was in memory with it.
    void halt() {
        tasks.clear();
        calls.held.clear();
        engine.reset();
        log.reset();
        blobs.reset();
        events.reset();
        journal.reset();
    }
    /// Power loss, or kill -9; `forget_index`: the disposable part is lost, too.
    void crash(base::sim::SimDisk::Stop stop, bool forget_index) {
        halt();
        disk.restart(stop);
        if (forget_index) {
            for (const char* end : {"", "-wal", "-shm"}) {
                std::remove((dir_->path() + "/index.db" + end).c_str());
            }
        }
        ASSERT_TRUE(boot());
    }
    /// Until nothing more happens by itself.
    void settle() {
        for (int rounds = 0; rounds < 100'000; ++rounds) {
            if (!tasks.empty()) {
                const auto task = std::move(tasks.front());
                tasks.pop_front();
                task();
                continue;
            }
            journal->flush();
            if (tasks.empty()) return;
        }
        ADD_FAILURE() << "it never comes to rest";
    }
    void pass(std::chrono::milliseconds time) {
        clock.advance(time);
        engine->tick();
        settle();
    }

    std::optional<flow::RunId> start(std::string_view workflow, json::value input,
                                     std::string key = "", std::uint32_t version = 0) {
        std::optional<flow::RunId> out;
        engine->start({.workflow = std::string(workflow),
                       .version = version,
                       .input = std::move(input),
                       .idempotency_key = std::move(key)},
                      [&](base::Result<flow::RunId> run) {
                          if (run) out = *run;
                      });
        settle();
        return out;
    }
    void end_call(std::size_t which, base::Result<flow::StepOutput> result) {
        HeldCalls::Held held = std::move(calls.held[which]);
        calls.held.erase(calls.held.begin() + static_cast<std::ptrdiff_t>(which));
        held.done(std::move(result));
    }
    /// What a call is answered with here: its request.
    void echo(std::size_t which) {
        end_call(which, flow::StepOutput{calls.held[which].call.request, 1, 0});
        settle();
    }
    const flow::RunState& state(flow::RunId run) {
        const auto found = engine->state(run);
        EXPECT_TRUE(found.has_value()) << (found ? "" : found.error().message);
        return **found;
    }

    base::sim::SimDisk disk;
    base::sim::SimClock clock;
    base::Rng rng;
    Definitions definitions;
    HeldCalls calls;
    std::deque<std::function<void()>> tasks;
    std::unique_ptr<base::journal::Journal> journal;
    std::unique_ptr<flow::JournalRunLog> events;
    std::unique_ptr<flow::FileBlobStore> blobs;
    std::unique_ptr<flow::SpillingRunLog> log;
    std::unique_ptr<flow::RunEngine> engine;

private:
    const flow::EngineOptions options_;
    const Around around_;
    std::optional<base::TemporaryDir> dir_;
};

}  // namespace flow_test
