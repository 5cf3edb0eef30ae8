// Tools of agents: what they list is what they take, and nobody reaches another's memories.
#include "memory/tools/memory_tools.h"

#include <gmock/gmock.h>

#include "memory/facts/extractor.h"
#include "memory/facts/fact_store.h"
#include "unit/memory/store/store_fixture.h"

namespace memory {
namespace {

namespace json = base::json;
using ::testing::HasSubstr;

class ToolsTest : public test::MemoryTest {
protected:
    json::object call(std::string_view tool, std::string_view arguments, std::string user = "ann",
                      std::vector<std::string> labels = {}) {
        MemoryTools tools(*store, {.tenant = "t", .user = std::move(user), .agent = "helper"},
                          std::move(labels));
        const auto parsed = base::parse_json(arguments);
        EXPECT_TRUE(parsed) << arguments;
        auto answer = tools.call(tool, parsed->as_object());
        if (answer) return *answer;
        return {{"error", answer.error().message}, {"subject", answer.error().subject}};
    }
    std::string id_of(const json::object& answer) {
        return std::string(answer.at("id").as_string());
    }
};

TEST_F(ToolsTest, EveryToolIsListedWithASchemaAndRuns) {
    const json::object listing = MemoryTools::listing();
    for (const json::value& tool : listing.at("tools").as_array()) {
        const json::object& schema = tool.at("inputSchema").as_object();
        EXPECT_EQ(schema.at("type").as_string(), "object");
        const json::array& required = schema.at("required").as_array();
        ASSERT_FALSE(required.empty());
        // Without its first argument each names just that one.
        const json::object refused = call(tool.at("name").as_string(), "{}");
        EXPECT_EQ(refused.at("subject").as_string(), required.at(0).as_string());
        // And refuses what its schema does not list.
        json::object more;
        for (const auto& [name, field] : schema.at("properties").as_object()) {
            if (field.as_object().contains("type") && field.at("type") == "string") {
                more[name] = "x";
            }
        }
        more["stranger"] = 1;
        EXPECT_EQ(call(tool.at("name").as_string(), base::to_text(more)).at("subject").as_string(),
                  "stranger");
    }
    EXPECT_THAT(std::string(call("memory_burn", "{}").at("error").as_string()),
                HasSubstr("memory_burn"));
}

TEST_F(ToolsTest, WhatIsAddedIsFoundCorrectedAndRemoved) {
    const std::string id = id_of(call("memory_add", R"({"content": "Ann likes green tea"})"));
    const json::object found = call("memory_search", R"({"query": "green tea"})");
    EXPECT_EQ(found.at("memories").at(0).at("id").as_string(), id);
    call("memory_update", R"({"id": ")" + id + R"(", "content": "Ann likes black tea"})");
    EXPECT_EQ(store->history("t", id)->at(0).by, "helper");
    EXPECT_EQ(call("memory_search", R"({"query": "black tea"})")
                  .at("memories")
                  .at(0)
                  .at("content")
                  .as_string(),
              "Ann likes black tea");
    EXPECT_TRUE(call("memory_remove", R"({"id": ")" + id + R"("})").at("removed").as_bool());
    EXPECT_TRUE(call("memory_search", R"({"query": "tea"})").at("memories").as_array().empty());
}

TEST_F(ToolsTest, AnotherUsersMemoriesAreNotThere) {
    const std::string id = id_of(call("memory_add", R"({"content": "the code is 4711"})"));
    const std::string named = R"({"id": ")" + id + R"("})";
    EXPECT_TRUE(call("memory_search", R"({"query": "code 4711"})", "bob")
                    .at("memories")
                    .as_array()
                    .empty());
    EXPECT_TRUE(call("memory_remove", named, "bob").contains("error"));
    EXPECT_TRUE(call("memory_update", R"({"id": ")" + id + R"(", "content": "x"})", "bob")
                    .contains("error"));
    EXPECT_EQ(store->get("t", id)->content, "the code is 4711");
}

TEST_F(ToolsTest, WhatHasLabelsNeedsOneOfThem) {
    NewEntry entry;
    entry.scope = {.tenant = "t", .user = "ann"};
    entry.content = "salaries rise in May";
    entry.metadata = {{"labels", json::array{"hr"}}};
    const MemoryId id = store->add(entry)->id;
    const std::string named = R"({"id": ")" + id + R"("})";
    const char* question = R"({"query": "salaries"})";
    EXPECT_TRUE(call("memory_search", question).at("memories").as_array().empty());
    EXPECT_TRUE(call("memory_remove", named).contains("error"));
    EXPECT_EQ(call("memory_search", question, "ann", {"hr"}).at("memories").as_array().size(), 1u);
    EXPECT_FALSE(call("memory_remove", named, "ann", {"hr"}).contains("error"));
}

TEST_F(ToolsTest, FactsAndPathsOfTheUserAlone) {
    const auto say = [&](std::string user, std::string subject, std::string object) {
        facts::Assertion one;
        one.scope = {.tenant = "t", .user = std::move(user)};
        one.subject = std::move(subject);
        one.predicate = "knows";
        one.object = std::move(object);
        one.cardinality = facts::Cardinality::many;
        ASSERT_TRUE(store->facts("t").add(std::span(&one, 1)));
    };
    say("ann", "Ann", "Bob");
    say("ann", "Bob", "Cleo");
    say("dan", "Cleo", "Dan");
    EXPECT_EQ(call("memory_facts", R"({"subject": "Bob"})").at("facts").as_array().size(), 1u);
    EXPECT_EQ(call("memory_facts", R"({"subject": "Cleo"})").at("facts").as_array().size(), 0u);
    EXPECT_EQ(call("memory_graph", R"({"name": "Ann", "depth": 3})").at("facts").as_array().size(),
              2u);
    EXPECT_EQ(
        call("memory_graph", R"({"name": "Ann", "to": "Cleo"})").at("paths").at(0).as_string(),
        "Ann knows Bob; Bob knows Cleo");
    EXPECT_TRUE(
        call("memory_graph", R"({"name": "Ann", "to": "Dan"})").at("paths").as_array().empty());
    EXPECT_FALSE(
        call("memory_graph", R"({"name": "Ann", "to": "Dan"})", "").at("paths").as_array().empty());
}

TEST_F(ToolsTest, ALongTaskGoesOnFromItsCheckpoint) {
    call("task_checkpoint", R"({"task": "move", "state": {"next": 3}, "result": "packed",
        "next_steps": ["call the van"], "progress": 0.5})");
    const json::object last = call("task_resume", R"({"task": "move"})");
    EXPECT_EQ(last.at("state").at("next").to_number<int>(), 3);
    EXPECT_THAT(std::string(last.at("summary").as_string()), HasSubstr("call the van"));
}

TEST_F(ToolsTest, ACheckFindsAllInOrder) {
    add("one");
    add("two");
    for (const Finding& one : store->check("t")) EXPECT_TRUE(one.sound) << one.what << one.detail;
}

/// The longer the text, the better.
class LongestFirst final : public Reranker {
public:
    const std::string& id() const override { return id_; }
    base::Result<std::vector<float>> score(std::string_view,
                                           std::span<const std::string> texts) override {
        if (away) return base::fail(base::Code::unavailable, "away");
        std::vector<float> scores;
        for (const std::string& text : texts) {
            scores.push_back(static_cast<float>(text.size()) / 100);
        }
        read = texts.size();
        return scores;
    }
    bool away = false;
    std::size_t read = 0;

private:
    const std::string id_ = "longest";
};

TEST(Rerank, OrdersTheFirstHitsAndTheRestStaysBehind) {
    test::TempDir dir;
    test::ManualClock clock;
    const auto reranker = std::make_shared<LongestFirst>();
    StoreOptions options{.location = dir.path() + "/memory", .shards = 1};
    options.reranker = reranker;
    const auto store = *MemoryStore::open(options, nullptr, clock);
    for (const char* text : {"tea", "tea with milk", "tea with much milk and sugar", "tea cups"}) {
        NewEntry entry;
        entry.scope.tenant = "t";
        entry.content = text;
        ASSERT_TRUE(store->add(entry));
    }
    Query query{.text = "tea"};
    query.filter.scope.tenant = "t";
    query.limit = 2;
    const auto plain = *store->search(query);
    query.rerank = 4;
    const auto read = *store->search(query);
    EXPECT_EQ(reranker->read, 4u);
    ASSERT_EQ(read.hits.size(), 2u);
    EXPECT_EQ(read.hits[0].entry.content, "tea with much milk and sugar");
    EXPECT_EQ(read.hits[1].entry.content, "tea with milk");
    EXPECT_FALSE(read.rerank_missing);
    reranker->away = true;
    const auto without = *store->search(query);
    EXPECT_TRUE(without.rerank_missing);
    EXPECT_EQ(without.hits[0].entry.id, plain.hits[0].entry.id);
    query.rerank = 1'000;
    EXPECT_EQ(store->search(query).error().subject, "rerank");
}

}  // namespace
}  // namespace memory
