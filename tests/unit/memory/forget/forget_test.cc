// What is forgotten is found nowhere, not in the bytes of any file either; what is not stays.
#include "memory/forget/forget.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "../store/store_fixture.h"
#include "base/core/rng.h"
#include "base/files/files.h"
#include "base/files/sha256.h"
#include "memory/facts/fact_store.h"
#include "memory/forget/byte_scan.h"
#include "memory/forget/subject.h"
#include "support/fault_disk.h"
#include "support/seeds.h"

namespace test {
namespace {

using memory::MemoryId;
using memory::forget::Receipt;
using memory::forget::Target;
using memory::forget::Why;

/// Every file under `dir` that has `bytes` in it.
std::vector<std::string> files_with(const std::string& dir, const std::string& bytes) {
    std::vector<std::string> found;
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir)) {
        if (!file.is_regular_file()) continue;
        const auto text = base::read_file(file.path().string());
        if (text && text->find(bytes) != std::string::npos) found.push_back(file.path().string());
    }
    return found;
}

class Forget : public MemoryTest {
protected:
    memory::MemoryId remember(memory::NewEntry entry) {
        if (entry.scope.tenant.empty()) entry.scope.tenant = "t";
        auto added = store->add(entry);
        EXPECT_TRUE(added) << added.error().message;
        return added ? added->id : "";
    }
    Receipt forget(Target target, std::string tenant = "t") {
        auto receipt = store->forgetting().forget(
            {.tenant = std::move(tenant), .target = std::move(target), .by = "tester"});
        EXPECT_TRUE(receipt) << receipt.error().message;
        return receipt.value_or(Receipt{});
    }
    Receipt finished(const Receipt& receipt, std::string tenant = "t") {
        const auto done = store->forgetting().finish();
        EXPECT_TRUE(done) << done.error().message;
        auto found = store->forgetting().receipt(tenant, receipt.id);
        EXPECT_TRUE(found) << found.error().message;
        return found.value_or(Receipt{});
    }
    memory::forget::Preview preview(Target target) {
        auto found = store->forgetting().preview({.tenant = "t", .target = std::move(target)});
        EXPECT_TRUE(found) << found.error().message;
        return found.value_or(memory::forget::Preview{});
    }
    void say(std::string subject, std::string predicate, std::string object,
             std::string source = "") {
        memory::facts::Assertion said;
        said.scope.tenant = "t";
        said.subject = std::move(subject);
        said.predicate = std::move(predicate);
        said.object = std::move(object);
        if (!source.empty()) said.sources = {{.source = std::move(source)}};
        const auto added = store->facts("t").add({&said, 1});
        EXPECT_TRUE(added) << added.error().message;
    }
    std::vector<memory::facts::Fact> facts(std::string subject = "") {
        auto found = store->facts("t").query(
            {.scope = {.tenant = "t"}, .subject = std::move(subject), .history = true});
        return found.value_or(std::vector<memory::facts::Fact>{});
    }
    bool there(const MemoryId& id, const std::string& tenant = "t") {
        return store->get(tenant, id).has_value();
    }
};

TEST_F(Forget, ByIdLeavesNoByteAndAReceipt) {
    const std::string first = "the vault code of the blue house is canary-one-7731";
    const std::string second = "the vault code was changed to canary-two-9942 yesterday";
    const MemoryId id = remember({.scope = {},
                                  .content = first,
                                  .metadata = {{"n", "canary-meta-5511"}},
                                  .idempotency_key = "canary-key-8812"});
    const MemoryId other =
        remember({.scope = {}, .content = "the garden gate squeaks in the morning wind"});
    ASSERT_TRUE(store->update("t", id, {.content = second}));
    ASSERT_TRUE(store->settle());
    ASSERT_FALSE(search("vault code").hits.empty());

    const Receipt asked = forget({.ids = {id}});
    EXPECT_EQ(asked.counts.at("memories"), 1u);
    EXPECT_EQ(asked.counts.at("idempotency_keys"), 1u);
    EXPECT_EQ(asked.kind, "ids");
    EXPECT_EQ(asked.by, "tester");
    EXPECT_EQ(asked.deadline_unix_ms, asked.requested_unix_ms + 3'600'000);
    for (const auto& hit : search("vault code").hits) EXPECT_NE(hit.entry.id, id);
    EXPECT_FALSE(there(id));
    EXPECT_FALSE(store->history("t", id));
    EXPECT_FALSE(store->restore("t", id, 1));

    const Receipt done = finished(asked);
    EXPECT_GT(done.done_unix_ms, 0);
    EXPECT_EQ(done.counts.at("versions"), 1u);
    EXPECT_EQ(done.counts.at("embeddings"), 1u);
    EXPECT_EQ(done.ids_sha256, base::sha256_hex(id + "\n"));
    EXPECT_EQ(done.scan.needles, 2u);
    EXPECT_EQ(done.scan.hits, 0u);
    EXPECT_EQ(done.scan.rows_left, 0u);
    EXPECT_GT(done.scan.bytes, 4096u);
    for (const std::string text : {"canary-one-7731", "canary-two-9942", "canary-meta-5511",
                                   "canary-key-8812", "vault code"}) {
        EXPECT_EQ(files_with(dir.path(), text), std::vector<std::string>{}) << text;
    }
    EXPECT_EQ(files_with(dir.path(), id), std::vector<std::string>{}) << "the receipt keeps no id";
    EXPECT_EQ(memory::forget::asked_hash({.ids = {id}}, done.salt), done.asked_sha256);
    EXPECT_TRUE(there(other));
    EXPECT_EQ(store->forgetting().open(), 0u);
    // Said again it is new: neither its duplicate's marks nor its key are known.
    const auto again = store->add(memory::NewEntry{
        .scope = {.tenant = "t"}, .content = second, .idempotency_key = "canary-key-8812"});
    ASSERT_TRUE(again);
    EXPECT_EQ(again->how, memory::Added::How::added);
    EXPECT_NE(again->id, id);
}

TEST_F(Forget, AScopeGoesWithFactsAndCheckpointsAndWhatWasMadeFromIt) {
    const MemoryId of_ann =
        remember({.scope = {.user = "ann"}, .content = "a note that belongs to the user alone"});
    const MemoryId of_bob = remember({.scope = {.user = "bob"}, .content = "bob keeps bees here"});
    const MemoryId summary = remember({.scope = {},
                                       .content = "somebody wrote a note that belongs to her",
                                       .sources = {{.source = of_ann}}});
    const MemoryId of_that = remember({.scope = {},
                                       .content = "a summary of the summary of many notes",
                                       .sources = {{.source = summary}}});
    say("The project", "has_code", "kestrel", of_ann);
    say("The garden", "has_code", "heron", of_bob);
    memory::tasks::Checkpoint step{.task = "hers", .state = "canary-state-1100"};
    ASSERT_TRUE(store->save_checkpoint({.tenant = "t", .user = "ann"}, step));
    step.task = "his";
    ASSERT_TRUE(store->save_checkpoint({.tenant = "t", .user = "bob"}, step));

    const Receipt done = finished(forget({.scope = {.user = "ann"}}));
    EXPECT_EQ(done.counts.at("memories"), 3u);
    EXPECT_EQ(done.counts.at("facts"), 1u);
    EXPECT_EQ(done.counts.at("checkpoints"), 1u);
    EXPECT_FALSE(there(of_ann) || there(summary) || there(of_that));
    EXPECT_TRUE(there(of_bob));
    ASSERT_EQ(facts().size(), 1u);
    EXPECT_EQ(facts()[0].said.object, "heron");
    EXPECT_FALSE(store->resume_task("t", "hers"));
    EXPECT_TRUE(store->resume_task("t", "his"));
}

TEST_F(Forget, ASubjectIsEveryNameItHasAndWhatNamesIt) {
    const MemoryId spoken =
        remember({.scope = {}, .content = "I moved to Lisbon last spring", .speaker = "Annie"});
    const MemoryId named = remember({.scope = {}, .content = "Yesterday ANN SMITH's dog ran away"});
    const MemoryId in_metadata =
        remember({.scope = {}, .content = "a call", .metadata = {{"who", {"bob", "Ann Smith"}}}});
    const MemoryId own = remember({.scope = {.user = "ann smith"}, .content = "likes green tea"});
    const MemoryId once = remember({.scope = {}, .content = "Annie was here"});
    ASSERT_TRUE(store->update("t", once, {.content = "somebody was here"}));
    const MemoryId drawn = remember({.scope = {}, .content = "She plays the cello in a quartet"});
    const MemoryId annual = remember({.scope = {}, .content = "The annual meeting is on Monday"});
    const MemoryId bob = remember({.scope = {}, .content = "Bob sails", .speaker = "Bob"});
    say("Ann Smith", "plays", "cello", drawn);
    say("Bob", "knows", "Annie");
    say("Bob", "lives_in", "Oslo");
    ASSERT_TRUE(store->facts("t").add_alias("t", "Annie", "Ann Smith"));

    const auto before = preview({.subject = "ann"});
    EXPECT_EQ(before.names, (std::vector<std::string>{"ann", "ann smith", "annie"}));
    std::map<MemoryId, Why> why;
    for (const auto& item : before.memories) why[item.id] = item.why;
    EXPECT_EQ(why, (std::map<MemoryId, Why>{{spoken, Why::speaker},
                                            {named, Why::mentions},
                                            {in_metadata, Why::mentions},
                                            {own, Why::user},
                                            {once, Why::mentions},
                                            {drawn, Why::fact_source}}));
    EXPECT_EQ(before.facts.size(), 2u);
    EXPECT_TRUE(there(spoken)) << "a preview changes nothing";

    const Receipt done = finished(forget({.subject = "ANN"}));
    EXPECT_EQ(done.ids_sha256, before.ids_sha256);
    EXPECT_EQ(done.counts.at("aliases"), 1u);
    EXPECT_TRUE(there(annual) && there(bob));
    ASSERT_EQ(facts().size(), 1u);
    EXPECT_EQ(facts()[0].said.object, "Oslo");
    for (const std::string text :
         {"Annie", "annie", "Ann Smith", "ANN SMITH", "ann smith", "cello"})
        EXPECT_EQ(files_with(dir.path(), text), std::vector<std::string>{}) << text;
}

TEST_F(Forget, AnotherTenantKeepsItsOwn) {
    const std::string same = "both of us know that the bridge is closed on Sundays";
    const MemoryId mine = remember({.scope = {}, .content = same});
    const MemoryId theirs = remember({.scope = {.tenant = "u"}, .content = same});
    EXPECT_FALSE(store->forgetting().forget({.tenant = "t", .target = {.ids = {theirs}}}));
    const Receipt receipt = forget({.ids = {mine}});
    EXPECT_FALSE(store->forgetting().receipt("u", receipt.id));
    EXPECT_TRUE(there(theirs, "u"));
    EXPECT_TRUE(finished(receipt).scan.clean());
}

TEST_F(Forget, WhatAnotherMemorySaysTooIsToldApart) {
    const std::string same = "the same long sentence is kept by two different users here";
    const MemoryId mine = remember({.scope = {.user = "a"}, .content = same});
    remember({.scope = {.user = "b"}, .content = same});
    const Receipt done = finished(forget({.ids = {mine}}));
    EXPECT_EQ(done.scan.hits, 0u);
    EXPECT_EQ(done.scan.shared, 1u);
}

TEST_F(Forget, ATargetIsOneThing) {
    const MemoryId id = remember({.scope = {}, .content = "something"});
    const auto code = [&](Target target) {
        auto refused = store->forgetting().forget({.tenant = "t", .target = std::move(target)});
        return refused ? base::Code::internal : refused.error().code;
    };
    EXPECT_EQ(code({}), base::Code::invalid_argument);
    EXPECT_EQ(code({.ids = {id}, .subject = "x"}), base::Code::invalid_argument);
    EXPECT_EQ(code({.subject = " . "}), base::Code::invalid_argument);
    EXPECT_EQ(code({.ids = {id, "mem-00000000000000000000000000"}}), base::Code::not_found);
    EXPECT_TRUE(there(id));
    EXPECT_EQ(finished(forget({.subject = "Nobody At All"})).counts.at("memories"), 0u);
}

TEST_F(Forget, RemovedAndMergedOnesGoToo) {
    const MemoryId removed =
        remember({.scope = {.user = "ann"}, .content = "canary-removed-4411 x"});
    ASSERT_TRUE(store->remove("t", removed));
    const MemoryId merged =
        remember({.scope = {.user = "ann"}, .content = "canary-merged-4412 is here"});
    EXPECT_EQ(remember({.scope = {.user = "ann"}, .content = "canary-merged-4412 is here"}),
              merged);
    const Receipt done = finished(forget({.scope = {.user = "ann"}}));
    EXPECT_EQ(done.counts.at("memories"), 2u);
    EXPECT_EQ(files_with(dir.path(), "canary-"), std::vector<std::string>{});
}

/// Adds, forgets a user, and says so on `out`; then goes on until it is killed.
[[noreturn]] void forget_and_wait(const std::string& folder, int out) {
    base::SystemClock clock;
    auto store = memory::MemoryStore::open({.location = folder, .shards = 1},
                                           std::make_shared<LetterEmbedder>(), clock);
    if (!store) ::_exit(3);
    std::vector<memory::NewEntry> batch;
    for (int i = 0; i < 400; ++i) {
        batch.push_back({.scope = {.tenant = "t", .user = i % 2 == 0 ? "ann" : "bob"},
                         .content = fmt::format(
                             "this text is long enough: canary {:03} of {} and then it goes on", i,
                             i % 2 == 0 ? "ann" : "bob")});
    }
    if (!(*store)->add(batch) || !(*store)->settle()) ::_exit(4);
    memory::forget::Request request{.tenant = "t", .target = {.scope = {.user = "ann"}}};
    const auto receipt = (*store)->forgetting().forget(request);
    if (!receipt) ::_exit(5);
    const std::string line = receipt->id + "\n";
    if (::write(out, line.data(), line.size()) < 0) ::_exit(6);
    static_cast<void>((*store)->forgetting().finish());
    if (::write(out, "done\n", 5) < 0) ::_exit(6);
    for (;;) ::pause();
}

TEST(ForgetCrash, AKilledOneIsFinishedByTheNext) {
    base::Rng rng(5);
    int midway = 0;
    for (int kill = 0; kill < 12; ++kill) {
        TempDir dir;
        const std::string folder = dir.file("m");
        int pipe_ends[2];
        ASSERT_EQ(::pipe(pipe_ends), 0);
        const pid_t child = ::fork();
        if (child == 0) {
            ::close(pipe_ends[0]);
            forget_and_wait(folder, pipe_ends[1]);
        }
        ::close(pipe_ends[1]);
        std::string id;
        char c = 0;
        while (::read(pipe_ends[0], &c, 1) == 1 && c != '\n') id += c;
        // Some work of chance length on this side, while the other erases.
        std::uint64_t sum = rng.below(400'000);
        for (std::uint64_t i = 0, n = sum; i < n; ++i) sum += i * sum;
        ASSERT_EQ(::kill(child, SIGKILL), 0) << sum;
        int status = 0;
        ASSERT_EQ(::waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status)) << status;
        ::close(pipe_ends[0]);

        base::SystemClock clock;
        auto store = memory::MemoryStore::open({.location = folder, .shards = 1},
                                               std::make_shared<LetterEmbedder>(), clock);
        ASSERT_TRUE(store) << store.error().message;
        midway += (*store)->forgetting().open() > 0;
        const auto done = (*store)->forgetting().finish();
        ASSERT_TRUE(done) << done.error().message;
        const auto receipt = (*store)->forgetting().receipt("t", id);
        ASSERT_TRUE(receipt) << receipt.error().message;
        EXPECT_GT(receipt->done_unix_ms, 0);
        EXPECT_EQ(receipt->counts.at("memories"), 200u);
        EXPECT_EQ(receipt->counts.at("embeddings"), 200u);
        EXPECT_TRUE(receipt->scan.clean());
        EXPECT_EQ(receipt->scan.needles, 200u);
        EXPECT_EQ((*store)->stats().entries, 200u);
        EXPECT_EQ(files_with(dir.path(), "of ann and"), std::vector<std::string>{});
        EXPECT_NE(files_with(dir.path(), "of bob and"), std::vector<std::string>{});
    }
    EXPECT_GT(midway, 0) << "every kill came too late to test anything";
}

TEST(ForgetFaults, AFullDiskIsToldAndTriedAgain) {
    TempDir dir;
    FaultDisk disk(3);
    ManualClock clock;
    auto store =
        memory::MemoryStore::open({.location = dir.file("m"), .shards = 1}, nullptr, clock);
    ASSERT_TRUE(store) << store.error().message;
    std::vector<memory::NewEntry> batch;
    for (int i = 0; i < 4'000; ++i) {
        batch.push_back({.scope = {.tenant = "t", .user = i < 20 ? "ann" : "bob"},
                         .content = fmt::format("{} {}", i, std::string(900, 'x'))});
    }
    ASSERT_TRUE((*store)->add(batch));
    memory::forget::Request request{.tenant = "t", .target = {.scope = {.user = "ann"}}};
    // Room for hiding and erasing, not for a second copy of the file.
    disk.limit(disk.used_bytes() + 2'000'000);
    const auto receipt = (*store)->forgetting().forget(request);
    ASSERT_TRUE(receipt) << receipt.error().message;
    const auto full = (*store)->forgetting().finish();
    ASSERT_FALSE(full);
    EXPECT_EQ((*store)->forgetting().open(), 1u);
    EXPECT_EQ((*store)->stats().entries, 3'980u);
    disk.limit(0);
    const auto done = (*store)->forgetting().finish();
    ASSERT_TRUE(done) << done.error().message;
    EXPECT_GT((*store)->forgetting().receipt("t", receipt->id)->done_unix_ms, 0);
}

TEST(ByteScan, FindsWhatAPlainSearchFinds) {
    for_each_seed(200, [](base::Rng& rng) {
        std::string bytes;
        for (std::uint64_t n = rng.below(3'000); bytes.size() < n;)
            bytes += static_cast<char>('a' + rng.below(3));
        // Stretches of zeros are passed over; what stands beside them is not.
        for (int i = 0; i < 3; ++i) {
            bytes.insert(rng.below(bytes.size() + 1), std::string(rng.below(4'000), '\0'));
        }
        std::vector<std::string> texts;
        std::vector<memory::forget::Needle> needles;
        for (int i = 0; i < 20; ++i) {
            std::string text;
            if (bytes.size() > 100 && rng.below(2) == 0) {
                text = bytes.substr(rng.below(bytes.size() - 60), 24 + rng.below(30));
            } else {
                while (text.size() < 24 + rng.below(30))
                    text += static_cast<char>('a' + rng.below(3));
            }
            const auto needle = memory::forget::needle_of(text);
            ASSERT_EQ(needle.has_value(), text.size() >= memory::forget::kNeedleBytes);
            if (!needle || text.find('\0') != std::string::npos) continue;
            texts.push_back(text);
            needles.push_back(*needle);
        }
        std::set<memory::forget::Needle> expected, found;
        for (std::size_t i = 0; i < texts.size(); ++i) {
            const std::string piece = texts[i].substr(
                (texts[i].size() - memory::forget::kNeedleBytes) / 2, memory::forget::kNeedleBytes);
            if (bytes.find(piece) != std::string::npos) expected.insert(needles[i]);
        }
        memory::forget::NeedleSet(needles).each_hit(bytes, [&](memory::forget::Needle needle) {
            found.insert(needle);
            return true;
        });
        EXPECT_EQ(found, expected);
    });
}

TEST(ByteScan, AFileIsReadAcrossItsPieces) {
    TempDir dir;
    const std::string path = dir.file("f"), needle = "exactly-24-bytes-long-ok";
    ASSERT_EQ(needle.size(), memory::forget::kNeedleBytes);
    std::string bytes(3u << 20, '.');
    bytes.replace((1u << 20) - 10, needle.size(), needle);
    std::ofstream(path) << bytes;
    const memory::forget::NeedleSet needles({*memory::forget::needle_of(needle)});
    const auto found = memory::forget::scan_file(path, needles);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->bytes, bytes.size());
    EXPECT_EQ(found->hits.size(), 1u);
    EXPECT_EQ(memory::forget::scan_file(dir.file("none"), needles)->bytes, 0u);
}

TEST(ForgetSubject, NamesAreWholeWords) {
    const memory::forget::Subject ann("Ann", {}, {});
    for (const char* text : {"Ann", "ann's dog", "(ANN)", "with Ann.", "Dr. Ann\nsaid", "a-ann-b",
                             "\xC3\xA9 Ann", "\xE6\x88\x91 ann \xE5\xA5\xBD"})
        EXPECT_TRUE(ann.named_in(text)) << text;
    for (const char* text : {"", "Annie", "annual", "Joann", "Ann_e", "an n",
                             "\xC3\xA9"
                             "ann"})
        EXPECT_FALSE(ann.named_in(text)) << text;
    const memory::forget::Subject li("\xE6\x9D\x8E\xE9\x9B\xB7", {}, {});
    EXPECT_TRUE(li.named_in("\xE4\xBB\x8A\xE5\xA4\xA9\xE6\x9D\x8E\xE9\x9B\xB7\xE6\x9D\xA5"));
    EXPECT_FALSE(li.named_in("\xE4\xBB\x8A\xE5\xA4\xA9\xE6\x9D\x8E\xE6\x9D\xA5"));
    const memory::forget::Subject both("Ann Lee", {}, {{"annie", "ann lee"}});
    EXPECT_TRUE(both.named_in("ann   lee went") && both.named_in("Annie went"));
    EXPECT_FALSE(both.named_in("lee went"));
}

}  // namespace
}  // namespace test
