// Bounds of queues hold over all processes of one database.

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <deque>

#include "base/core/clock.h"
#include "base/sim/sim_clock.h"
#include "flow/flow.h"
#include "flow/log/postgres_places.h"
#include "flow/queue/queued_runner.h"
#include "support/database_server.h"
#include "support/seeds.h"
#include "unit/flow/engine/flow_world.h"

namespace {

using flow::SharedPlaces;
using flow_test::Definitions;
using std::chrono::milliseconds;
using std::chrono::seconds;
namespace json = base::json;

constexpr std::string_view kWork = R"(
name: work
queues: {few: {concurrency: 3}}
steps:
  - {id: s, call: {function: f}, queue: few}
)";

/// What all processes call: it counts who is there at once.
class Outside {
public:
    struct Held {
        const void* process;
        flow::StepRunner::Done done;
    };
    void enter(const void* process, flow::StepRunner::Done done) {
        const std::lock_guard lock(mutex_);
        held_.push_back({process, std::move(done)});
        most_ = std::max(most_, held_.size());
        came_.notify_all();
    }
    /// Ends the call that came first; waits for one.
    const void* end_one() {
        Held one;
        {
            std::unique_lock lock(mutex_);
            if (!came_.wait_for(lock, seconds(60), [&] { return !held_.empty(); })) return nullptr;
            one = std::move(held_.front());
            held_.pop_front();
        }
        one.done(flow::StepOutput{});
        return one.process;
    }
    void wait_for(std::size_t count) {
        std::unique_lock lock(mutex_);
        ASSERT_TRUE(came_.wait_for(lock, seconds(60), [&] { return held_.size() >= count; }));
    }
    /// A process dies: its calls end with it.
    std::size_t drop(const void* process) {
        const std::lock_guard lock(mutex_);
        return std::erase_if(held_, [&](const Held& one) { return one.process == process; });
    }
    std::size_t most() {
        const std::lock_guard lock(mutex_);
        return most_;
    }

private:
    std::mutex mutex_;
    std::condition_variable came_;
    std::deque<Held> held_;
    std::size_t most_ = 0;
};

class Process final : public flow::StepRunner {
public:
    Process(const std::string& url, Definitions& definitions, Outside& outside)
        : outside_(outside) {
        log = *flow::PostgresRunLog::open(
            {.url = url, .lease = milliseconds(1'000), .poll = milliseconds(50)});
        places = *flow::PostgresPlaces::open(*log);
        queues = std::make_unique<flow::QueuedRunner>(*this, clock_, flow::QueuedRunner::Local{},
                                                      places.get());
        runtime = *flow::Runtime::open(*log, definitions, *queues, clock_, {});
        runtime->post([this] { queues->open(); });
    }
    ~Process() override {
        runtime.reset();
        queues.reset();
        places.reset();
        log.reset();
    }
    void run(flow::Call, Done done) override { outside_.enter(this, std::move(done)); }
    void cancel(flow::RunId, std::string_view) override {}

    std::unique_ptr<flow::PostgresRunLog> log;
    std::unique_ptr<flow::PostgresPlaces> places;
    std::unique_ptr<flow::QueuedRunner> queues;
    std::unique_ptr<flow::Runtime> runtime;

private:
    base::SystemClock clock_;
    Outside& outside_;
};

class SharedQueue : public testing::Test {
protected:
    void SetUp() override {
        DG_NEED_SERVER(test::PostgresServer::instance());
        url_ = test::PostgresServer::instance().fresh_url();
        definitions_.add(kWork);
    }
    std::vector<flow::RunId> start(Process& process, int count) {
        std::vector<flow::RunId> out;
        for (int i = 0; i < count; ++i) {
            const auto run = process.runtime->start({.tenant = "t", .workflow = "work"});
            EXPECT_TRUE(run.has_value()) << (run ? "" : run.error().message);
            out.push_back(*run);
        }
        return out;
    }

    std::string url_;
    Definitions definitions_;
    Outside outside_;
};

TEST_F(SharedQueue, ItsPlacesAreOneBoundForAllAndEveryProcessHasItsTurn) {
    std::vector<std::unique_ptr<Process>> processes;
    for (int i = 0; i < 3; ++i) {
        processes.push_back(std::make_unique<Process>(url_, definitions_, outside_));
    }
    std::vector<flow::RunId> runs = start(*processes[0], 12);
    outside_.wait_for(3);
    for (int i = 1; i < 3; ++i) {
        for (const flow::RunId run : start(*processes[i], 6)) runs.push_back(run);
    }
    std::map<const void*, int> turns;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        const void* process = outside_.end_one();
        ASSERT_NE(process, nullptr) << i << ": nobody gets a place";
        ++turns[process];
    }
    EXPECT_EQ(outside_.most(), 3u);
    EXPECT_EQ(turns.size(), 3u);
    for (const flow::RunId run : runs) {
        const auto end = processes[1]->runtime->wait(run, seconds(60));
        ASSERT_TRUE(end.has_value()) << end.error().message;
    }
}

TEST_F(SharedQueue, PlacesOfADeadProcessAreTakenByTheOthers) {
    auto first = std::make_unique<Process>(url_, definitions_, outside_);
    const std::vector<flow::RunId> runs = start(*first, 5);
    outside_.wait_for(3);
    Process second(url_, definitions_, outside_);
    first->log->abandon();
    EXPECT_EQ(outside_.drop(first.get()), 3u);
    for (std::size_t i = 0; i < runs.size(); ++i) {
        ASSERT_EQ(outside_.end_one(), &second) << i;
    }
    for (const flow::RunId run : runs) {
        ASSERT_TRUE(second.runtime->wait(run, seconds(60)).has_value());
    }
    EXPECT_EQ(outside_.most(), 3u);
}

TEST_F(SharedQueue, ARateIsOneForAll) {
    base::sim::SimClock clock;
    std::vector<std::unique_ptr<flow::PostgresRunLog>> logs;
    std::vector<std::unique_ptr<flow::PostgresPlaces>> places;
    for (int i = 0; i < 2; ++i) {
        logs.push_back(*flow::PostgresRunLog::open(
            {.url = url_, .lease = seconds(3'600), .clock = &clock, .threaded = false}));
        places.push_back(*flow::PostgresPlaces::open(*logs.back()));
    }
    base::Rng rng(7);
    constexpr std::uint64_t kRate = 5;
    const flow::QueueBoard::Limits limits{.starts = kRate, .window = seconds(10)};
    std::deque<std::pair<base::Instant, std::uint64_t>> begun;
    std::uint64_t all = 0;
    for (int step = 0; step < 60; ++step) {
        const std::size_t who = rng.below(2);
        const SharedPlaces::Wish wish{"t\nw\nq", 1, limits, 0, 1 + rng.below(4), 1};
        const auto grants = places[who]->share({&wish, 1});
        ASSERT_TRUE(grants.has_value()) << grants.error().message;
        const auto& grant = grants->at(0);
        if (grant.allowance.starts < wish.waiting) {
            EXPECT_GT(grant.due_in.count(), 0);
            EXPECT_LE(grant.due_in, seconds(10));
        }
        begun.emplace_back(clock.now(), grant.allowance.starts);
        all += grant.allowance.starts;
        std::uint64_t within = 0;
        for (const auto& [at, count] : begun) {
            if (at + seconds(10) > clock.now()) within += count;
        }
        EXPECT_LE(within, kRate);
        clock.advance(milliseconds(rng.below(2'500)));
    }
    EXPECT_GT(all, 4 * kRate) << "and it is used";
}

TEST_F(SharedQueue, TheNewestVersionsBoundsHoldForAll) {
    base::sim::SimClock clock;
    auto log = *flow::PostgresRunLog::open(
        {.url = url_, .lease = seconds(3'600), .clock = &clock, .threaded = false});
    auto other = *flow::PostgresRunLog::open(
        {.url = url_, .lease = seconds(3'600), .clock = &clock, .threaded = false});
    auto one = *flow::PostgresPlaces::open(*log);
    auto two = *flow::PostgresPlaces::open(*other);
    const auto places = [](flow::PostgresPlaces& who, std::uint32_t version,
                           std::uint32_t concurrency, std::uint64_t running) {
        const SharedPlaces::Wish wish{"q", version, {.concurrency = concurrency}, running, 10, 1};
        return who.share({&wish, 1})->at(0).allowance.places;
    };
    EXPECT_EQ(places(*one, 2, 4, 0), 4u);
    EXPECT_EQ(places(*two, 1, 100, 0), 0u) << "the others are taken";
    EXPECT_EQ(places(*one, 2, 4, 3), 3u) << "what it does not use of its share it gives back";
    EXPECT_EQ(places(*two, 1, 100, 0), 1u);
    EXPECT_EQ(places(*two, 3, 6, 1), 3u);
    const SharedPlaces::Wish nothing{"q", 2, {.concurrency = 4}, 0, 0, 0};
    ASSERT_TRUE(one->share({&nothing, 1}).has_value());
    EXPECT_EQ(places(*two, 3, 6, 1), 6u);
    log->leave();
    EXPECT_FALSE(one->share({&nothing, 1}).has_value()) << "it is nobody now";
}

}  // namespace
