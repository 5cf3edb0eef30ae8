#include "memory/http/knowledge_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <set>

#include "memory/http/form.h"
#include "memory/http/memory_routes.h"
#include "memory/http/openapi.h"
#include "support/manual_clock.h"
#include "support/seeds.h"
#include "support/temp_dir.h"

namespace test {
namespace {

namespace json = base::json;

class KnowledgeRoutes : public testing::Test {
protected:
    void SetUp() override {
        memory::StoreOptions options;
        options.location = dir.file("store");
        options.shards = 1;
        auto opened = memory::MemoryStore::open(options, nullptr, clock);
        ASSERT_TRUE(opened) << opened.error().message;
        store = std::move(*opened);
        api = std::make_unique<memory::MemoryApi>(*store, memory::MemoryApiOptions{});
    }
    void TearDown() override { api->stop(); }
    json::object call(int status, std::string method, std::string path, std::string body = "",
                      std::string type = "") {
        base::http::Request request;
        request.method = std::move(method);
        const auto question = path.find('?');
        request.path = path.substr(0, question);
        if (question != std::string::npos) request.query = path.substr(question + 1);
        request.body = std::move(body);
        if (!type.empty()) request.headers.add("Content-Type", type);
        const auto answer = api->call(std::move(request));
        EXPECT_EQ(answer.status, status) << path << " " << answer.body;
        return base::parse_json(answer.body)->as_object();
    }

    TempDir dir;
    ManualClock clock;
    std::unique_ptr<memory::MemoryStore> store;
    std::unique_ptr<memory::MemoryApi> api;
};

TEST_F(KnowledgeRoutes, ADocumentGoesInIsFoundReadAndRemoved) {
    const std::string body = "# Leave\n\nParental leave lasts 14 weeks.";
    const json::object made =
        call(201, "PUT", "/v1/knowledge/hr/documents?name=leave.md&metadata=%7B%22year%22:2024%7D",
             body);
    EXPECT_EQ(made.at("how").as_string(), "added");
    EXPECT_EQ(made.at("media_type").as_string(), "text/markdown");
    const std::string path = "/v1/knowledge/hr/documents/" + std::string(made.at("id").as_string());
    EXPECT_EQ(call(200, "PUT",
                   "/v1/knowledge/hr/documents?name=leave.md&metadata=%7B%22year%22:"
                   "2024%7D",
                   body)
                  .at("how")
                  .as_string(),
              "unchanged");
    const json::object found = call(200, "POST", "/v1/knowledge/search",
                                    R"({"query": "parental leave", "metadata": "year = 2024"})");
    const json::object& at = found.at("data").at(0).at("at").as_object();
    const json::object text = call(200, "GET", path + "/text");
    const auto begin = at.at("begin").to_number<std::size_t>();
    const auto end = at.at("end").to_number<std::size_t>();
    EXPECT_EQ(std::string(text.at("text").as_string()).substr(begin, end - begin),
              found.at("data").at(0).at("text").as_string());
    EXPECT_EQ(call(200, "GET", path).at("outline").as_array().size(), 1u);
    EXPECT_EQ(call(200, "GET", "/v1/knowledge").at("data").at(0).at("name").as_string(), "hr");
    EXPECT_EQ(call(200, "GET", "/v1/knowledge/hr/documents").at("data").as_array().size(), 1u);
    call(200, "DELETE", path);
    call(404, "GET", path);
}

TEST_F(KnowledgeRoutes, AFormOfABrowserIsADocument) {
    const std::string form =
        "--B\r\nContent-Disposition: form-data; name=\"label\"\r\n\r\nhr\r\n--B\r\n"
        "Content-Disposition: form-data; name=\"file\"; filename=\"a.md\"\r\nContent-Type: "
        "application/octet-stream\r\n\r\n# Pay\r\n\r\nAnn earns 5 EUR.\r\n--B--\r\n";
    const json::object made =
        call(201, "POST", "/v1/knowledge/b/documents", form, "multipart/form-data; boundary=B");
    EXPECT_EQ(made.at("title").as_string(), "Pay");
    EXPECT_TRUE(call(200, "GET", "/v1/knowledge").at("data").as_array().empty());
    EXPECT_EQ(call(200, "GET", "/v1/knowledge?label=hr").at("data").as_array().size(), 1u);
    call(400, "POST", "/v1/knowledge/b/documents", form.substr(0, 60),
         "multipart/form-data; boundary=B");
}

TEST_F(KnowledgeRoutes, BadCallsAreToldApart) {
    call(400, "PUT", "/v1/knowledge/b/documents?name=a.pdf", "%PDF-1.4 broken");
    call(400, "PUT", "/v1/knowledge/b/documents?metadata=3", "text");
    call(400, "POST", "/v1/knowledge/search", R"({"query": "x", "colour": 1})");
    call(400, "POST", "/v1/knowledge/search", R"({"query": "x", "metadata": "year >"})");
    call(404, "GET", "/v1/knowledge/b/documents/none");
    EXPECT_TRUE(call(200, "GET", "/v1/knowledge").at("data").as_array().empty());
}

TEST_F(KnowledgeRoutes, OpenApiListsExactlyTheRoutes) {
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

TEST(Form, AnyBytesAreReadOrRefused) {
    const std::string good = "--B\r\nContent-Disposition: form-data; name=x\r\n\r\ny\r\n--B--";
    ASSERT_EQ(memory::read_form("multipart/form-data; boundary=\"B\"", good)->at(0).bytes, "y");
    for_each_seed(500, [&](base::Rng& rng) {
        std::string bytes = good;
        for (std::uint64_t edit = 1 + rng.below(6); edit != 0 && !bytes.empty(); --edit) {
            const std::size_t at = rng.below(bytes.size());
            if (rng.below(2) == 0) {
                bytes.erase(at, rng.below(9));
            } else {
                bytes.insert(at, good.substr(rng.below(good.size()), rng.below(20)));
            }
        }
        if (const auto parts = memory::read_form("multipart/form-data; boundary=B", bytes)) {
            for (const auto& part : *parts) {
                EXPECT_LE(part.bytes.size(), bytes.size());
            }
        }
    });
}

}  // namespace
}  // namespace test
