// Several processes on one database: each finds what any of them wrote, nobody does another's work
// again, and one that is killed takes nothing along.
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "memory/facts/fact_store.h"
#include "memory/truth/truth.h"
#include "store_fixture.h"
#include "support/seeds.h"

namespace test {
namespace {

using memory::MemoryStore;
using memory::facts::Assertion;

/// `store` is one node, others are opened beside it.
class Nodes : public MemoryTest {
protected:
    std::string backend() const override { return "postgresql"; }
    std::unique_ptr<MemoryStore> another(std::shared_ptr<LetterEmbedder> embedder) {
        auto opened = MemoryStore::open(options, std::move(embedder), clock);
        EXPECT_TRUE(opened) << opened.error().message;
        return opened ? std::move(*opened) : nullptr;
    }
    static std::vector<std::string> found(MemoryStore& node, std::string text,
                                          std::string tenant = "t") {
        memory::Query query;
        query.text = std::move(text);
        query.filter.scope.tenant = std::move(tenant);
        const auto answer = node.search(query);
        EXPECT_TRUE(answer) << answer.error().message;
        std::vector<std::string> contents;
        for (const auto& hit : answer->hits) contents.push_back(hit.entry.content);
        return contents;
    }
};
using Contents = std::vector<std::string>;

TEST_F(Nodes, EachFindsWhatTheOtherWroteChangedAndRemoved) {
    const auto other = another(std::make_shared<LetterEmbedder>());
    EXPECT_EQ(found(*other, "walnuts"), Contents{});  // has its index now
    const auto id = add("Ann is allergic to walnuts");
    EXPECT_EQ(found(*other, "walnuts"), Contents{"Ann is allergic to walnuts"});
    ASSERT_TRUE(other->update("t", id, {.content = "Ann is allergic to almonds"}));
    EXPECT_EQ(found(*store, "almonds"), Contents{"Ann is allergic to almonds"});
    ASSERT_TRUE(store->remove("t", id));
    EXPECT_EQ(found(*other, "almonds"), Contents{});
    ASSERT_TRUE(other->restore("t", id, 1));
    EXPECT_EQ(found(*store, "walnuts"), Contents{"Ann is allergic to walnuts"});
    EXPECT_EQ(store->history("t", id)->size(), 4u);
}

TEST_F(Nodes, VectorsOfOneServeAllAndNoneIsMadeTwice) {
    auto first = std::make_shared<LetterEmbedder>(), second = std::make_shared<LetterEmbedder>();
    open(first);
    const auto other = another(second);
    for (int i = 0; i < 300; ++i) {
        memory::NewEntry entry;
        entry.content = fmt::format("entry number {} of many", i);
        entry.scope.tenant = i % 3 == 0 ? "u" : "t";
        ASSERT_TRUE((i % 2 == 0 ? *store : *other).add(entry));
    }
    ASSERT_TRUE(store->settle());
    EXPECT_EQ(other->stats().embeddings_pending, 0u);
    EXPECT_EQ(first->documents + second->documents, 300);
    add("qqqq zzzz", "v");
    ASSERT_TRUE(store->settle());
    EXPECT_EQ(found(*other, "zzqqzzqq", "v"), Contents{"qqqq zzzz"});  // by its vector alone
}

TEST_F(Nodes, WhatADeadOneTookIsFreeAfterAMinute) {
    auto away = std::make_shared<LetterEmbedder>();
    away->failing = true;
    open(away);
    add("left undone");
    store.reset();
    clock.advance(std::chrono::seconds(61));  // what that one took
    auto dead = memory::truth::Truth::open(options, clock);
    auto living = memory::truth::Truth::open(options, clock);
    ASSERT_TRUE(dead && living);
    EXPECT_EQ((*dead)->unembedded("letters-1", 10)->size(), 1u);
    EXPECT_TRUE((*living)->unembedded("letters-1", 10)->empty());
    EXPECT_EQ((*dead)->unembedded("letters-1", 10)->size(), 1u);  // its own it may ask for again
    clock.advance(std::chrono::seconds(61));
    EXPECT_EQ((*living)->unembedded("letters-1", 10)->size(), 1u);
    EXPECT_EQ(*(*living)->embeddings_pending(), 1u);
}

TEST_F(Nodes, AccessesOfAllAreCounted) {
    const auto other = another(std::make_shared<LetterEmbedder>());
    const auto id = add("counted");
    for (int i = 0; i < 3; ++i) search("counted");
    for (int i = 0; i < 2; ++i) found(*other, "counted");
    ASSERT_TRUE(store->settle());
    ASSERT_TRUE(other->settle());
    EXPECT_EQ(store->get("t", id)->access_count, 5u);
}

Contents objects(MemoryStore& node, std::string subject) {
    memory::facts::FactQuery query;
    query.scope.tenant = "t";
    query.subject = std::move(subject);
    const auto facts = node.facts("t").query(query);
    EXPECT_TRUE(facts) << facts.error().message;
    Contents out;
    for (const auto& fact : *facts) out.push_back(fact.said.object);
    return out;
}

TEST_F(Nodes, FactsOfOneHoldForAll) {
    const auto other = another(std::make_shared<LetterEmbedder>());
    EXPECT_EQ(objects(*other, "Ann"), Contents{});
    Assertion said;
    said.scope.tenant = "t";
    said.subject = "Ann";
    said.predicate = "lives_in";
    said.object = "Oslo";
    said.valid_from_unix_ms = 1;
    const auto ids = store->facts("t").add(std::span(&said, 1));
    ASSERT_TRUE(ids);
    EXPECT_EQ(objects(*other, "Ann"), Contents{"Oslo"});
    said.object = "Rome";
    said.valid_from_unix_ms = 2;
    ASSERT_TRUE(other->facts("t").add(std::span(&said, 1)));  // the same millisecond
    EXPECT_EQ(objects(*store, "Ann").back(), "Rome");
    ASSERT_TRUE(store->facts("t").add_alias("t", "Annie", "Ann"));
    EXPECT_EQ(objects(*other, "Annie"), objects(*store, "Ann"));
    const auto circle = other->facts("t").add_alias("t", "Ann", "Annie");
    ASSERT_FALSE(circle);
    EXPECT_EQ(circle.error().code, base::Code::failed_precondition);
    ASSERT_TRUE(other->facts("t").retract("t", ids->front()));
    EXPECT_EQ(objects(*store, "Ann"), objects(*other, "Ann"));
}

TEST_F(Nodes, AnyMixOfWritersFindsTheModel) {
    for_each_seed(4, [&](base::Rng& rng) {
        options.location = PostgresServer::instance().fresh_url();
        open(nullptr);
        std::vector<std::unique_ptr<MemoryStore>> nodes;
        nodes.push_back(std::move(store));
        for (int i = 0; i < 2; ++i) nodes.push_back(another(nullptr));
        std::map<memory::MemoryId, std::string> model;
        int word = 0;
        for (int step = 0; step < 60; ++step) {
            MemoryStore& node = *nodes[rng.below(3)];
            const auto text = fmt::format("word{} common", word++);
            const auto at = model.empty()
                                ? model.end()
                                : std::next(model.begin(),
                                            static_cast<std::ptrdiff_t>(rng.below(model.size())));
            const auto what = at == model.end() ? 0 : rng.below(4);
            if (what < 2) {
                memory::NewEntry entry;
                entry.content = text;
                entry.scope.tenant = "t";
                const auto added = node.add(entry);
                ASSERT_TRUE(added) << added.error().message;
                model[added->id] = text;
            } else if (what == 2) {
                ASSERT_TRUE(node.update("t", at->first, {.content = text}));
                at->second = text;
            } else {
                ASSERT_TRUE(node.remove("t", at->first));
                model.erase(at);
            }
            std::multiset<std::string> expected, got;
            for (const auto& [id, content] : model) expected.insert(content);
            memory::Query query;
            query.text = "common";
            query.limit = 100;
            query.filter.scope.tenant = "t";
            const auto answer = nodes[rng.below(3)]->search(query);
            ASSERT_TRUE(answer) << answer.error().message;
            for (const auto& hit : answer->hits) {
                got.insert(hit.entry.content);
            }
            ASSERT_EQ(got, expected) << "step " << step;
        }
    });
}

TEST_F(Nodes, OneThatIsKilledLosesNothingItAcknowledged) {
    std::set<std::string> acknowledged;
    for (int kill = 0; kill < 5; ++kill) {
        int ends[2];
        ASSERT_EQ(::pipe(ends), 0);
        const pid_t child = ::fork();
        if (child == 0) {
            ::close(ends[0]);
            auto mine = MemoryStore::open(options, nullptr, clock);
            if (!mine) ::_exit(3);
            for (int i = 0;; ++i) {
                memory::NewEntry entry;
                entry.content = fmt::format("k{}x{}k", kill, i);
                entry.scope.tenant = "t";
                if (!(*mine)->add(entry)) ::_exit(4);
                const std::string line = entry.content + "\n";
                if (::write(ends[1], line.data(), line.size()) < 0) ::_exit(5);
            }
        }
        ::close(ends[1]);
        std::string lines;
        char bytes[256];
        for (ssize_t got; (got = ::read(ends[0], bytes, sizeof(bytes))) > 0;) {
            lines.append(bytes, static_cast<std::size_t>(got));
            if (lines.size() > 300) ::kill(child, SIGKILL);
        }
        ::close(ends[0]);
        int status = 0;
        ::waitpid(child, &status, 0);
        ASSERT_TRUE(WIFSIGNALED(status)) << status;
        for (std::size_t at = 0, end; (end = lines.find('\n', at)) != std::string::npos;
             at = end + 1) {
            acknowledged.insert(lines.substr(at, end - at));
        }
        // The lock of the dead one is free; what it wrote is found here.
        add(fmt::format("parent {}", kill));
        for (const std::string& content : acknowledged) {
            const auto hits = found(*store, content);
            EXPECT_NE(std::ranges::find(hits, content), hits.end()) << content;
        }
    }
    EXPECT_GT(acknowledged.size(), 50u);
}

}  // namespace
}  // namespace test
