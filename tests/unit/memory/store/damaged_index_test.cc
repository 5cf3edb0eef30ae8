// What a search says when the disk under an index fails: what it says otherwise.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "memory/embed/hashed_ngrams.h"
#include "memory/memory.h"
#include "support/temp_dir.h"

namespace test {
namespace {

/// Cuts every file without a name in `dir` that this process has open.
int cut_nameless_files(const std::string& dir) {
    int cut = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
        std::error_code error;
        const std::string to = std::filesystem::read_symlink(entry.path(), error);
        if (error || !to.starts_with(dir + "/") || !to.ends_with("(deleted)")) continue;
        cut += ::ftruncate(std::stoi(entry.path().filename()), 4096) == 0 ? 1 : 0;
    }
    return cut;
}

std::vector<std::string> found(memory::MemoryStore& store, const std::string& text) {
    memory::Query query;
    query.text = text;
    query.filter.scope.tenant = "t";
    const auto answer = store.search(query);
    EXPECT_TRUE(answer) << (answer ? "" : answer.error().message);
    std::vector<std::string> ids;
    if (answer) {
        for (const memory::Hit& hit : answer->hits) ids.push_back(hit.entry.id);
    }
    return ids;
}

TEST(DamagedIndex, IsBuiltAnewAndAnswersAsBefore) {
    const TempDir folder, spill;
    const base::SystemClock clock;
    const auto store =
        *memory::MemoryStore::open({.location = folder.path(), .spill_dir = spill.path()},
                                   memory::embed::make_hashed_ngrams(), clock);
    std::vector<memory::NewEntry> entries(3000);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        entries[i].scope = {.tenant = "t", .session = fmt::format("s{}", i / 20)};
        entries[i].content = fmt::format("note {} about topic {} and word{}", i, i % 40, i % 211);
    }
    ASSERT_TRUE(store->add(entries));
    ASSERT_TRUE(store->settle());
    for (int round = 0; round < 3; ++round) {
        const std::string text = fmt::format("topic {} word{}", 7 * round, 100 + round);
        const auto before = found(*store, text);
        ASSERT_EQ(before.size(), 10u);
        ASSERT_GT(cut_nameless_files(spill.path()), 0);
        EXPECT_EQ(found(*store, text), before);
    }
    // A write to a damaged one is durable, and found.
    ASSERT_GT(cut_nameless_files(spill.path()), 0);
    memory::NewEntry entry{.scope = {.tenant = "t"}, .content = "a giraffe in the garden"};
    const auto added = store->add(entry);
    ASSERT_TRUE(added);
    EXPECT_EQ(found(*store, "giraffe").at(0), added->id);
}

TEST(DamagedIndex, WithoutRoomToSpillItIsKeptInMemory) {
    const TempDir folder;
    const base::SystemClock clock;
    const auto store =
        *memory::MemoryStore::open({.location = folder.path(), .spill_dir = folder.file("nowhere")},
                                   memory::embed::make_hashed_ngrams(), clock);
    const auto added = store->add({.scope = {.tenant = "t"}, .content = "a giraffe in the garden"});
    ASSERT_TRUE(added);
    EXPECT_EQ(found(*store, "giraffe").at(0), added->id);
    EXPECT_FALSE(std::filesystem::exists(folder.file("nowhere")));
}

}  // namespace
}  // namespace test
