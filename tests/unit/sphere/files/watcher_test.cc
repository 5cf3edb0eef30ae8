#include "sphere/files/watcher.h"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>

#include "workspace_fixture.h"

namespace sphere::files {
namespace {

using Kind = Change::Kind;

class WatcherTest : public WorkspaceTest {
protected:
    Watcher start(std::string_view name, WatchOptions options = {}) {
        auto watcher = Watcher::start(workspace_, name, options);
        EXPECT_TRUE(watcher.has_value()) << watcher.error().message;
        return std::move(*watcher);
    }
    static bool has(const std::vector<Change>& changes, Kind kind, const std::string& name) {
        return std::ranges::any_of(
            changes, [&](const Change& c) { return c.kind == kind && c.name == name; });
    }
};

TEST_F(WatcherTest, TellsWhatHappens) {
    put("d/old", "x");
    Watcher watcher = start("d");
    EXPECT_TRUE(watcher.poll()->empty());
    put("d/new", "x");
    ASSERT_TRUE(workspace_.rename("d/old", "d/moved"));
    ASSERT_TRUE(workspace_.remove("d/new"));
    pollfd ready{watcher.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&ready, 1, 0), 1);
    const auto changes = watcher.poll().value();
    EXPECT_TRUE(has(changes, Kind::created, "d/new"));
    EXPECT_TRUE(has(changes, Kind::modified, "d/new"));
    EXPECT_TRUE(has(changes, Kind::removed, "d/new"));
    const auto from = std::ranges::find(changes, Kind::moved_from, &Change::kind);
    const auto to = std::ranges::find(changes, Kind::moved_to, &Change::kind);
    ASSERT_TRUE(from != changes.end() && to != changes.end());
    EXPECT_EQ(from->pair, to->pair);
    ASSERT_TRUE(workspace_.remove("d", true));
    EXPECT_TRUE(has(watcher.poll().value(), Kind::gone, "d"));
}

TEST_F(WatcherTest, NewFoldersAreWatchedWithWhatIsInThem) {
    Watcher watcher = start("", {.recursive = true});
    put("a/b/c/f", "x");
    auto changes = watcher.poll().value();
    EXPECT_TRUE(has(changes, Kind::created, "a"));
    EXPECT_TRUE(has(changes, Kind::created, "a/b/c/f"));
    put("a/b/c/g", "x");
    EXPECT_TRUE(has(watcher.poll().value(), Kind::created, "a/b/c/g"));
    ASSERT_TRUE(workspace_.rename("a/b", "z"));
    changes = watcher.poll().value();
    EXPECT_TRUE(has(changes, Kind::moved_to, "z"));
    put("z/c/h", "x");
    changes = watcher.poll().value();
    EXPECT_TRUE(has(changes, Kind::created, "z/c/h")) << "under its new name";
    EXPECT_FALSE(has(changes, Kind::created, "a/b/c/h"));
}

TEST_F(WatcherTest, LimitsAreTold) {
    Watcher watcher = start("", {.recursive = true, .folders_max = 2, .changes_max = 3});
    std::filesystem::create_directory(path("a"));
    std::filesystem::create_directory(path("b"));
    std::vector<Change> all;
    while (true) {
        const auto changes = watcher.poll().value();
        EXPECT_LE(changes.size(), 3u);
        if (changes.empty()) break;
        all.insert(all.end(), changes.begin(), changes.end());
    }
    EXPECT_TRUE(has(all, Kind::unwatched, "b"));
    EXPECT_FALSE(has(all, Kind::unwatched, "a"));
}

TEST_F(WatcherTest, AFloodIsAnOverflowNotAGap) {
    std::ifstream limit("/proc/sys/fs/inotify/max_queued_events");
    int events = 0;
    limit >> events;
    if (events <= 0 || events > 100'000) GTEST_SKIP() << "the queue holds " << events;
    Watcher watcher = start("");
    for (int i = 0; i <= events; ++i) test::write_text(path(i % 2 == 0 ? "x" : "y"), "");
    bool overflow = false;
    while (true) {
        const auto changes = watcher.poll().value();
        if (changes.empty()) break;
        overflow |= has(changes, Kind::overflow, "");
    }
    EXPECT_TRUE(overflow);
}

TEST_F(WatcherTest, WhatIsOutsideOrNoFolderIsRefused) {
    put("file", "x");
    link("..", "out");
    EXPECT_EQ(Watcher::start(workspace_, "out").error().code, base::Code::permission_denied);
    EXPECT_EQ(Watcher::start(workspace_, "file").error().code, base::Code::failed_precondition);
    EXPECT_EQ(Watcher::start(workspace_, "missing").error().code, base::Code::not_found);
    EXPECT_EQ(Watcher::start(workspace_, "..").error().code, base::Code::invalid_argument);
}

}  // namespace
}  // namespace sphere::files
