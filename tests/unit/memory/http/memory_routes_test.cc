#include "memory/http/memory_routes.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "../store/store_fixture.h"
#include "base/json/json.h"
#include "memory/http/openapi.h"

namespace test {
namespace {

namespace json = base::json;

class MemoryRoutes : public MemoryTest {
protected:
    void SetUp() override {
        MemoryTest::SetUp();
        api = std::make_unique<memory::MemoryApi>(*store, memory::MemoryApiOptions{});
    }
    void TearDown() override { api->stop(); }
    json::object call(int status, std::string method, std::string path, std::string body = "",
                      std::string tenant = "acme") {
        base::http::Request request;
        request.method = std::move(method);
        const auto question = path.find('?');
        request.path = path.substr(0, question);
        if (question != std::string::npos) request.query = path.substr(question + 1);
        request.body = std::move(body);
        request.headers.add("X-Dougong-Tenant", tenant);
        const auto answer = api->call(std::move(request));
        EXPECT_EQ(answer.status, status) << path << " " << answer.body;
        return base::parse_json(answer.body)->as_object();
    }
    std::string param_of(std::string path, std::string body) {
        const json::object answer = call(400, "POST", std::move(path), std::move(body));
        return std::string(answer.at("error").at("param").as_string());
    }
    std::unique_ptr<memory::MemoryApi> api;
};

TEST_F(MemoryRoutes, AnEntryGoesInAndComesOutWhole) {
    const json::object made = call(201, "POST", "/v1/memories", R"({"content": "Ann likes tea",
        "type": "semantic", "user": "ann", "speaker": "Ann", "metadata": {"n": 3},
        "created_unix_ms": 1700000000000, "importance": 0.9, "pinned": true,
        "sources": [{"source": "doc-1", "begin": 3, "end": 9, "page": 2}]})");
    EXPECT_EQ(made.at("how").as_string(), "added");
    const std::string id(made.at("id").as_string());
    const json::object entry = call(200, "GET", "/v1/memories/" + id);
    EXPECT_EQ(entry.at("content").as_string(), "Ann likes tea");
    EXPECT_EQ(entry.at("type").as_string(), "semantic");
    EXPECT_EQ(entry.at("speaker").as_string(), "Ann");
    EXPECT_EQ(entry.at("metadata").at("n").to_number<int>(), 3);
    EXPECT_EQ(entry.at("created_unix_ms").to_number<std::int64_t>(), 1700000000000);
    EXPECT_TRUE(entry.at("pinned").as_bool());
    EXPECT_EQ(entry.at("sources").at(0).at("source").as_string(), "doc-1");
    EXPECT_EQ(entry.at("sources").at(0).at("page").to_number<int>(), 2);
    call(404, "GET", "/v1/memories/" + id, "", "another");
}

TEST_F(MemoryRoutes, ASearchAnswersWithPartsWhenAsked) {
    call(201, "POST", "/v1/memories", R"({"content": "Ann likes tea"})");
    const json::object plain = call(200, "POST", "/v1/memories/search", R"({"query": "tea"})");
    EXPECT_FALSE(plain.at("data").at(0).as_object().contains("parts"));
    const json::object full =
        call(200, "POST", "/v1/memories/search", R"({"query": "tea", "explain": true})");
    EXPECT_GT(full.at("data").at(0).at("parts").at("keyword").to_number<double>(), 0);
    EXPECT_TRUE(full.contains("plan"));
}

TEST_F(MemoryRoutes, ListsGoOnFromTheirCursor) {
    for (int i = 0; i < 5; ++i) {
        call(201, "POST", "/v1/memories", R"({"content": "entry )" + std::to_string(i) + R"("})");
        clock.advance(std::chrono::seconds(1));
    }
    std::set<std::string> seen;
    std::string cursor;
    int pages = 0;
    do {
        const json::object page =
            call(200, "GET", "/v1/memories?limit=2&order=asc&cursor=" + cursor);
        for (const auto& entry : page.at("data").as_array()) {
            EXPECT_TRUE(seen.insert(std::string(entry.at("content").as_string())).second);
        }
        cursor = std::string(page.at("next").as_string());
        ++pages;
    } while (!cursor.empty() && pages < 10);
    EXPECT_EQ(seen.size(), 5u);
    call(400, "GET", "/v1/memories?cursor=nonsense");
    call(400, "GET", "/v1/memories?limit=0");
    call(400, "GET", "/v1/memories?type=odd");
}

TEST_F(MemoryRoutes, FaultsNameTheField) {
    EXPECT_EQ(param_of("/v1/memories", R"({"content": ""})"), "content");
    EXPECT_EQ(param_of("/v1/memories", R"({"content": "x", "importance": 3})"), "importance");
    EXPECT_EQ(param_of("/v1/memories", R"({"content": "x", "odd": 1})"), "odd");
    EXPECT_EQ(param_of("/v1/memories", R"({"memories": [{"content": "x"}, {"type": "odd"}]})"),
              "memories[1].type");
    EXPECT_EQ(param_of("/v1/memories/search", R"({"query": "x", "limit": 0})"), "limit");
    EXPECT_EQ(param_of("/v1/memories/search", R"({"query": "x", "metadata": "a = ="})"),
              "metadata");
    EXPECT_EQ(param_of("/v1/memories/search", R"({"query": "x", "weights": {"keyword": -1}})"),
              "weights.keyword");
    EXPECT_EQ(param_of("/v1/memories/search", R"({"query": "x", "embedding": [1, "a"]})"),
              "embedding");
}

TEST_F(MemoryRoutes, ANewerFactClosesTheOlderOneAndNothingIsOverwritten) {
    call(201, "POST", "/v1/facts",
         R"({"facts": [{"subject": "Ann", "predicate": "lives_in", "object": "Rome",
                        "valid_from_unix_ms": 1000000000000},
                       {"subject": "Ann", "predicate": "lives_in", "object": "Oslo",
                        "valid_from_unix_ms": 1500000000000}]})");
    const auto object_at = [&](std::string rest) {
        const json::object found =
            call(200, "GET", "/v1/facts?subject=Ann&predicate=lives_in" + rest);
        const json::array& data = found.at("data").as_array();
        return data.size() == 1 ? std::string(data[0].at("object").as_string())
                                : std::to_string(data.size()) + " facts";
    };
    EXPECT_EQ(object_at(""), "Oslo");
    EXPECT_EQ(object_at("&valid_at_unix_ms=1200000000000"), "Rome");
    EXPECT_EQ(object_at("&history=true"), "2 facts");
    const json::object near = call(200, "GET", "/v1/facts/neighbours?name=Ann");
    EXPECT_EQ(near.at("data").at(0).at("name").as_string(), "Oslo");
    const json::object now = call(200, "GET", "/v1/facts?subject=Ann");
    const std::string id(now.at("data").at(0).at("id").as_string());
    call(404, "DELETE", "/v1/facts/" + id, "", "another");
    call(200, "DELETE", "/v1/facts/" + id);
    EXPECT_EQ(object_at(""), "Rome");
    call(201, "POST", "/v1/facts/aliases", R"({"alias": "Annie", "name": "Ann"})");
    const json::object by_alias = call(200, "GET", "/v1/facts?subject=Annie");
    EXPECT_EQ(by_alias.at("data").as_array().size(), 1u);
    EXPECT_EQ(param_of("/v1/facts", R"({"facts": [{"subject": "x", "confidence": 2}]})"),
              "facts[0].confidence");
    const json::object seen = call(200, "POST", "/v1/facts/extract",
                                   R"({"text": "I moved to Rome in May 2024.", "speaker": "Ann"})");
    EXPECT_EQ(seen.at("data").at(0).at("object").as_string(), "Rome");
}

TEST_F(MemoryRoutes, TheDocumentedRoutesAreTheRoutes) {
    base::http::Router router;
    api->register_routes(router);
    std::set<std::pair<std::string, std::string>> routed, documented;
    for (const auto& [method, pattern] : router.routes()) routed.emplace(method, pattern);
    for (const auto& [path, item] : memory::memory_paths()) {
        for (const auto& [method, operation] : item.as_object()) {
            std::string upper(method);
            std::ranges::transform(upper, upper.begin(),
                                   [](unsigned char c) { return std::toupper(c); });
            documented.emplace(upper, path);
        }
    }
    EXPECT_EQ(routed, documented);
}

TEST_F(MemoryRoutes, ForgettingIsPreviewedDoneAndHasAReceipt) {
    call(201, "POST", "/v1/memories", R"({"content": "Ann likes tea", "user": "ann"})");
    call(201, "POST", "/v1/memories", R"({"content": "Bob sails", "user": "bob"})");
    const json::object look =
        call(200, "POST", "/v1/memories/forget", R"({"subject": "Ann", "dry_run": true})");
    EXPECT_EQ(look.at("counts").at("memories").to_number<int>(), 1);
    EXPECT_EQ(look.at("memories").at(0).at("why").as_string(), "user");
    EXPECT_EQ(call(200, "GET", "/v1/memories").at("data").as_array().size(), 2u);

    const json::object done =
        call(200, "POST", "/v1/memories/forget", R"({"user": "ann", "wait": true})");
    EXPECT_EQ(done.at("status").as_string(), "done");
    EXPECT_EQ(done.at("ids_sha256"), look.at("ids_sha256"));
    EXPECT_TRUE(done.at("scan").at("clean").as_bool());
    EXPECT_EQ(base::to_text(done).find("\"ann\""), std::string::npos) << "the receipt names nobody";
    EXPECT_EQ(call(200, "GET", "/v1/memories").at("data").as_array().size(), 1u);
    const std::string id(done.at("id").as_string());
    EXPECT_EQ(call(200, "GET", "/v1/memories/forgets/" + id), done);
    EXPECT_EQ(call(200, "GET", "/v1/memories/forgets").at("data").as_array().size(), 1u);
    call(404, "GET", "/v1/memories/forgets/" + id, "", "another");
    call(202, "POST", "/v1/memories/forget", R"({"subject": "Nobody"})");
    EXPECT_EQ(param_of("/v1/memories/forget", "{}"), "target");
    EXPECT_EQ(param_of("/v1/memories/forget", R"({"user": 3})"), "user");
}

TEST_F(MemoryRoutes, CompressingIsPreviewedDoneAndTakenBack) {
    for (int i = 0; i < 4; ++i) {
        call(201, "POST", "/v1/memories",
             R"({"content": "the nightly report was late again", "type": "episodic",
                 "session": "s", "created_unix_ms": )" +
                 std::to_string(1'600'000'000'000 + i) + "}");
    }
    const std::string asked = R"({"session": "s", "policy": {"merge_similarity": 0.7})";
    const json::object plan =
        call(200, "POST", "/v1/memories/compress", asked + R"(, "dry_run": true})");
    EXPECT_EQ(plan.at("summaries").to_number<int>(), 1);
    EXPECT_EQ(plan.at("merge").at(0).at("ids").as_array().size(), 4u);
    const json::object done = call(200, "POST", "/v1/memories/compress", asked + "}");
    EXPECT_EQ(done.at("tokens_after"), plan.at("tokens_after"));
    EXPECT_EQ(call(200, "GET", "/v1/memories").at("data").as_array().size(), 1u);
    const std::string path = "/v1/memories/compressions/" + std::string(done.at("id").as_string());
    EXPECT_EQ(call(200, "GET", path), done);
    EXPECT_GT(call(200, "POST", path + "/undo").at("undone_unix_ms").to_number<double>(), 0);
    EXPECT_EQ(call(200, "GET", "/v1/memories").at("data").as_array().size(), 4u);
    call(400, "POST", path + "/undo");
    EXPECT_EQ(call(200, "GET", "/v1/memories/compressions").at("data").as_array().size(), 1u);
    EXPECT_EQ(param_of("/v1/memories/compress", R"({"policy": {"importance_min": 2}})"),
              "policy.importance_min");
}

TEST_F(MemoryRoutes, ProfileBlocksAreWrittenAndRendered) {
    const std::string path = "/v1/profiles/human", whose = "?user=ann";
    const json::object made = call(200, "PUT", path + whose,
                                   R"({"text": "Ann", "limit_chars": 20, "expected_version": 0})");
    EXPECT_EQ(made.at("version").to_number<int>(), 1);
    EXPECT_EQ(call(200, "POST", path + "/append" + whose, R"({"line": "tea"})").at("text"),
              json::value("Ann\ntea"));
    EXPECT_EQ(call(200, "POST", path + "/replace" + whose, R"({"before": "tea", "after": "milk"})")
                  .at("text"),
              json::value("Ann\nmilk"));
    call(413, "POST", path + "/append" + whose, R"({"line": "much more than fits into it"})");
    EXPECT_EQ(call(200, "GET", path + "/history" + whose).at("data").as_array().size(), 3u);
    EXPECT_EQ(call(200, "POST", path + "/restore" + whose, R"({"version": 1})").at("text"),
              json::value("Ann"));
    EXPECT_EQ(call(200, "GET", "/v1/profiles" + whose).at("text"),
              json::value("<human chars=\"3/20\">\nAnn\n</human>\n"));
    EXPECT_TRUE(call(200, "GET", "/v1/profiles").at("data").as_array().empty());
    call(200, "DELETE", path + whose);
    call(404, "GET", path + whose);
    EXPECT_EQ(param_of(path + "/append" + whose, "{}"), "line");
}

TEST_F(MemoryRoutes, WhatIsDoneIsCounted) {
    base::metrics::Registry metrics;
    api->stop();
    api =
        std::make_unique<memory::MemoryApi>(*store, memory::MemoryApiOptions{.metrics = &metrics});
    for (int i = 0; i < 2; ++i) {
        call(i == 0 ? 201 : 200, "POST", "/v1/memories", R"({"content": "Ann likes green tea"})");
    }
    call(200, "POST", "/v1/memories/search", R"({"query": "tea"})");
    call(400, "POST", "/v1/memories/search", R"({"query": ""})");
    const std::string text = metrics.exposition();
    for (const char* line : {"dougong_memory_writes_total{outcome=\"added\"} 1\n",
                             "dougong_memory_writes_total{outcome=\"merged\"} 1\n",
                             "dougong_memory_searches_total{outcome=\"answered\"} 1\n",
                             "dougong_memory_searches_total{outcome=\"failed\"} 1\n",
                             "dougong_memory_search_seconds_count 2\n",
                             "dougong_memory_entries 1\n", "dougong_memory_forgets_open 0\n"}) {
        EXPECT_NE(text.find(line), std::string::npos) << line << text;
    }
    api.reset();
    EXPECT_EQ(metrics.exposition().find("dougong_memory_entries"), std::string::npos);
    api = std::make_unique<memory::MemoryApi>(*store, memory::MemoryApiOptions{});
}

}  // namespace
}  // namespace test
