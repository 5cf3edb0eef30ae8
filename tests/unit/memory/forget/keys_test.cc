// Memories sealed with keys of those whom they belong to: nothing of them lies in plain, all that
// is promised of plain ones holds, and who is forgotten can be read by nobody at once.
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "../store/store_fixture.h"
#include "base/core/rng.h"
#include "base/files/files.h"
#include "memory/compress/compression.h"
#include "memory/facts/fact_store.h"
#include "memory/forget/forget.h"
#include "support/seeds.h"

namespace test {
namespace {

namespace fs = std::filesystem;
using memory::Encryption;
using memory::Entry;
using memory::NewEntry;
using memory::forget::Receipt;

std::vector<std::string> files_with(const std::string& dir, const std::string& bytes) {
    std::vector<std::string> found;
    for (const auto& file : fs::recursive_directory_iterator(dir)) {
        if (!file.is_regular_file()) continue;
        const auto text = base::read_file(file.path().string());
        if (text && text->find(bytes) != std::string::npos) found.push_back(file.path().string());
    }
    return found;
}

std::vector<Entry> all_of(memory::MemoryStore& store) {
    const memory::Filter filter{.scope = {.tenant = "t"}, .labels = {}};
    auto page = store.list(filter, memory::Order::created_ascending, 1'000);
    EXPECT_TRUE(page) << page.error().message;
    return page ? std::move(page->entries) : std::vector<Entry>{};
}

class Keys : public MemoryTest {
protected:
    void SetUp() override {
        options.encryption = Encryption::subject;
        MemoryTest::SetUp();
    }
    void reopen() { open(std::make_shared<LetterEmbedder>()); }
    memory::MemoryId remember(std::string user, std::string content, std::string agent = "") {
        NewEntry entry{.scope = {.tenant = "t", .user = std::move(user), .agent = std::move(agent)},
                       .content = std::move(content)};
        entry.speaker = "Speaker" + entry.scope.user;
        entry.metadata["note"] = "marginal-" + entry.scope.user;
        auto added = store->add(entry);
        EXPECT_TRUE(added) << added.error().message;
        return added ? added->id : "";
    }
    Receipt forget(memory::Scope scope) {
        auto receipt = store->forgetting().forget({.tenant = "t", .target = {.scope = scope}});
        EXPECT_TRUE(receipt) << receipt.error().message;
        return receipt.value_or(Receipt{});
    }
    Receipt finished(const Receipt& receipt) {
        const auto done = store->forgetting().finish();
        EXPECT_TRUE(done) << done.error().message;
        return store->forgetting().receipt("t", receipt.id).value_or(Receipt{});
    }
    /// Everything from before there were keys is sealed.
    void wait_for_sealing() {
        while (store->stats().plain > 0) std::this_thread::yield();
    }
    /// Nothing is written that says what a memory says.
    void expect_nothing_plain() {
        for (const char* piece : {"platypus", "Speakerann", "marginal-ann"}) {
            EXPECT_EQ(files_with(dir.path(), piece), std::vector<std::string>{}) << piece;
        }
    }
};

TEST_F(Keys, NothingThatIsSaidLiesInPlainAndAllOfItIsFound) {
    const auto id = remember("ann", "the platypus lays eggs");
    for (const char* other : {"zzz", "qqq", "jjj"}) remember("bob", other);  // unlike it
    ASSERT_TRUE(store->update("t", id, {.content = "the platypus lays two eggs"}));
    ASSERT_TRUE(store->settle());
    expect_nothing_plain();
    ASSERT_FALSE(search("platypus eggs").hits.empty());
    reopen();
    expect_nothing_plain();
    const auto answer = search("platypus eggs");
    ASSERT_FALSE(answer.hits.empty());
    EXPECT_EQ(answer.hits[0].entry.content, "the platypus lays two eggs");
    EXPECT_EQ(answer.hits[0].entry.speaker, "Speakerann");
    EXPECT_EQ(answer.hits[0].entry.metadata.at("note").as_string(), "marginal-ann");
    EXPECT_GT(answer.hits[0].parts.vector, 0) << "its embedding is read again";
    const auto history = store->history("t", id);
    ASSERT_TRUE(history);
    ASSERT_EQ(history->size(), 2u);
    EXPECT_EQ((*history)[1].entry.content, "the platypus lays eggs");
    ASSERT_TRUE(store->restore("t", id, 1));
    EXPECT_EQ(store->get("t", id)->content, "the platypus lays eggs");
    EXPECT_EQ(store->stats().keys, 2u);
}

TEST_F(Keys, EqualMemoriesAreMergedAlsoAfterARestart) {
    NewEntry entry{.scope = {.tenant = "t", .user = "ann"}, .content = "tea is better than coffee"};
    const auto first = store->add(entry);
    ASSERT_TRUE(first);
    EXPECT_EQ(store->add(entry)->how, memory::Added::How::merged);
    reopen();
    const auto again = store->add(entry);
    EXPECT_EQ(again->how, memory::Added::How::merged);
    EXPECT_EQ(again->id, first->id);
    entry.scope.user = "bob";
    EXPECT_EQ(store->add(entry)->how, memory::Added::How::added);
}

TEST_F(Keys, ForgettingAUserErasesTheKeyFirst) {
    for (int i = 0; i < 50; ++i) remember("ann", fmt::format("platypus {} of ann", i), "a");
    remember("ann", "a platypus of no agent");
    const auto bobs = remember("bob", "platypus of bob");
    NewEntry made{.scope = {.tenant = "t", .user = "bob"}, .content = "somebody has a platypus"};
    made.sources = {{.source = all_of(*store)[0].id}};
    const auto derived = store->add(made)->id;
    ASSERT_TRUE(store->settle());
    search("platypus");

    const Receipt hidden = forget({.user = "ann"});
    EXPECT_GT(hidden.unreadable_unix_ms, 0);
    EXPECT_EQ(hidden.counts.at("keys"), 2u);
    EXPECT_EQ(hidden.counts.at("memories"), 52u);
    EXPECT_EQ(hidden.scan.needles, 2u);
    EXPECT_TRUE(hidden.scan.clean());
    const auto answer = search("platypus");
    ASSERT_EQ(answer.hits.size(), 1u);
    EXPECT_EQ(answer.hits[0].entry.id, bobs);
    EXPECT_FALSE(store->get("t", derived));
    EXPECT_EQ(all_of(*store).size(), 1u);
    // What is written after is new.
    const auto anew = remember("ann", "platypus again");
    const Receipt done = finished(hidden);
    EXPECT_GT(done.done_unix_ms, 0);
    EXPECT_TRUE(done.scan.clean());
    EXPECT_EQ(done.scan.rows_left, 0u);
    EXPECT_EQ(done.counts.at("embeddings"), 52u);
    EXPECT_EQ(store->get("t", anew)->content, "platypus again");
    EXPECT_EQ(store->stats().entries, 2u);
    reopen();
    EXPECT_EQ(all_of(*store).size(), 2u);
    EXPECT_TRUE(store->check("t")[1].sound) << store->check("t")[1].detail;
}

TEST_F(Keys, FactsAreSealedAndGoWithTheKey) {
    options.encryption = Encryption::off;
    options.location = dir.path() + "/old";
    reopen();
    std::vector<memory::facts::Assertion> said(2);
    for (std::size_t i = 0; i < said.size(); ++i) {
        said[i].scope = {.tenant = "t", .user = i == 0 ? "ann" : "bob"};
        said[i].subject = "Platypusfriend";
        said[i].predicate = "feeds";
        said[i].object = i == 0 ? "wallabies" : "wombats";
        said[i].cardinality = memory::facts::Cardinality::many;
    }
    ASSERT_TRUE(store->facts("t").add({said.data(), 1}));
    EXPECT_NE(files_with(dir.path(), "Platypusfriend"), std::vector<std::string>{});
    options.encryption = Encryption::subject;
    reopen();
    ASSERT_TRUE(store->facts("t").add({said.data() + 1, 1}));
    const auto facts = [&] { return *store->facts("t").query({.scope = {.tenant = "t"}}); };
    wait_for_sealing();
    for (const char* piece : {"Platypusfriend", "wallabies", "wombats"}) {
        EXPECT_EQ(files_with(dir.path(), piece), std::vector<std::string>{}) << piece;
    }
    ASSERT_EQ(facts().size(), 2u);
    EXPECT_EQ(facts()[0].said.subject, "Platypusfriend");
    remember("ann", "something");
    wait_for_sealing();
    const Receipt receipt = forget({.user = "ann"});
    EXPECT_EQ(receipt.counts.at("facts"), 1u);
    ASSERT_EQ(facts().size(), 1u);
    EXPECT_EQ(facts()[0].said.object, "wombats");
    reopen();
    EXPECT_EQ(facts().size(), 1u);
    finished(receipt);
}

TEST_F(Keys, AnAgentIsForgottenByItsKeysOfEveryUser) {
    remember("ann", "platypus one", "x");
    remember("bob", "platypus two", "x");
    const auto kept = remember("bob", "platypus three", "y");
    const Receipt receipt = forget({.agent = "x"});
    EXPECT_EQ(receipt.counts.at("keys"), 2u);
    ASSERT_EQ(all_of(*store).size(), 1u);
    EXPECT_EQ(all_of(*store)[0].id, kept);
    EXPECT_TRUE(finished(receipt).scan.clean());
}

/// A backup of the shards from before says nothing once the key is gone.
TEST_F(Keys, CopiesOfTheStoreFromBeforeCannotBeReadEither) {
    const auto of_ann = remember("ann", "platypus of ann");
    const auto of_bob = remember("bob", "platypus of bob");
    store.reset();
    const std::string copy = dir.path() + "/copy";
    fs::copy(options.location, copy);
    reopen();
    finished(forget({.user = "ann"}));
    store.reset();
    for (const auto& file : fs::directory_iterator(options.location)) {
        if (file.path().string().find(".keys") == std::string::npos) continue;
        fs::copy(file.path(), copy + "/" + file.path().filename().string(),
                 fs::copy_options::overwrite_existing);
    }
    options.location = copy;
    reopen();
    EXPECT_FALSE(store->get("t", of_ann));
    EXPECT_EQ(store->get("t", of_bob)->content, "platypus of bob");
    const auto answer = search("platypus");
    ASSERT_EQ(answer.hits.size(), 1u);
    EXPECT_EQ(answer.hits[0].entry.id, of_bob);
}

TEST_F(Keys, AStoreFromBeforeIsSealedInTheBackground) {
    options.encryption = Encryption::off;
    options.location = dir.path() + "/old";
    reopen();
    std::vector<memory::MemoryId> ids;
    for (int i = 0; i < 450; ++i) ids.push_back(remember("ann", fmt::format("platypus {}", i)));
    ASSERT_TRUE(store->update("t", ids[3], {.content = "platypus changed"}));
    ASSERT_TRUE(store->remove("t", ids[4]));
    ASSERT_TRUE(store->settle());
    EXPECT_NE(files_with(dir.path(), "platypus"), std::vector<std::string>{});
    const auto before = all_of(*store);

    options.encryption = Encryption::subject;
    reopen();
    EXPECT_EQ(search("platypus changed").hits[0].entry.id, ids[3]) << "served meanwhile";
    wait_for_sealing();
    expect_nothing_plain();
    const auto after = all_of(*store);
    ASSERT_EQ(after.size(), before.size());
    for (std::size_t i = 0; i < after.size(); ++i) {
        EXPECT_EQ(after[i].content, before[i].content);
        EXPECT_EQ(after[i].version, before[i].version);
    }
    EXPECT_EQ((*store->history("t", ids[3]))[1].entry.content, "platypus 3");
    ASSERT_TRUE(store->restore("t", ids[4], 1));
    EXPECT_GT(search("platypus 17").hits[0].parts.vector, 0);
    NewEntry again{.scope = before[0].scope, .content = before[0].content};
    again.speaker = before[0].speaker;
    again.metadata = before[0].metadata;
    EXPECT_EQ(store->add(again)->how, memory::Added::How::merged);
    reopen();
    EXPECT_EQ(store->stats().plain, 0u);
    EXPECT_TRUE(finished(forget({.user = "ann"})).scan.clean());
    EXPECT_EQ(all_of(*store).size(), 0u);
}

std::int64_t asked_of(const std::string& path, const std::string& sql) {
    sqlite3* db = nullptr;
    sqlite3_stmt* statement = nullptr;
    std::int64_t out = -1;
    EXPECT_EQ(::sqlite3_open_v2(path.c_str(), &db, SQLITE_OPEN_READONLY, nullptr), SQLITE_OK);
    EXPECT_EQ(::sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr), SQLITE_OK) << sql;
    if (::sqlite3_step(statement) == SQLITE_ROW) out = ::sqlite3_column_int64(statement, 0);
    ::sqlite3_finalize(statement);
    ::sqlite3_close(db);
    return out;
}

/// While older rows are sealed and new ones come, each memory is either forgotten and counted or
/// there: none is sealed with a key that goes without it, and no mark of one is left behind.
TEST_F(Keys, ForgettingWhileAStoreIsSealedLosesNothingAndLeavesNothing) {
    options.encryption = Encryption::off;
    options.location = dir.path() + "/old";
    options.shards = 1;
    reopen();
    constexpr std::size_t kBefore = 1'200;
    std::vector<NewEntry> batch(kBefore);
    for (std::size_t i = 0; i < kBefore; ++i) {
        batch[i].scope = {.tenant = "t", .user = "ann"};
        batch[i].content = fmt::format("platypus {} of before", i);
    }
    ASSERT_TRUE(store->add(batch));
    options.encryption = Encryption::subject;
    reopen();
    std::atomic<bool> stop = false;
    std::atomic<std::uint64_t> added = 0;
    std::thread writer([&] {
        for (int i = 0; !stop; ++i) {
            const auto one = store->add(
                {.scope = {.tenant = "t", .user = "ann", .agent = fmt::format("a{}", i % 3)},
                 .content = fmt::format("wombat {} of now", i)});
            EXPECT_TRUE(one) << one.error().message;
            ++added;
        }
    });
    std::uint64_t forgotten = 0;
    for (int turn = 0; turn < 6; ++turn) {
        while (added < 5u * static_cast<unsigned>(turn)) std::this_thread::yield();
        forgotten += forget({.user = "ann"}).counts.at("memories");
    }
    stop = true;
    writer.join();
    wait_for_sealing();
    ASSERT_TRUE(store->forgetting().finish());
    EXPECT_EQ(forgotten + all_of(*store).size(), kBefore + added);
    EXPECT_EQ(store->forgetting().open(), 0u);
    EXPECT_TRUE(store->check("t")[0].sound) << store->check("t")[0].detail;
    EXPECT_TRUE(store->check("t")[1].sound) << store->check("t")[1].detail;
    store.reset();
    EXPECT_EQ(asked_of(options.location + "/memory-0.db",
                       "SELECT count(*) FROM mark m WHERE NOT EXISTS (SELECT 1 FROM entry e WHERE "
                       "e.row_id = m.row_id AND e.state = 0)"),
              0);
}

TEST_F(Keys, WithoutKeysFromNowOnWhatWasSealedIsStillReadAndMerged) {
    NewEntry entry{.scope = {.tenant = "t", .user = "ann"}, .content = "platypus of before"};
    const auto id = store->add(entry)->id;
    options.encryption = Encryption::off;
    reopen();
    EXPECT_EQ(store->get("t", id)->content, "platypus of before");
    EXPECT_EQ(store->add(entry)->id, id);
    const auto plain = remember("ann", "platypus of now");
    // Both go, the sealed one with its key.
    const Receipt done = finished(forget({.user = "ann"}));
    EXPECT_EQ(done.counts.at("memories"), 2u);
    EXPECT_TRUE(done.scan.clean());
    EXPECT_FALSE(store->get("t", plain));
    EXPECT_FALSE(store->get("t", id));
}

TEST_F(Keys, WhoDiesBetweenTheKeyAndTheRowsHasForgotten) {
    for (int i = 0; i < 300; ++i) remember("ann", fmt::format("platypus {}", i));
    const auto kept = remember("bob", "platypus of bob");
    store.reset();
    const pid_t child = ::fork();
    if (child == 0) {
        auto opened = memory::MemoryStore::open(options, std::make_shared<LetterEmbedder>(), clock);
        if (!opened) ::_exit(1);
        const auto receipt =
            (*opened)->forgetting().forget({.tenant = "t", .target = {.scope = {.user = "ann"}}});
        ::_exit(receipt && receipt->unreadable_unix_ms > 0 ? 0 : 2);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    reopen();
    const auto answer = search("platypus");
    ASSERT_EQ(answer.hits.size(), 1u);
    EXPECT_EQ(answer.hits[0].entry.id, kept);
    ASSERT_TRUE(store->forgetting().finish());
    const auto receipts = store->forgetting().receipts("t", 10);
    ASSERT_EQ(receipts->size(), 1u);
    EXPECT_TRUE((*receipts)[0].scan.clean());
    EXPECT_EQ((*receipts)[0].counts.at("memories"), 300u);
    EXPECT_EQ(store->stats().entries, 1u);
}

TEST_F(Keys, AKeyFileThatIsMissingWrongOrOpenToOthersIsAnErrorThatSaysSo) {
    remember("ann", "platypus");
    store.reset();
    const std::string file = options.location + "/memory.key";
    struct stat now {};
    ASSERT_EQ(::stat(file.c_str(), &now), 0);
    EXPECT_EQ(now.st_mode & 0777, 0600u);
    const auto code = [&]() -> std::optional<base::Code> {
        auto opened = memory::MemoryStore::open(options, nullptr, clock);
        if (opened) return std::nullopt;
        return opened.error().code;
    };
    ASSERT_EQ(::chmod(file.c_str(), 0644), 0);
    EXPECT_EQ(code(), base::Code::failed_precondition);
    ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
    fs::rename(file, file + ".away");
    EXPECT_EQ(code(), base::Code::failed_precondition);
    EXPECT_FALSE(fs::exists(file)) << "a new one would hide that the old one is missing";
    options.encryption = Encryption::off;
    EXPECT_EQ(code(), base::Code::failed_precondition);
    options.encryption = Encryption::subject;
    options.key_file = dir.path() + "/other/key";
    fs::create_directory(dir.path() + "/other");
    {
        auto elsewhere = options;
        elsewhere.location = dir.path() + "/elsewhere";
        ASSERT_TRUE(memory::MemoryStore::open(elsewhere, nullptr, clock));
    }
    EXPECT_EQ(code(), base::Code::failed_precondition) << "another store's";
    std::ofstream(options.key_file) << "dougong memory key 1\n00ff";
    EXPECT_EQ(code(), base::Code::data_loss);
    fs::rename(file + ".away", file);
    options.key_file = "";
    EXPECT_EQ(code(), std::nullopt);
}

TEST_F(Keys, SealedBytesOfAnotherRowAreNotTakenForIts) {
    const auto one = remember("ann", "platypus one");
    remember("ann", "platypus two");
    store.reset();
    for (int shard = 0; shard < 2; ++shard) {
        sqlite3* db = nullptr;
        const std::string path = fmt::format("{}/memory-{}.db", options.location, shard);
        ASSERT_EQ(::sqlite3_open(path.c_str(), &db), SQLITE_OK);
        EXPECT_EQ(::sqlite3_exec(db,
                                 "UPDATE entry SET sealed = (SELECT o.sealed FROM entry o WHERE "
                                 "o.row_id = 2) WHERE row_id = 1",
                                 nullptr, nullptr, nullptr),
                  SQLITE_OK);
        ::sqlite3_close(db);
    }
    reopen();
    const auto read = store->get("t", one);
    ASSERT_FALSE(read);
    EXPECT_EQ(read.error().code, base::Code::data_loss);
}

/// A store with keys and one without say the same through any history.
TEST(KeysOver, AnyHistoryIsThatOfAStoreWithoutKeys) {
    for_each_seed(8, [](base::Rng& rng) {
        TempDir dir;
        ManualClock clock;
        const auto open = [&](Encryption encryption, const char* name) {
            auto store = memory::MemoryStore::open(
                {.location = dir.file(name), .shards = 1, .encryption = encryption}, nullptr,
                clock);
            EXPECT_TRUE(store) << store.error().message;
            return std::move(*store);
        };
        auto plain = open(Encryption::off, "plain");
        auto sealed = open(Encryption::subject, "sealed");
        std::vector<std::pair<memory::MemoryId, memory::MemoryId>> ids;
        const auto any = [&] { return ids[rng.below(ids.size())]; };
        for (int step = 0; step < 80; ++step) {
            clock.advance(std::chrono::milliseconds(1'000));
            const std::string user = std::string(1, static_cast<char>('a' + rng.below(3)));
            const auto what = rng.below(12);
            if (what < 6 || ids.empty()) {
                NewEntry entry{.scope = {.tenant = "t", .user = user},
                               .content = fmt::format("thing {} of somebody", rng.below(20))};
                if (!ids.empty() && rng.below(4) == 0) entry.metadata["n"] = rng.below(3);
                const auto a = plain->add(entry), b = sealed->add(entry);
                ASSERT_TRUE(a && b);
                ASSERT_EQ(a->how, b->how);
                if (a->how == memory::Added::How::added) ids.emplace_back(a->id, b->id);
            } else if (what < 8) {
                const auto [a, b] = any();
                const memory::EntryPatch patch{.content = fmt::format("new {}", rng.below(9))};
                ASSERT_EQ(plain->update("t", a, patch).has_value(),
                          sealed->update("t", b, patch).has_value());
            } else if (what == 8) {
                const auto [a, b] = any();
                ASSERT_EQ(plain->remove("t", a).has_value(), sealed->remove("t", b).has_value());
            } else if (what == 9) {
                const auto [a, b] = any();
                ASSERT_EQ(plain->restore("t", a, 1).has_value(),
                          sealed->restore("t", b, 1).has_value());
            } else if (what == 10) {
                memory::forget::Request request{.tenant = "t", .target = {.scope = {.user = user}}};
                const auto a = plain->forgetting().forget(request);
                const auto b = sealed->forgetting().forget(request);
                ASSERT_TRUE(a && b);
                ASSERT_EQ(a->counts.at("memories"), b->counts.at("memories"));
                if (rng.below(2) == 0) {
                    ASSERT_TRUE(sealed->forgetting().finish());
                }
            } else {
                sealed.reset();
                sealed = open(Encryption::subject, "sealed");
            }
            const auto a = all_of(*plain), b = all_of(*sealed);
            ASSERT_EQ(a.size(), b.size());
            for (std::size_t i = 0; i < a.size(); ++i) {
                ASSERT_EQ(a[i].content, b[i].content);
                ASSERT_EQ(a[i].scope, b[i].scope);
                ASSERT_EQ(a[i].version, b[i].version);
                ASSERT_EQ(a[i].metadata, b[i].metadata);
            }
        }
    });
}

}  // namespace
}  // namespace test
