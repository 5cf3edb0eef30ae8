// Facts on disk: names, sources that go or change, and pictures that equal what a reader would
// make.
#include "memory/facts/fact_store.h"

#include <gmock/gmock.h>

#include <map>
#include <set>

#include "support/database_server.h"
#include "support/manual_clock.h"
#include "support/seeds.h"
#include "support/temp_dir.h"

namespace memory::facts {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

Assertion said(std::string subject, std::string predicate, std::string object, UnixMs from,
               std::string source = {}) {
    Assertion one;
    one.scope.tenant = "t";
    one.subject = std::move(subject);
    one.predicate = std::move(predicate);
    one.object = std::move(object);
    one.valid_from_unix_ms = from;
    if (!source.empty()) one.sources = {{.source = std::move(source)}};
    return one;
}

class FactStoreTest : public ::testing::TestWithParam<std::string> {
protected:
    void SetUp() override {
        location_ = dir_.file("facts.db");
        if (GetParam() == "postgresql") {
            DG_NEED_SERVER(test::PostgresServer::instance());
            location_ = test::PostgresServer::instance().fresh_url();
        }
        open();
    }

    void open() {
        facts_.reset();
        store_.reset();
        auto store = base::store::Store::open(location_, {});
        ASSERT_TRUE(store) << store.error().message;
        store_ = std::move(*store);
        auto facts = FactStore::open(*store_, clock_);
        ASSERT_TRUE(facts) << facts.error().message;
        facts_ = std::move(*facts);
    }

    FactId add(const Assertion& one) {
        const auto ids = facts_->add(std::span(&one, 1));
        EXPECT_TRUE(ids) << ids.error().message;
        return ids ? ids->at(0) : FactId();
    }

    std::vector<std::string> objects(FactQuery query) {
        if (query.scope.tenant.empty()) query.scope.tenant = "t";
        const auto facts = facts_->query(query);
        EXPECT_TRUE(facts) << facts.error().message;
        std::vector<std::string> out;
        for (const Fact& fact : *facts) out.push_back(fact.said.object);
        return out;
    }

    std::vector<std::string> near(std::string_view name, std::uint32_t depth) {
        const auto found = facts_->neighbours("t", name, depth, 100);
        EXPECT_TRUE(found) << found.error().message;
        std::vector<std::string> out;
        for (const Neighbour& one : *found) out.push_back(one.name);
        return out;
    }

    test::TempDir dir_;
    std::string location_;
    test::ManualClock clock_;
    std::unique_ptr<base::store::Store> store_;
    std::unique_ptr<FactStore> facts_;
};

TEST_P(FactStoreTest, AnswersInBothTimesAndAfterReopening) {
    const FactId first = add(said("Ann Lee", "lives_in", "Paris", 100));
    add(said("Ann Lee", "lives_in", "Rome", 200));
    for (int round = 0; round < 2; ++round) {
        EXPECT_THAT(objects({.subject = "Ann Lee"}), ElementsAre("Rome"));
        EXPECT_THAT(objects({.subject = "Ann Lee", .valid_at_unix_ms = 150}), ElementsAre("Paris"));
        FactQuery all{.scope = {.tenant = "t"}, .history = true};
        const auto facts = facts_->query(all);
        ASSERT_TRUE(facts);
        ASSERT_EQ(facts->size(), 2u);
        EXPECT_EQ(facts->at(0).said.id, first);
        EXPECT_EQ(facts->at(0).superseded_by, facts->at(1).said.id);
        const UnixMs then = facts->at(0).said.recorded_unix_ms;
        EXPECT_THAT(objects({.subject = "Ann Lee", .recorded_at_unix_ms = then}),
                    ElementsAre("Paris"));
        open();
    }
    EXPECT_GT(add(said("Bo", "likes", "tea", 1)), first);  // ids go on after the last
}

TEST_P(FactStoreTest, NamesMeanBySpellingAliasAndUniqueFirstName) {
    add(said("Ann Lee", "lives_in", "Paris", 100));
    add(said("ANN  lee.", "lives_in", "Rome", 200));
    EXPECT_THAT(objects({.subject = "ann"}), ElementsAre("Rome"));
    add(said("Ann", "works_at", "Acme", 100));
    EXPECT_THAT(objects({.subject = "Ann Lee"}), UnorderedElementsAre("Rome", "Acme"));
    add(said("Ann Smith", "lives_in", "Oslo", 100));  // from now on "Ann" could be either
    EXPECT_THAT(objects({.subject = "Ann Lee"}), ElementsAre("Rome"));
    EXPECT_THAT(objects({.subject = "Ann"}), ElementsAre("Acme"));
    ASSERT_TRUE(facts_->add_alias("t", "Annie", "Ann Lee"));
    ASSERT_TRUE(facts_->add_alias("t", "the big apple", "New York"));
    add(said("Annie", "likes", "the Big Apple", 100));
    EXPECT_THAT(objects({.subject = "Ann Lee", .object = "new york"}),
                ElementsAre("the Big Apple"));
    EXPECT_EQ(facts_->add_alias("t", "Ann Lee", "Annie").error().code,
              base::Code::failed_precondition);
    open();
    EXPECT_THAT(objects({.subject = "annie", .predicate = "likes"}), ElementsAre("the Big Apple"));
    EXPECT_THAT(objects({.subject = "Anna Lee"}), IsEmpty());  // never by likeness
}

TEST_P(FactStoreTest, OneValueHoweverItIsSpelled) {
    add(said("Ann", "lives_in", "Paris", 100));
    add(said("Ann", "lives_in", "paris", 100));
    const auto met = facts_->contradictions({.scope = {.tenant = "t"}});
    ASSERT_TRUE(met);
    EXPECT_THAT(*met, IsEmpty());
    add(said("Ann", "lives_in", "Rome", 100));
    EXPECT_EQ(facts_->contradictions({.scope = {.tenant = "t"}})->size(), 2u);
    EXPECT_THAT(objects({.subject = "Ann"}), ElementsAre("Rome"));
}

TEST_P(FactStoreTest, ASourceTakesWithItWhatItAloneSaid) {
    Assertion both = said("Ann", "lives_in", "Paris", 100, "mem-1");
    both.sources.push_back({.source = "mem-2"});
    add(both);
    const std::vector<Assertion> first = {said("Ann", "works_at", "Acme", 100, "mem-1"),
                                          said("Ann", "owns", "boat", 100, "mem-1")};
    ASSERT_TRUE(
        facts_->set_source("t", "mem-2", std::vector{said("Ann", "has", "cat", 1, "mem-2")}));
    EXPECT_THAT(objects({.subject = "Ann"}), UnorderedElementsAre("Paris", "cat"));
    ASSERT_TRUE(facts_->set_source("t", "mem-1", first));
    EXPECT_THAT(objects({.subject = "Ann"}), UnorderedElementsAre("Acme", "boat", "cat"));
    const auto before = facts_->query({.scope = {.tenant = "t"}, .object = "boat"});
    ASSERT_TRUE(facts_->set_source("t", "mem-1", std::span(first).subspan(1)));
    EXPECT_THAT(objects({.subject = "Ann"}), UnorderedElementsAre("boat", "cat"));
    const auto after = facts_->query({.scope = {.tenant = "t"}, .object = "boat"});
    EXPECT_EQ(*before, *after);  // what is said again stays as it was, id and all
    ASSERT_TRUE(facts_->set_source("t", "mem-1", {}));
    EXPECT_THAT(objects({.subject = "Ann"}), ElementsAre("cat"));
    open();
    EXPECT_THAT(objects({.subject = "Ann"}), ElementsAre("cat"));
}

TEST_P(FactStoreTest, TheGraphIsOfWhatHolds) {
    add(said("Ann", "married_to", "Tom", 100, "mem-1"));
    add(said("Tom", "lives_in", "Rome", 100));
    EXPECT_THAT(near("ann", 2), ElementsAre("Tom", "Rome"));
    const FactId moved = add(said("Tom", "lives_in", "Oslo", 200));
    EXPECT_THAT(near("Ann", 2), ElementsAre("Tom", "Oslo"));
    ASSERT_TRUE(facts_->retract("t", moved));
    EXPECT_THAT(near("Ann", 2), ElementsAre("Tom", "Rome"));
    ASSERT_TRUE(facts_->set_source("t", "mem-1", {}));
    EXPECT_THAT(near("Ann", 2), IsEmpty());
    EXPECT_EQ(facts_->retract("t", moved).error().code, base::Code::not_found);
}

TEST_P(FactStoreTest, TheGraphFollowsTheClock) {
    const UnixMs now = clock_.unix_ns() / 1'000'000;
    add(said("Ann", "lives_in", "Paris", now - 1000));
    add(said("Ann", "lives_in", "Rome", now + 60'000));
    EXPECT_THAT(near("Ann", 1), ElementsAre("Paris"));
    clock_.advance(std::chrono::minutes(2));
    EXPECT_THAT(near("Ann", 1), ElementsAre("Rome"));
}

TEST_P(FactStoreTest, TenantsKnowNothingOfEachOther) {
    Assertion other = said("Ann", "lives_in", "Lima", 100, "mem-1");
    other.scope.tenant = "u";
    add(other);
    add(said("Ann", "lives_in", "Paris", 100, "mem-1"));
    ASSERT_TRUE(facts_->set_source("t", "mem-1", {}));
    EXPECT_THAT(objects({.subject = "Ann"}), IsEmpty());
    EXPECT_THAT(objects({.scope = {.tenant = "u"}, .subject = "Ann"}), ElementsAre("Lima"));
    EXPECT_FALSE(facts_->add(std::vector{other, said("Ann", "lives_in", "Paris", 100)}));
}

TEST_P(FactStoreTest, BadFactsAreRefusedByField) {
    const auto refused = [&](Assertion one) {
        const auto ids = facts_->add(std::span(&one, 1));
        return ids ? "taken" : ids.error().subject;
    };
    EXPECT_EQ(refused(said(" . ", "likes", "tea", 1)), "facts[0].subject");
    EXPECT_EQ(refused(said("Ann", "", "tea", 1)), "facts[0].predicate");
    EXPECT_EQ(refused(said("Ann", "likes", "", 1)), "facts[0].object");
    Assertion one = said("Ann", "likes", "tea", 10);
    one.valid_to_unix_ms = 10;
    EXPECT_EQ(refused(one), "facts[0].valid_to");
    one.valid_to_unix_ms = 0;
    one.confidence = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(refused(one), "facts[0].confidence");
    EXPECT_FALSE(facts_->set_source("t", "mem-9", std::vector{said("A", "likes", "b", 1)}));
}

/// Everything a tenant can be asked, ids and recording left out.
std::vector<std::string> picture(FactStore& facts, const std::set<std::string>& names) {
    std::vector<std::string> out;
    const auto history = facts.query({.scope = {.tenant = "t"}, .history = true, .limit = 100'000});
    for (const Fact& fact : *history) {
        std::string line = fact.said.subject + " " + fact.said.predicate + " " + fact.said.object +
                           " " + std::to_string(fact.from_unix_ms) + " " +
                           std::to_string(fact.to_unix_ms);
        for (const SourceSpan& span : fact.said.sources) line += " " + span.source;
        out.push_back(line);
    }
    for (const std::string& name : names) {
        std::string line = name + ":";
        std::set<std::string> near;
        const auto found = facts.neighbours("t", name, 2, 100'000);
        for (const Neighbour& one : *found) {
            near.insert(one.name + std::to_string(one.depth));
        }
        for (const std::string& one : near) line += " " + one;
        out.push_back(line);
    }
    std::ranges::sort(out);
    return out;
}

TEST(FactStoreProperty, SourcesThatChangeLeaveWhatARebuildGives) {
    // [B6] Against a store that was only ever told what still stands, in the same order.
    test::for_each_seed(12, [](base::Rng& rng) {
        test::TempDir dir;
        test::ManualClock clock;
        auto store = base::store::Store::open(dir.file("a.db"), {});
        ASSERT_TRUE(store) << store.error().message;
        auto facts = FactStore::open(**store, clock);
        ASSERT_TRUE(facts);
        const std::vector<std::string> subjects = {"ann", "ann lee", "bo", "bo xi", "ann smith"};
        std::map<std::string, std::vector<Assertion>> now;
        for (int step = 0; step < 40; ++step) {
            const std::string source = "mem-" + std::to_string(rng.below(6));
            std::vector<Assertion> next;
            for (const Assertion& old : now[source]) {
                if (rng.below(3) != 0) next.push_back(old);
            }
            for (std::uint64_t i = rng.below(4); i > 0; --i) {
                Assertion one = said(subjects[rng.below(subjects.size())],
                                     rng.below(2) == 0 ? "lives_in" : "knows",
                                     std::string(1, static_cast<char>('p' + rng.below(4))),
                                     static_cast<UnixMs>(1 + rng.below(1'000'000)), source);
                if (one.predicate == "knows") one.cardinality = Cardinality::many;
                one.ends = rng.below(6) == 0;
                next.push_back(one);
            }
            if (rng.below(5) == 0) next.clear();
            ASSERT_TRUE((*facts)->set_source("t", source, next));
            now[source] = next;
            if (rng.below(8) == 0) facts = FactStore::open(**store, clock);
            if (rng.below(3) == 0) (void)picture(**facts, {"ann"});  // read early, kept up to date
        }
        auto fresh_store = base::store::Store::open(dir.file("b.db"), {});
        ASSERT_TRUE(fresh_store);
        auto fresh = FactStore::open(**fresh_store, clock);
        ASSERT_TRUE(fresh);
        for (const auto& [source, all] : now) ASSERT_TRUE((*fresh)->set_source("t", source, all));
        const std::set<std::string> names = {"ann", "ann lee", "bo", "bo xi", "p", "q", "r", "s"};
        ASSERT_EQ(picture(**facts, names), picture(**fresh, names));
    });
}

TEST_P(FactStoreTest, TheGraphAroundANameHasWhatHoldsThere) {
    Assertion likes = said("Ann", "likes", "Bob", 10);
    likes.cardinality = Cardinality::many;
    add(likes);
    add(said("Bob", "lives_in", "Oslo", 20));
    add(said("Bob", "lives_in", "Rome", 30));
    add(said("Cleo", "lives_in", "Rome", 30));
    const auto near = facts_->neighbourhood("t", "ann", 2, 10);
    ASSERT_TRUE(near);
    EXPECT_THAT(near->names,
                ElementsAre(Neighbour{"Ann", 0}, Neighbour{"Bob", 1}, Neighbour{"Rome", 2}));
    ASSERT_EQ(near->facts.size(), 2u);
    EXPECT_EQ(near->facts[0].said.object, "Bob");
    EXPECT_EQ(near->facts[1].said.object, "Rome");
    EXPECT_EQ(facts_->neighbourhood("t", "Ann", 2, 2)->names.size(), 2u);
    EXPECT_TRUE(facts_->neighbourhood("t", "nobody", 2, 10)->names.empty());
    EXPECT_TRUE(facts_->neighbourhood("other", "Ann", 2, 10)->names.empty());
}

TEST_P(FactStoreTest, PathsSayHowTwoNamesHangTogether) {
    add(said("Ann", "lives_in", "Rome", 10));
    add(said("Cleo", "lives_in", "Rome", 10));
    const auto paths = facts_->paths("t", "Ann", "Cleo", 4, 10);
    ASSERT_TRUE(paths);
    EXPECT_THAT(*paths,
                ElementsAre(Path{{"Ann", "lives_in", "Rome"}, {"Cleo", "lives_in", "Rome"}}));
    EXPECT_TRUE(facts_->paths("t", "Ann", "Ann", 4, 10)->empty());
    EXPECT_TRUE(facts_->paths("t", "Ann", "Cleo", 1, 10)->empty());
}

INSTANTIATE_TEST_SUITE_P(Databases, FactStoreTest, ::testing::Values("sqlite", "postgresql"),
                         [](const auto& database) { return database.param; });

}  // namespace
}  // namespace memory::facts
