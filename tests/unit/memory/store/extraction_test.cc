// Facts follow what memories say, whatever happens to them and to the process that reads.
#include <gmock/gmock.h>

#include <map>
#include <random>
#include <set>

#include "memory/facts/extractor.h"
#include "memory/facts/fact_store.h"
#include "memory/knowledge/knowledge.h"
#include "unit/memory/store/store_fixture.h"

namespace memory {
namespace {

namespace json = base::json;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

/// The rules, counted; can be told to be away, and to choke on a word.
class CountedRules final : public facts::Extractor {
public:
    explicit CountedRules(std::string id = "counted-1") : id_(std::move(id)) {}
    const std::string& id() const override { return id_; }
    base::Result<std::vector<facts::Assertion>> extract(
        std::string_view text, const facts::ExtractContext& context) override {
        ++read;
        if (away) return base::fail(base::Code::unavailable, "the model is away");
        if (text.find("choke") != std::string_view::npos) {
            return base::fail(base::Code::internal, "an answer that is no list");
        }
        return rules_->extract(text, context);
    }
    std::atomic<int> read = 0;
    std::atomic<bool> away = false;

private:
    const std::string id_;
    const std::shared_ptr<facts::Extractor> rules_ = facts::rule_extractor();
};

class ExtractionTest : public ::testing::Test {
protected:
    void SetUp() override { open(rules_); }
    void open(std::shared_ptr<facts::Extractor> extractor) {
        store_.reset();
        StoreOptions options;
        options.location = dir_.path() + "/memory";
        options.shards = 2;
        options.extractor = std::move(extractor);
        auto opened = MemoryStore::open(options, std::make_shared<test::LetterEmbedder>(), clock_);
        ASSERT_TRUE(opened) << opened.error().message;
        store_ = std::move(*opened);
    }
    MemoryId add(std::string content, std::string user = "Ann") {
        NewEntry entry;
        entry.scope = {.tenant = "t", .user = std::move(user)};
        entry.content = std::move(content);
        const auto added = store_->add(entry);
        EXPECT_TRUE(added) << added.error().message;
        return added ? added->id : "";
    }
    std::vector<std::string> objects(std::string predicate, std::string tenant = "t") {
        EXPECT_TRUE(store_->settle());
        facts::FactQuery query;
        query.scope.tenant = tenant;
        query.predicate = std::move(predicate);
        std::vector<std::string> out;
        const auto found = store_->facts(tenant).query(query);
        EXPECT_TRUE(found);
        for (const auto& fact : found.value()) out.push_back(fact.said.object);
        return out;
    }

    test::TempDir dir_;
    test::ManualClock clock_;
    std::shared_ptr<CountedRules> rules_ = std::make_shared<CountedRules>();
    std::unique_ptr<MemoryStore> store_;
};

TEST_F(ExtractionTest, FactsComeChangeAndGoWithTheirMemory) {
    const MemoryId id = add("I live in Berlin.");
    EXPECT_THAT(objects("lives_in"), ElementsAre("Berlin"));
    ASSERT_TRUE(store_->update("t", id, {.content = "I live in Paris."}));
    EXPECT_THAT(objects("lives_in"), ElementsAre("Paris"));
    ASSERT_TRUE(store_->remove("t", id));
    EXPECT_THAT(objects("lives_in"), IsEmpty());
    ASSERT_TRUE(store_->restore("t", id, 1));
    EXPECT_THAT(objects("lives_in"), ElementsAre("Berlin"));
    EXPECT_THAT(objects("lives_in", "other"), IsEmpty());
}

TEST_F(ExtractionTest, ASourceOfTheFactIsTheMemory) {
    const MemoryId id = add("I live in Berlin.");
    ASSERT_TRUE(store_->settle());
    facts::FactQuery query;
    query.scope.tenant = "t";
    const auto found = store_->facts("t").query(query);
    ASSERT_EQ(found->size(), 1u);
    EXPECT_EQ(found->at(0).said.sources.at(0).source, id);
    EXPECT_EQ(found->at(0).said.scope.user, "Ann");
}

TEST_F(ExtractionTest, WhatWasReadIsNotReadAgainByALaterProcess) {
    for (int i = 0; i < 20; ++i) add(fmt::format("I like Friend{}.", i));
    ASSERT_TRUE(store_->settle());
    const int read = rules_->read;
    open(rules_);
    ASSERT_TRUE(store_->settle());
    EXPECT_EQ(rules_->read, read);
    add("I live in Rome.");
    EXPECT_THAT(objects("lives_in"), ElementsAre("Rome"));
    EXPECT_EQ(rules_->read, read + 1);
}

TEST_F(ExtractionTest, VectorsThatComeLaterAreNoReasonToReadAgain) {
    add("I live in Rome.");
    ASSERT_TRUE(store_->settle());  // its vector, then what is left to read
    ASSERT_TRUE(store_->settle());
    EXPECT_EQ(rules_->read, 1);
}

TEST_F(ExtractionTest, AnotherReaderReadsAllAnewAndTakesBackWhatTheFirstSaid) {
    add("I live in Rome.");
    add("choke: I live in Oslo.");
    EXPECT_THAT(objects("lives_in"), ElementsAre("Rome"));
    const auto other = std::make_shared<CountedRules>("counted-2");
    open(other);
    EXPECT_THAT(objects("lives_in"), ElementsAre("Rome"));
    EXPECT_EQ(other->read, 2);
}

TEST_F(ExtractionTest, AReaderThatIsAwayIsAskedAgainAndNothingIsSkipped) {
    rules_->away = true;
    add("I live in Rome.");
    EXPECT_EQ(store_->settle().error().code, base::Code::unavailable);
    rules_->away = false;
    open(rules_);
    EXPECT_THAT(objects("lives_in"), ElementsAre("Rome"));
}

/// Facts are seen by whoever asks: what is for some alone must not become one.
TEST_F(ExtractionTest, WhatHasLabelsIsNotRead) {
    const json::object labels = {{"labels", json::array{"hr"}}};
    NewEntry entry;
    entry.scope = {.tenant = "t", .user = "Ann"};
    entry.content = "I live in Berlin.";
    entry.metadata = labels;
    ASSERT_TRUE(store_->add(entry));
    EXPECT_THAT(objects("lives_in"), IsEmpty());
    const MemoryId open_to_all = add("I live in Paris.");
    EXPECT_THAT(objects("lives_in"), ElementsAre("Paris"));
    ASSERT_TRUE(store_->update("t", open_to_all, {.metadata = labels}));
    EXPECT_THAT(objects("lives_in"), IsEmpty());
    EXPECT_EQ(rules_->read, 1);
}

TEST_F(ExtractionTest, PassagesOfDocumentsAreNotRead) {
    knowledge::NewDocument document;
    document.base = "b";
    document.name = "a.md";
    document.bytes = "Ann lives in Berlin.";
    const auto stored = store_->knowledge().put("t", document, {});
    ASSERT_TRUE(stored) << stored.error().message;
    ASSERT_TRUE(store_->settle());
    open(rules_);
    ASSERT_TRUE(store_->settle());
    EXPECT_EQ(rules_->read, 0);
}

/// What is not worded like the question is found where its facts hang together with it.
TEST_F(ExtractionTest, TheGraphBringsWhatWordsDoNot) {
    add("I live in Berlin.", "Ann");
    const MemoryId hobby = add("I like chess.", "Ann");
    for (int i = 0; i < 200; ++i) add(fmt::format("Note {} about nothing at all.", i), "Zoe");
    ASSERT_TRUE(store_->settle());
    Query query{.text = "Berlin"};
    query.filter.scope.tenant = "t";
    query.limit = 3;
    query.explain = true;
    query.weights = SignalWeights{.vector = 0, .graph = 1};
    const auto answer = store_->search(query);
    ASSERT_TRUE(answer) << answer.error().message;
    const auto found =
        std::ranges::find(answer->hits, hobby, [](const Hit& hit) { return hit.entry.id; });
    ASSERT_NE(found, answer->hits.end());
    EXPECT_GT(found->parts.graph, 0);
    query.weights->graph = 0;
    const auto without = store_->search(query);
    ASSERT_TRUE(without);
    EXPECT_EQ(std::ranges::find(without->hits, hobby, [](const Hit& hit) { return hit.entry.id; }),
              without->hits.end());
    query.weights->graph = 1;
    query.filter.scope.user = "Zoe";  // the filter holds for what the graph brings, too
    const auto hers = store_->search(query);
    ASSERT_TRUE(hers);
    for (const Hit& hit : hers->hits) EXPECT_EQ(hit.entry.scope.user, "Zoe");
}

/// Whatever is done to memories in whatever order, with processes that come and go: the facts are
/// those of a fresh store that holds what is left.
TEST_F(ExtractionTest, EqualsWhatAFreshReadingOfTheRestGives) {
    const char* cities[] = {"Rome", "Oslo", "Paris", "Berlin"};
    for (std::uint32_t seed = 1; seed <= 6; ++seed) {
        std::mt19937 random(seed);
        std::map<MemoryId, std::string> live;
        const std::string user = fmt::format("User{}", seed);
        for (int step = 0; step < 40; ++step) {
            const std::string text =
                fmt::format("I like {}{}.", cities[random() % 4], random() % 5);
            const auto any = [&] {
                return std::next(live.begin(), static_cast<std::ptrdiff_t>(random() % live.size()));
            };
            switch (random() % 5) {
                case 0:
                    if (random() % 4 == 0) open(rules_);
                    break;
                case 1:
                    if (live.empty()) break;
                    if (const auto one = any(); store_->remove("t", one->first)) live.erase(one);
                    break;
                case 2:
                    if (live.empty()) break;
                    if (const auto one = any();
                        store_->update("t", one->first, {.content = text})) {
                        one->second = text;
                    }
                    break;
                default:
                    live[add(text, user)] = text;  // an equal one is the same memory
            }
        }
        std::set<std::string> expected;
        for (const auto& [id, text] : live) {
            expected.insert(text.substr(7, text.size() - 8));
        }
        ASSERT_TRUE(store_->settle());
        facts::FactQuery query;
        query.scope = {.tenant = "t", .user = user};
        const auto found = store_->facts("t").query(query);
        ASSERT_TRUE(found);
        std::set<std::string> objects;
        for (const auto& fact : *found) objects.insert(fact.said.object);
        EXPECT_EQ(objects, expected) << "seed " << seed;
    }
}

}  // namespace
}  // namespace memory
