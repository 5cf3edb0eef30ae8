#include "flow/blobs/spilling_run_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/sim/sim_disk.h"
#include "flow/blobs/bounded_steps.h"
#include "flow/blobs/file_blob_store.h"

namespace {

using base::Code;
using base::sim::SimDisk;
using flow::Event;
using flow::EventKind;
using flow::RunId;
namespace json = base::json;

json::value x(std::size_t size, char letter = 'x') {
    return json::value(std::string(size, letter));
}

/// What was appended, as it stands in the log below.
class PlainLog final : public flow::RunLog {
public:
    void append(std::span<const flow::RunChange> changes, Done done) override {
        if (refuses) return done(base::fail(Code::unavailable, "no"));
        for (const flow::RunChange& change : changes) {
            auto& all = runs[change.head.id];
            all.insert(all.end(), change.events.begin(), change.events.end());
            if (!change.snapshot.empty()) snapshots[change.head.id] = change.snapshot;
        }
        if (holds) return held.push_back(std::move(done));
        done({});
    }
    void flush() override {}
    base::Result<flow::StoredRun> load(RunId id) override {
        return flow::StoredRun{{}, snapshots[id], runs[id]};
    }
    base::Result<std::vector<Event>> history(RunId id, std::uint64_t skip,
                                             std::uint32_t limit) override {
        const std::vector<Event>& all = runs[id];
        const auto from = all.begin() + static_cast<std::ptrdiff_t>(std::min(skip, all.size()));
        const auto left = static_cast<std::uint64_t>(all.end() - from);
        return std::vector<Event>(
            from, from + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(left, limit)));
    }
    base::Result<flow::RunHead> load_head(RunId id) override {
        if (!runs.contains(id)) return base::fail(Code::not_found, "no");
        return flow::RunHead{};
    }
    base::Result<std::optional<RunId>> by_key(std::string_view, std::string_view) override {
        return std::optional<RunId>();
    }
    base::Result<void> open_runs(const std::function<void(const flow::RunHead&)>&) override {
        return {};
    }
    base::Result<std::vector<flow::RunHead>> list(const flow::RunFilter&) override {
        return std::vector<flow::RunHead>();
    }
    std::map<RunId, std::vector<Event>> runs;
    std::map<RunId, std::string> snapshots;
    std::vector<Done> held;  ///< of appends while it `holds`
    bool refuses = false, holds = false;
};

class Spilling : public testing::Test {
protected:
    Spilling() : blobs(*flow::FileBlobStore::open(disk, "blobs")) {}
    base::Result<void> append(flow::SpillingRunLog& log, std::uint64_t first,
                              std::vector<Event> events, std::string snapshot = "") {
        flow::RunChange change;
        change.head.id = run;
        change.first = first;
        change.events = std::move(events);
        change.snapshot = std::move(snapshot);
        base::Result<void> out;
        log.append({&change, 1}, [&](base::Result<void> done) { out = std::move(done); });
        return out;
    }
    std::size_t files() { return disk.list("blobs")->size(); }

    SimDisk disk{1};
    PlainLog below;
    std::unique_ptr<flow::FileBlobStore> blobs;
    const RunId run{7, 9};
};

Event finished(json::value value) {
    return {.kind = EventKind::step_finished, .path = "a", .value = std::move(value)};
}

TEST_F(Spilling, LargeValuesAreFilesAndReadersSeeThem) {
    flow::SpillingRunLog log(below, *blobs, {.value_bytes = 100, .group_bytes = 1u << 20});
    const std::string large(300, 'x');
    const std::vector<Event> events = {
        {.kind = EventKind::run_started, .value = {{"input", {{"text", large}}}, {"tenant", "t"}}},
        finished(x(20)),
        finished({{"again", large}}),
        finished({{"$blob", "mine"}})};
    ASSERT_TRUE(append(log, 0, events, "{\"id\":\"" + large + "\"}").has_value());
    EXPECT_EQ(files(), 4u) << "input, output, what looks like a reference, the snapshot";
    EXPECT_EQ(below.runs[run][1], events[1]);
    EXPECT_EQ(below.runs[run][0].value.at("tenant"), "t");
    EXPECT_LT(json::serialize(below.runs[run][0].value).size(), 200u);
    EXPECT_EQ(*log.history(run, 0, 100), events);
    const auto stored = log.load(run);
    ASSERT_TRUE(stored.has_value());
    EXPECT_EQ(stored->events, events);
    EXPECT_EQ(stored->snapshot, "{\"id\":\"" + large + "\"}");
}

TEST_F(Spilling, ManyMiddlingValuesDoNotOutgrowARecord) {
    flow::SpillingRunLog log(below, *blobs, {.value_bytes = 10'000, .group_bytes = 100'000});
    std::vector<Event> events;
    for (int i = 0; i < 50; ++i)
        events.push_back(finished(x(9'000, static_cast<char>('a' + i % 26))));
    ASSERT_TRUE(append(log, 0, events).has_value());
    std::string bytes;
    for (const Event& event : below.runs[run]) encode(event, bytes);
    EXPECT_LT(bytes.size(), 100'000u);
    EXPECT_EQ(files(), 26u) << "the same value is kept once";
    EXPECT_EQ(*log.history(run, 0, 100), events);
}

TEST_F(Spilling, AFullDiskFailsTheWriteAndThoseBehindItUntilTheRunIsDecidedAnew) {
    flow::SpillingRunLog log(below, *blobs, {.value_bytes = 100});
    ASSERT_TRUE(append(log, 0, {finished(x(1))}).has_value());
    disk.set_faults({.write = 1});
    EXPECT_FALSE(append(log, 1, {finished(x(300))}).has_value());
    disk.set_faults({});
    EXPECT_FALSE(append(log, 2, {finished(x(1))}).has_value())
        << "it follows from what is not there";
    EXPECT_EQ(below.runs[run].size(), 1u);
    EXPECT_TRUE(append(log, 1, {finished(x(1))}).has_value());
    EXPECT_TRUE(append(log, 2, {finished(x(1))}).has_value());
}

TEST_F(Spilling, ASnapshotTakesTheOneBeforeItAwayAlsoAfterARestart) {
    const auto state = [](char letter) {
        return json::serialize(json::object{{"id", x(300, letter)}});
    };
    auto log = std::make_unique<flow::SpillingRunLog>(below, *blobs,
                                                      flow::SpillOptions{.value_bytes = 100});
    for (int i = 0; i < 5; ++i) {
        const auto place = static_cast<std::uint64_t>(i);
        ASSERT_TRUE(append(*log, place, {finished(x(1))}, state(static_cast<char>('a' + i))));
        EXPECT_EQ(files(), 1u) << "one for the state, however long the run is";
    }
    EXPECT_EQ(log->load(run)->snapshot, state('e'));
    log = std::make_unique<flow::SpillingRunLog>(below, *blobs,
                                                 flow::SpillOptions{.value_bytes = 100});
    ASSERT_TRUE(log->load(run));  // as who goes on with it does
    ASSERT_TRUE(append(*log, 5, {finished(x(1))}, state('f')));
    EXPECT_EQ(files(), 1u);
    EXPECT_EQ(log->load(run)->snapshot, state('f'));
    ASSERT_TRUE(append(*log, 6, {finished(x(1))}, "{}"));
    EXPECT_EQ(files(), 0u) << "a small one stands in the log";
}

TEST_F(Spilling, ASnapshotThatWasNotWrittenTakesNothingAway) {
    flow::SpillingRunLog log(below, *blobs, {.value_bytes = 100});
    const std::string first = json::serialize(json::object{{"id", x(300, 'a')}});
    ASSERT_TRUE(append(log, 0, {finished(x(1))}, first));
    below.refuses = true;
    EXPECT_FALSE(append(log, 1, {finished(x(1))}, json::serialize(json::object{{"id", x(300)}})));
    below.refuses = false;
    EXPECT_EQ(log.load(run)->snapshot, first);
}

TEST_F(Spilling, ACommitThatIsDoneWhenTheLogIsGoneIsToldAndTouchesNothing) {
    auto log = std::make_unique<flow::SpillingRunLog>(below, *blobs,
                                                      flow::SpillOptions{.value_bytes = 100});
    const auto state = [](char letter) {
        return json::serialize(json::object{{"id", x(300, letter)}});
    };
    ASSERT_TRUE(append(*log, 0, {finished(x(1))}, state('a')));
    below.holds = true;
    flow::RunChange change;
    change.head.id = run;
    change.first = 1;
    change.events = {finished(x(1))};
    change.snapshot = state('b');
    bool told = false;
    log->append({&change, 1}, [&](const base::Result<void>& done) { told = done.has_value(); });
    log.reset();
    below.held.at(0)({});
    EXPECT_TRUE(told);
    EXPECT_EQ(files(), 2u) << "the one before stays until its run goes";
}

TEST_F(Spilling, AStepThatGivesWhatLooksLikeItsRunsStateKeepsIt) {
    flow::SpillingRunLog log(below, *blobs, {.value_bytes = 100});
    const json::value same = json::object{{"id", x(300)}};
    ASSERT_TRUE(append(log, 0, {finished(same)}, json::serialize(same)));
    ASSERT_TRUE(append(log, 1, {finished(x(1))}, "{}"));  // takes the snapshot away
    EXPECT_EQ(log.history(run, 0, 1)->at(0).value, same);
}

TEST_F(Spilling, LargeValuesAreNamedAndGotOneByOne) {
    flow::SpillingRunLog log(below, *blobs, {.value_bytes = 100});
    const std::vector<Event> events = {
        {.kind = EventKind::run_started, .value = {{"input", x(300, 'i')}, {"tenant", "t"}}},
        finished(x(20)),
        finished(x(300, 'o'))};
    ASSERT_TRUE(append(log, 0, events, json::serialize(json::object{{"id", x(300, 's')}})));
    const auto linked = log.linked_history(run, 0, 100);
    ASSERT_EQ(linked->size(), 3u);
    EXPECT_EQ(linked->at(1), events[1]);
    const json::value& output = linked->at(2).value;
    EXPECT_EQ(output.at("bytes").to_number<int>(), 302);
    const std::string hash(output.at("$blob").as_string());
    EXPECT_EQ(*log.blob(run, hash), json::serialize(x(300, 'o')));
    EXPECT_EQ(log.blob({7, 10}, hash).error().code, Code::not_found) << "another run's";
    EXPECT_EQ(log.blob(run, std::string(64, '0')).error().code, Code::not_found);
    EXPECT_EQ(log.blob(run, "../x").error().code, Code::not_found);
    std::set<std::string> named;
    ASSERT_TRUE(log.blobs_of(run, [&](std::string_view each) { named.emplace(each); }));
    EXPECT_EQ(named.size(), 3u) << "input, output, the state";
    EXPECT_TRUE(named.contains(hash));
    const std::vector<std::string> left = *disk.list("blobs");
    for (const std::string& name : left) {
        EXPECT_TRUE(named.contains(name.substr(name.find('.') + 1))) << name;
    }
}

TEST_F(Spilling, WhatACrashLeftBetweenBlobAndCommitIsCollected) {
    flow::SpillingRunLog log(below, *blobs, {.value_bytes = 100});
    ASSERT_TRUE(append(log, 0, {finished(x(300))}).has_value());
    ASSERT_TRUE(blobs->put({1, 1}, "of a start that was never durable").has_value());
    disk.restart(SimDisk::Stop::power);
    blobs = *flow::FileBlobStore::open(disk, "blobs");
    flow::SpillingRunLog again(below, *blobs, {.value_bytes = 100});
    EXPECT_EQ(*again.collect(), 1u);
    EXPECT_EQ(again.history(run, 0, 10)->at(0), finished(x(300)));
}

TEST_F(Spilling, ABlobIsThereWholeAfterAnyCrashOnceItWasPut) {
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        SCOPED_TRACE(seed);
        SimDisk faulty(seed);
        auto store = *flow::FileBlobStore::open(faulty, "blobs");
        faulty.stop_after(seed % 23 + 1);
        std::vector<std::pair<std::string, std::string>> kept;
        for (int i = 0; i < 20 && !faulty.stopped(); ++i) {
            const std::string bytes(static_cast<std::size_t>(1'000 + i),
                                    static_cast<char>('a' + i));
            if (const auto hash = store->put(run, bytes)) kept.emplace_back(*hash, bytes);
        }
        store.reset();
        faulty.restart(seed % 2 == 0 ? SimDisk::Stop::power : SimDisk::Stop::process);
        store = *flow::FileBlobStore::open(faulty, "blobs");
        for (const auto& [hash, bytes] : kept)
            EXPECT_EQ(store->get(run, hash).value_or("gone"), bytes);
        ASSERT_TRUE(store->collect([](RunId) { return base::Result<bool>(true); }).has_value());
        const auto left = faulty.list("blobs");
        ASSERT_TRUE(left.has_value());
        for (const std::string& name : *left) {
            EXPECT_FALSE(name.ends_with(".part")) << name;
        }
    }
}

TEST_F(Spilling, ADamagedBlobIsTold) {
    const std::string hash = *blobs->put(run, "whole");
    auto file = disk.open("blobs/" + disk.list("blobs")->front(), base::Disk::Mode::existing);
    ASSERT_TRUE((*file)->write_durably(0, "X").has_value());
    EXPECT_EQ(blobs->get(run, hash).error().code, Code::data_loss);
    EXPECT_EQ(blobs->get(run, "../../etc/passwd").error().code, Code::not_found);
    EXPECT_EQ(blobs->get(run, std::string(64, '0')).error().code, Code::not_found);
}

class Gives final : public flow::StepRunner {
public:
    void run(flow::Call, Done done) override { done(flow::StepOutput{value, 0, 0}); }
    void cancel(RunId, std::string_view) override {}
    json::value value;
};

TEST_F(Spilling, AnOutputOverTheBoundFailsItsStepAndALargeOneIsPutAhead) {
    Gives steps;
    flow::BoundedSteps bounded(steps, *blobs, {.value_bytes = 100}, 1'000);
    base::Result<flow::StepOutput> result;
    const auto ask = [&](std::size_t size) {
        steps.value = x(size);
        flow::Call call;
        call.run = run;
        bounded.run(std::move(call), [&](auto given) { result = std::move(given); });
    };
    ask(50);
    EXPECT_EQ(files(), 0u);
    ask(500);
    EXPECT_TRUE(result.has_value());
    EXPECT_EQ(files(), 1u);
    ask(5'000);
    EXPECT_EQ(result.error().code, Code::payload_too_large);
}

}  // namespace
