// Short-term memories in Redis: shared, gone by themselves, and alone in being away with it.
#include <fmt/format.h>

#include <set>

#include "base/files/files.h"
#include "base/redis/redis.h"
#include "memory/forget/forget.h"
#include "memory/truth/session_codec.h"
#include "memory/truth/session_truth.h"
#include "store_fixture.h"
#include "support/seeds.h"

namespace test {
namespace {

using base::Code;
using memory::MemoryType;
using memory::NewEntry;
using How = memory::Added::How;

class Sessions : public MemoryTest {
protected:
    std::string backend() const override { return "sqlite_redis"; }
    static NewEntry of(MemoryType type, std::string content) {
        NewEntry entry;
        entry.type = type;
        entry.content = std::move(content);
        entry.scope = {.tenant = "t", .session = "s"};
        return entry;
    }
    std::multiset<std::string> found(memory::MemoryStore& node, std::string text,
                                     std::vector<MemoryType> types = {}) {
        memory::Query query;
        query.text = std::move(text);
        query.filter.scope.tenant = "t";
        query.filter.types = std::move(types);
        const auto answer = node.search(query);
        EXPECT_TRUE(answer) << answer.error().message;
        std::multiset<std::string> contents;
        if (answer) {
            for (const auto& hit : answer->hits) contents.insert(hit.entry.content);
        }
        return contents;
    }
};
using Contents = std::multiset<std::string>;

TEST_F(Sessions, OneSearchAndOneListFindBothKinds) {
    ASSERT_TRUE(store->add(of(MemoryType::short_term, "the walnut of today")));
    ASSERT_TRUE(store->add(of(MemoryType::long_term, "the walnut of always")));
    EXPECT_EQ(found(*store, "walnut"), (Contents{"the walnut of always", "the walnut of today"}));
    EXPECT_EQ(found(*store, "walnut", {MemoryType::short_term}), Contents{"the walnut of today"});
    for (int i = 0; i < 40; ++i) {
        auto entry = of(i % 3 == 0 ? MemoryType::short_term : MemoryType::episodic,
                        fmt::format("entry {}", i));
        entry.created_unix_ms = 1'000 + i / 4;  // many of the same time
        ASSERT_TRUE(store->add(entry));
    }
    for (const auto order : {memory::Order::created_ascending, memory::Order::created_descending}) {
        std::set<std::string> seen;
        std::string cursor;
        memory::UnixMs last = order == memory::Order::created_ascending ? 0 : INT64_MAX;
        std::size_t count = 0;
        do {
            const auto page = store->list({.scope = {.tenant = "t"}}, order, 7, cursor);
            ASSERT_TRUE(page) << page.error().message;
            for (const auto& entry : page->entries) {
                seen.insert(entry.content);
                ++count;
                EXPECT_TRUE(order == memory::Order::created_ascending
                                ? entry.created_unix_ms >= last
                                : entry.created_unix_ms <= last);
                last = entry.created_unix_ms;
            }
            cursor = page->next;
        } while (!cursor.empty());
        EXPECT_EQ(count, 42u);
        EXPECT_EQ(seen.size(), 42u);
    }
}

TEST_F(Sessions, ATurnSentAgainIsTheSameAndARequestIsAnsweredOnce) {
    auto turn = of(MemoryType::short_term, "ok");
    EXPECT_EQ(store->add(turn)->how, How::added);
    EXPECT_EQ(store->add(turn)->how, How::added);  // said twice
    turn.created_unix_ms = 77;
    const auto first = store->add(turn);
    EXPECT_EQ(first->how, How::added);
    turn.sources = {{"doc", 1, 2, 0}};
    const auto again = store->add(turn);
    EXPECT_EQ(again->how, How::merged);
    EXPECT_EQ(again->id, first->id);
    EXPECT_EQ(store->get("t", first->id)->sources.size(), 1u);
    auto keyed = of(MemoryType::short_term, "keyed");
    keyed.idempotency_key = "k";
    const std::vector<NewEntry> twice{keyed, keyed};
    const auto added = store->add(twice);
    ASSERT_TRUE(added);
    EXPECT_EQ(added->at(1).how, How::repeated);
    EXPECT_EQ(store->add(keyed)->id, added->at(0).id);
}

TEST_F(Sessions, WhatIsOverIsGoneAndComesBack) {
    auto brief = of(MemoryType::short_term, "brief note");
    brief.ttl_ms = 1'000;
    const auto id = store->add(brief)->id;
    EXPECT_EQ(found(*store, "brief"), Contents{"brief note"});
    clock.advance(std::chrono::seconds(2));
    EXPECT_FALSE(store->get("t", id));
    EXPECT_EQ(found(*store, "brief"), Contents{});
    const auto now = [&] { return clock.unix_ns() / 1'000'000; };
    const auto truth = memory::truth::open_session_truth(options, clock);
    ASSERT_TRUE(truth) << truth.error().message;
    const auto over = (*truth)->sweep(now());
    ASSERT_TRUE(over) << over.error().message;
    ASSERT_EQ(over->size(), 1u);
    EXPECT_TRUE(over->front().gone);
    EXPECT_TRUE((*truth)->sweep(now())->empty());
    ASSERT_TRUE(store->restore("t", id, 1));
    EXPECT_EQ(found(*store, "brief"), Contents{"brief note"});
    ASSERT_TRUE(store->remove("t", id));
    clock.advance(std::chrono::hours(31 * 24));
    ASSERT_TRUE((*truth)->sweep(now()));
    EXPECT_FALSE(store->history("t", id));
    EXPECT_EQ((*truth)->stats()->versions, 0u);
    EXPECT_EQ((*truth)->stats()->removed, 0u);
}

TEST_F(Sessions, TheKindOfAnEntryDecidesWhereItIsForGood) {
    const auto id = store->add(of(MemoryType::short_term, "note"))->id;
    const auto moved = store->update("t", id, {.type = MemoryType::long_term});
    ASSERT_FALSE(moved);
    EXPECT_EQ(moved.error().code, Code::failed_precondition);
    const std::vector<NewEntry> both{of(MemoryType::short_term, "a"),
                                     of(MemoryType::long_term, "b")};
    const auto mixed = store->add(both);
    ASSERT_FALSE(mixed);
    EXPECT_EQ(mixed.error().subject, "type");
}

TEST_F(Sessions, NodesWithTruthsOfTheirOwnShareThem) {
    auto there = options;
    there.location = dir.path() + "/other";
    auto other = memory::MemoryStore::open(there, std::make_shared<LetterEmbedder>(), clock);
    ASSERT_TRUE(other) << other.error().message;
    EXPECT_EQ(found(**other, "walnut"), Contents{});
    const auto id = store->add(of(MemoryType::short_term, "a walnut"))->id;
    EXPECT_EQ(found(**other, "walnut"), Contents{"a walnut"});
    ASSERT_TRUE((*other)->update("t", id, {.content = "an almond"}));
    EXPECT_EQ(found(*store, "almond"), Contents{"an almond"});
    ASSERT_TRUE(store->remove("t", id));
    EXPECT_EQ(found(**other, "almond"), Contents{});
    EXPECT_EQ((*other)->history("t", id)->size(), 3u);
}

TEST_F(Sessions, WithoutRedisAllOthersGoOn) {
    const auto id = store->add(of(MemoryType::short_term, "short walnut"))->id;
    ASSERT_TRUE(store->add(of(MemoryType::long_term, "long walnut")));
    EXPECT_EQ(found(*store, "walnut").size(), 2u);
    RedisServer::instance().kill();
    EXPECT_EQ(store->add(of(MemoryType::short_term, "x")).error().code, Code::unavailable);
    EXPECT_EQ(store->get("t", id).error().code, Code::unavailable);
    EXPECT_TRUE(store->add(of(MemoryType::long_term, "written without it")));
    memory::Query query;
    query.text = "walnut";
    query.filter.scope.tenant = "t";
    const auto answer = store->search(query);
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_TRUE(answer->sessions_missing);
    ASSERT_FALSE(answer->hits.empty());
    EXPECT_EQ(answer->hits[0].entry.content, "long walnut");
    for (const auto& hit : answer->hits) EXPECT_NE(hit.entry.content, "short walnut");
    query.filter.types = {MemoryType::short_term};
    EXPECT_EQ(store->search(query).error().code, Code::unavailable);
    open(std::make_shared<LetterEmbedder>());  // a start without it, too
    EXPECT_EQ(found(*store, "walnut").count("long walnut"), 1u);
    RedisServer::instance().start();
    EXPECT_EQ(found(*store, "walnut").count("short walnut"), 1u);
    EXPECT_EQ(store->get("t", id)->content, "short walnut");
}

/// What Redis writes to its file, as it is.
std::string redis_file(const std::string& url) {
    const auto redis = base::redis::Redis::open(url, 1);
    EXPECT_TRUE(redis) << redis.error().message;
    std::string bytes;
    const auto saved = (*redis)->read([&](base::redis::Session& session) -> base::Result<void> {
        DG_TRY(session.run({"CONFIG", "SET", "rdbcompression", "no"}));
        DG_TRY(session.run({"SAVE"}));
        const auto dir = DG_TRY(session.run({"CONFIG", "GET", "dir"})).list.at(1).text;
        const auto name = DG_TRY(session.run({"CONFIG", "GET", "dbfilename"})).list.at(1).text;
        bytes = DG_TRY(base::read_file(dir + "/" + name, 1u << 30));
        return {};
    });
    EXPECT_TRUE(saved) << saved.error().message;
    return bytes;
}

TEST_F(Sessions, ForgettingReachesThemByScopeSubjectAndId) {
    const auto say = [&](std::string session, std::string content, std::string key = "") {
        NewEntry entry = of(MemoryType::short_term, std::move(content));
        entry.scope.session = std::move(session);
        entry.idempotency_key = std::move(key);
        const auto added = store->add(entry);
        EXPECT_TRUE(added) << added.error().message;
        return added->id;
    };
    const auto forget = [&](memory::forget::Target target) {
        const auto asked = store->forgetting().forget({.tenant = "t", .target = std::move(target)});
        EXPECT_TRUE(asked) << asked.error().message;
        EXPECT_EQ(found(*store, "walnut").size(), 1u);  // at once
        const auto done = store->forgetting().finish();
        EXPECT_TRUE(done) << done.error().message;
        return *store->forgetting().receipt("t", asked->id);
    };
    auto there = options;
    there.location = dir.path() + "/other";
    auto other = memory::MemoryStore::open(there, std::make_shared<LetterEmbedder>(), clock);
    ASSERT_TRUE(other) << other.error().message;
    say("kept", "kept-here: this walnut stays where it is");

    const auto first = say("s1", "canary-by-scope: a walnut in this session", "canary-request");
    ASSERT_TRUE(store->update("t", first, {.content = "canary-after: this walnut was another"}));
    ASSERT_TRUE(store->settle());
    EXPECT_EQ(found(**other, "walnut").size(), 2u);
    const auto by_scope = forget({.scope = {.session = "s1"}});
    EXPECT_EQ(by_scope.counts.at("memories"), 1u);
    EXPECT_EQ(by_scope.counts.at("of_sessions"), 1u);
    EXPECT_EQ(by_scope.scan.rows_left, 0u);
    EXPECT_EQ(by_scope.scan.unscanned, 1u);
    EXPECT_EQ(found(**other, "walnut").size(), 1u);
    EXPECT_FALSE(store->get("t", first));
    EXPECT_FALSE(store->history("t", first));

    NewEntry lasting = of(MemoryType::long_term, "Quentin Canary has a walnut that is his");
    lasting.scope.session = "s2";
    ASSERT_TRUE(store->add(lasting));
    say("s3", "Quentin Canary asked for a walnut today");
    const auto by_subject = forget({.subject = "Quentin Canary"});
    EXPECT_EQ(by_subject.counts.at("memories"), 2u);
    EXPECT_EQ(by_subject.counts.at("of_sessions"), 1u);

    // What was made from a forgotten one goes, whichever truth either is in.
    const auto named = say("s4", "canary-by-id: a walnut on the table");
    lasting.content = "somebody told of a canary-made-from-it walnut";
    lasting.sources = {{.source = named}};
    ASSERT_TRUE(store->add(lasting));
    EXPECT_EQ(forget({.ids = {named}}).counts.at("memories"), 2u);

    const std::string bytes = redis_file(options.sessions);
    EXPECT_NE(bytes.find("kept-here"), std::string::npos);
    for (const char* gone : {"canary", "Canary"}) EXPECT_EQ(bytes.find(gone), std::string::npos);
    EXPECT_EQ(found(**other, "walnut").size(), 1u);
}

TEST_F(Sessions, NothingIsForgottenWhileRedisIsAway) {
    const auto brief = store->add(of(MemoryType::short_term, "short walnut"))->id;
    const auto lasting = store->add(of(MemoryType::long_term, "long walnut"))->id;
    RedisServer::instance().kill();
    const memory::forget::Request request{.tenant = "t", .target = {.scope = {.session = "s"}}};
    EXPECT_EQ(store->forgetting().forget(request).error().code, Code::unavailable);
    EXPECT_TRUE(store->get("t", lasting));
    EXPECT_EQ(store->forgetting().open(), 0u);
    RedisServer::instance().start();
    ASSERT_TRUE(store->forgetting().forget(request));
    EXPECT_FALSE(store->get("t", lasting));
    EXPECT_FALSE(store->get("t", brief));
    ASSERT_TRUE(store->forgetting().finish());
}

TEST(SessionCodec, EntriesComeBackAsTheyWere) {
    for_each_seed(100, [](base::Rng& rng) {
        const auto text = [&] {
            std::string out;
            for (std::uint64_t n = rng.below(12); n > 0; --n) {
                constexpr std::array<std::string_view, 6> kParts{"a", "\"", "\\", "é", "文", "\n"};
                out += kParts[rng.below(kParts.size())];
            }
            return out;
        };
        const auto number = [&] { return static_cast<std::int64_t>(rng.next() >> 1); };
        memory::truth::StoredEntry stored;
        stored.row = number();
        stored.sequence = number();
        stored.state = static_cast<memory::truth::RowState>(rng.below(4));
        stored.change = text();
        stored.by = text();
        memory::Entry& entry = stored.entry;
        entry.id = text();
        entry.scope = {"t", text(), text(), text(), text()};
        entry.content = text();
        entry.speaker = text();
        entry.media = {memory::Media::Kind::image, text()};
        entry.metadata = {{"n", rng.next()}, {"t", text()}, {"f", .25}};
        entry.created_unix_ms = -number();
        entry.expires_unix_ms = number();
        entry.importance = static_cast<float>(rng.uniform());
        entry.pinned = rng.below(2) == 0;
        entry.sources = {{text(), static_cast<std::uint64_t>(number()), 5, 7}};
        entry.version = 3;
        const auto back = memory::truth::from_stored(memory::truth::to_stored(stored), "t");
        ASSERT_TRUE(back);
        EXPECT_EQ(memory::truth::to_stored(*back), memory::truth::to_stored(stored));
        EXPECT_EQ(back->entry.metadata, entry.metadata);
        EXPECT_EQ(back->entry.importance, entry.importance);
        EXPECT_EQ(back->entry.scope, entry.scope);
    });
    EXPECT_FALSE(memory::truth::from_stored("{", "t"));
    EXPECT_FALSE(memory::truth::from_stored("[]", "t"));
}

}  // namespace
}  // namespace test
