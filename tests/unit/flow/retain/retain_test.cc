// Finished runs leave the log on a disk that tears, refuses and dies: each is then in the log, or
// in the archive, or in both.

#include <gtest/gtest.h>

#include <set>

#include "flow/retain/retention.h"
#include "flow/run/replay.h"
#include "unit/flow/engine/random_workflow.h"

namespace {

using base::sim::SimDisk;
using flow::ArchiveFilter;
using flow::Purged;
using flow::PurgeRequest;
using flow::RunArchive;
using flow_test::run_out;
using flow_test::World;
namespace json = base::json;
using std::chrono::milliseconds;

constexpr std::string_view kOne =
    "name: one\nsteps: [{id: a, call: {function: f, arguments: {text: \"{{ input.text }}\"}}}]";

/// A world whose finished runs go; its archive lies on the same disk.
class Leaving {
public:
    explicit Leaving(std::uint64_t seed) : world(seed) { open(); }
    bool open() {
        auto opened = RunArchive::open(world.disk, "archive");
        if (!opened) return false;
        archive = *std::move(opened);
        return true;
    }
    /// The process dies and comes again.
    void crash(SimDisk::Stop stop, bool forget_index) {
        archive.reset();
        world.crash(stop, forget_index);
        ASSERT_TRUE(open());
        world.settle();
    }
    base::Result<Purged> purge(std::int64_t older_ms, bool archived = true) {
        PurgeRequest request;
        request.any_tenant = true;
        request.batch = 3;
        const std::int64_t now_ms = world.clock.unix_ns() / 1'000'000;
        request.finished_before_ms = now_ms - older_ms;
        const flow::RetentionParts parts{
            *world.log, *world.events, world.definitions, archived ? archive.get() : nullptr,
            [this](std::span<const flow::RunHead> heads) { return remove(heads); }};
        Purged out;
        flow::RunId after;
        for (bool more = true; more;) {
            out += DG_TRY(flow::purge_batch(parts, request, now_ms, after, more));
        }
        DG_TRY(world.blobs->drop({out.runs.begin(), out.runs.end()}));
        DG_TRY(world.events->reclaim());
        return out;
    }
    std::set<flow::RunId> archived_runs() {
        std::set<flow::RunId> out;
        const auto list = archive->list({.limit = 10'000});
        EXPECT_TRUE(list.has_value());
        for (const json::object& head : *list) {
            const auto id = flow::run_id_from(std::string_view(head.at("id").as_string()));
            EXPECT_TRUE(out.insert(*id).second) << "twice";
        }
        return out;
    }

    World world;
    std::unique_ptr<RunArchive> archive;
    std::function<void()> before_remove;  ///< what happens between archive and removal

private:
    base::Result<void> remove(std::span<const flow::RunHead> heads) {
        if (before_remove) before_remove();
        std::optional<base::Result<void>> removed;
        world.events->remove(heads, [&](base::Result<void> done) { removed = std::move(done); });
        world.settle();
        return removed.value_or(base::fail(base::Code::internal, "no answer"));
    }
};

TEST(Retention, WhatIsPastItsTimeIsArchivedAndGone) {
    Leaving leaving(1);
    World& world = leaving.world;
    world.definitions.add(kOne);
    const std::string large(100, 'x');
    const auto old = world.start("one", {{"text", large}});
    world.echo(0);
    world.pass(milliseconds(3'600'000));
    const auto young = world.start("one", {{"text", large}});
    world.echo(0);
    const auto open = world.start("one", {{"text", large}});
    const auto line = flow::export_line(*world.log, world.definitions, *old);
    ASSERT_TRUE(line.has_value());
    const std::size_t blobs = world.disk.list("blobs")->size();
    const auto purged = leaving.purge(1'800'000);
    ASSERT_TRUE(purged.has_value()) << purged.error().message;
    EXPECT_EQ(purged->removed, 1u);
    EXPECT_EQ(purged->archived, 1u);
    for (int again = 0; again < 3; ++again) {
        EXPECT_EQ(world.log->load_head(*old).error().code, base::Code::not_found);
        EXPECT_EQ(world.log->load(*old).error().code, base::Code::not_found);
        EXPECT_TRUE(world.log->load(*young).has_value());
        EXPECT_EQ(leaving.archived_runs(), (std::set<flow::RunId>{*old}));
        EXPECT_EQ(*leaving.archive->read("", *old), *line);
        EXPECT_LT(world.disk.list("blobs")->size(), blobs) << "its large values went, too";
        leaving.crash(SimDisk::Stop::power, again == 1);
    }
    const auto parsed = base::parse_json(*line);
    const auto exported = flow::export_from_json(*parsed);
    ASSERT_TRUE(exported.has_value()) << exported.error().message;
    run_out(world, 10);
    EXPECT_EQ(world.state(*open).status, flow::RunStatus::completed);
}

TEST(Retention, WhatGoesOnAfterItWasArchivedStays) {
    Leaving leaving(1);
    World& world = leaving.world;
    world.definitions.add(kOne);
    const auto run = world.start("one", {{"text", "t"}});
    world.end_call(0, base::fail(base::Code::invalid_argument, "no"));
    world.settle();
    ASSERT_EQ(world.state(*run).status, flow::RunStatus::failed);
    world.pass(milliseconds(10'000));
    leaving.before_remove = [&] {  // retried, and over again, before it would have gone
        world.engine->give(*run, {flow::RunInput::Kind::retry, ""}, {});
        world.settle();
        world.echo(0);
    };
    const auto purged = leaving.purge(1'000);
    ASSERT_FALSE(purged.has_value());
    EXPECT_EQ(purged.error().code, base::Code::unavailable);
    EXPECT_EQ(world.state(*run).status, flow::RunStatus::completed);
    leaving.before_remove = {};
    EXPECT_EQ(leaving.purge(1'000)->removed, 0u) << "it was over just now";
    world.pass(milliseconds(10'000));
    EXPECT_EQ(leaving.purge(1'000)->removed, 1u);
    const auto line = leaving.archive->read("", *run);
    ASSERT_TRUE(line.has_value());
    EXPECT_NE(line->find("\"status\":\"completed\""), std::string::npos) << "the newest is found";
}

TEST(Retention, AChildStaysAsLongAsItsParentIsOpen) {
    Leaving leaving(1);
    World& world = leaving.world;
    world.definitions.add(flow_test::kChild);
    world.definitions.add(
        "name: parent\nsteps: [{id: s, subflow: {workflow: child, input: {n: 1}}}, {id: g, wait: "
        "{signal: go}}]");
    const auto parent = world.start("parent", json::object());
    world.echo(0);
    world.pass(milliseconds(10'000));
    auto purged = leaving.purge(1'000);
    EXPECT_EQ(purged->removed, 0u);
    EXPECT_EQ(purged->held, 1u);
    world.engine->give(*parent, {flow::RunInput::Kind::signal, "go"}, {});
    world.settle();
    world.pass(milliseconds(10'000));
    purged = leaving.purge(1'000);
    EXPECT_EQ(purged->removed, 2u);
    EXPECT_EQ(leaving.archived_runs().size(), 2u);
}

TEST(Retention, TheJournalGetsItsSpaceBack) {
    Leaving leaving(1);
    World& world = leaving.world;
    world.definitions.add(kOne);
    const std::string text(20, 'x');
    for (int i = 0; i < 4'000; ++i) {
        world.start("one", {{"text", text}});
        world.echo(0);
    }
    const std::uint64_t segments = world.journal->stats().segments;
    ASSERT_GT(segments, 2u);
    world.pass(milliseconds(10'000));
    ASSERT_TRUE(leaving.purge(1'000, false).has_value());
    EXPECT_LE(world.journal->stats().segments, 2u) << "of " << segments;
    leaving.crash(SimDisk::Stop::power, true);
    EXPECT_EQ(world.log->list({.tenant = "", .limit = 10})->size(), 0u);
    const auto next = world.start("one", {{"text", text}});
    ASSERT_TRUE(next.has_value());
    run_out(world, 10);
    EXPECT_EQ(world.state(*next).status, flow::RunStatus::completed);
}

/// Killed and refused at any write: what is not in the log is in the archive, whole and once.
TEST(Retention, NothingIsLostThatWasNotArchived) {
    int gone = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        Leaving leaving(seed);
        World& world = leaving.world;
        world.definitions.add(kOne);
        std::set<flow::RunId> all;
        for (int round = 0; round < 8; ++round) {
            for (std::uint64_t starts = world.rng.below(5); starts > 0; --starts) {
                const std::string text(world.rng.below(60), 'y');
                if (const auto run = world.start("one", {{"text", text}})) all.insert(*run);
            }
            while (!world.calls.held.empty() && world.rng.below(6) != 0) world.echo(0);
            world.pass(milliseconds(world.rng.below(20'000)));
            if (world.rng.below(3) == 0) world.disk.fail_nth(1 + world.rng.below(12));
            if (world.rng.below(2) == 0) world.disk.stop_after(1 + world.rng.below(25));
            (void)leaving.purge(5'000);
            if (world.disk.stopped() || world.rng.below(4) == 0) {
                leaving.crash(
                    world.rng.below(2) == 0 ? SimDisk::Stop::power : SimDisk::Stop::process,
                    world.rng.below(3) == 0);
                if (HasFatalFailure()) return;
            }
        }
        leaving.crash(SimDisk::Stop::power, false);
        const auto names = world.disk.list("blobs");
        for (const std::string& name : *names) {
            const auto owner = flow::run_id_from(name.substr(0, name.find('.')));
            EXPECT_TRUE(world.log->load_head(*owner).has_value()) << name << " is nobody's";
        }
        run_out(world, 50);
        const std::set<flow::RunId> archived = leaving.archived_runs();
        for (const flow::RunId run : all) {
            const auto head = world.log->load_head(run);
            if (head) {
                EXPECT_EQ(world.state(run).status, flow::RunStatus::completed);
                continue;
            }
            ++gone;
            ASSERT_TRUE(archived.contains(run)) << to_text(run);
            const auto line = leaving.archive->read("", run);
            ASSERT_TRUE(line.has_value()) << line.error().message;
            const auto exported = flow::export_from_json(*base::parse_json(*line));
            ASSERT_TRUE(exported.has_value());
            EXPECT_EQ(exported->run.as_object().at("status").as_string(), "completed");
        }
    }
    EXPECT_GT(gone, 100);
}

/// Whatever stands in a file of the archive's name, reading it ends, and what is added is found.
TEST(RunArchive, ReadsWhatIsWholeOfAnyBytes) {
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        SimDisk disk(seed);
        base::Rng rng(seed);
        auto archive = *RunArchive::open(disk, "archive");
        std::vector<flow::ArchivedRun> runs(3);
        for (std::uint64_t i = 0; i < runs.size(); ++i) {
            runs[i].head.id = {7, i + 1};
            runs[i].line = R"({"n": )" + std::to_string(i) + "}";
        }
        ASSERT_TRUE(archive->add(runs, 1'000).has_value());
        archive.reset();
        const std::string path = "archive/runs-1970-01-01-0001.jsonl.zst";
        {
            auto file = *disk.open(path, base::Disk::Mode::existing);
            const std::uint64_t size = *file->size();
            if (rng.below(2) == 0) {
                ASSERT_TRUE(file->resize(rng.below(size + 1)).has_value());
            } else {
                for (std::uint64_t i = 0; i < 1 + rng.below(4); ++i) {
                    const std::string byte(1, static_cast<char>(rng.below(256)));
                    ASSERT_TRUE(file->write(rng.below(size), byte).has_value());
                }
            }
        }
        archive = *RunArchive::open(disk, "archive");
        ASSERT_TRUE(archive->list({}).has_value());
        flow::ArchivedRun more;
        more.head.id = {9, 9};
        more.line = R"({"more": true})";
        ASSERT_TRUE(archive->add({&more, 1}, 2'000).has_value());
        const auto read = archive->read("", {9, 9});
        ASSERT_TRUE(read.has_value()) << read.error().message;
        EXPECT_EQ(*read, more.line);
    }
}

}  // namespace
