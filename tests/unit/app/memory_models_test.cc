// Models behind an API that read memories: facts out of a text, hits beside a question.
#include <gmock/gmock.h>

#include <mutex>

#include "app/memory_extractor.h"
#include "app/memory_reranker.h"
#include "app/memory_summarizer.h"
#include "base/json/json.h"
#include "support/http_stub.h"

namespace app {
namespace {

namespace json = base::json;
using base::Code;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// Answers every request with what it was told to.
class ModelTest : public testing::Test {
protected:
    void says(std::string body, int status = 200) {
        const std::lock_guard lock(mutex_);
        body_ = std::move(body);
        status_ = status;
    }
    /// As the content of a chat answer.
    void chats(std::string_view content) {
        says(base::to_text(json::object{
            {"choices",
             json::array{json::object{{"message", json::object{{"content", content}}}}}}}));
    }
    base::Result<std::vector<memory::facts::Assertion>> extract(std::string_view text) {
        const auto made = make_endpoint_extractor({.url = stub_.url() + "/v1/", .model = "m"});
        EXPECT_TRUE(made);
        return (*made)->extract(text, {.scope = {.tenant = "t", .user = "ann"},
                                       .speaker = "Ann",
                                       .listener = {},
                                       .said_at_unix_ms = 1'700'000'000'000,
                                       .source = "mem-1"});
    }
    base::Result<std::vector<float>> rank(bool chat) {
        const auto made = make_endpoint_reranker(
            {.url = stub_.url() + "/v1", .model = "m", .api_key = "key", .chat = chat});
        EXPECT_TRUE(made);
        const std::vector<std::string> texts = {"tea", "coffee"};
        return (*made)->score("what to drink", texts);
    }

    std::mutex mutex_;
    std::string body_;
    int status_ = 200;
    test::HttpStub stub_{[this](const test::StubRequest&) {
        const std::lock_guard lock(mutex_);
        test::StubResponse response;
        response.status = status_;
        response.body = body_;
        return response;
    }};
};

TEST_F(ModelTest, FactsThatTheTextSaysAreKept) {
    chats(R"({"facts": [
        {"subject": "Ann", "relation": "lives_in", "value": "Rome", "single": true, "ends": false,
         "since": "2023-05-01"},
        {"subject": "Bob", "relation": "likes", "value": "chess", "single": false, "ends": true,
         "since": ""}]})");
    const auto said = extract("I have lived in Rome since May. Bob gave up Chess.");
    ASSERT_TRUE(said) << said.error().message;
    ASSERT_EQ(said->size(), 2u);
    EXPECT_EQ(said->at(0).valid_from_unix_ms, 1'682'899'200'000);
    EXPECT_EQ(said->at(0).cardinality, memory::facts::Cardinality::one);
    EXPECT_EQ(said->at(0).sources.at(0).source, "mem-1");
    EXPECT_EQ(said->at(1).valid_from_unix_ms, 1'700'000'000'000);
    EXPECT_TRUE(said->at(1).ends);
    const auto asked = base::parse_json(stub_.requests().back().body)->as_object();
    EXPECT_EQ(stub_.requests().back().target, "/v1/chat/completions");
    EXPECT_EQ(asked.at("response_format").at("type").as_string(), "json_schema");
}

TEST_F(ModelTest, FactsThatTheTextDoesNotSayAreDropped) {
    chats(R"({"facts": [
        {"subject": "Ann", "relation": "lives_in", "value": "Oslo", "single": true, "ends": false,
         "since": ""},
        {"subject": "Zoe", "relation": "lives_in", "value": "Rome", "single": true, "ends": false,
         "since": ""},
        {"subject": "Ann", "relation": "", "value": "Rome", "single": true, "ends": false,
         "since": ""}, 7, {"subject": 1}]})");
    const auto said = extract("I live in Rome.");
    ASSERT_TRUE(said);
    EXPECT_THAT(*said, IsEmpty());
}

TEST_F(ModelTest, AServiceThatIsAwayIsAskedAgainAndABadAnswerIsNot) {
    says("", 503);
    EXPECT_EQ(extract("I live in Rome.").error().code, Code::unavailable);
    says("", 401);
    EXPECT_EQ(extract("I live in Rome.").error().code, Code::unavailable);
    says("", 400);
    EXPECT_NE(extract("I live in Rome.").error().code, Code::unavailable);
    chats("no json");
    const auto bad = extract("I live in Rome.");
    ASSERT_FALSE(bad);
    EXPECT_NE(bad.error().code, Code::unavailable);
    chats(R"({"statements": []})");
    EXPECT_FALSE(extract("I live in Rome."));
}

TEST_F(ModelTest, ScoresComeBackInTheOrderOfTheTexts) {
    says(R"({"results": [{"index": 1, "relevance_score": 0.9},
                         {"index": 0, "relevance_score": 0.2}]})");
    const auto ranked = rank(false);
    ASSERT_TRUE(ranked) << ranked.error().message;
    EXPECT_THAT(*ranked, ElementsAre(.2f, .9f));
    EXPECT_EQ(stub_.requests().back().target, "/v1/rerank");
    EXPECT_EQ(stub_.requests().back().headers.at("authorization"), "Bearer key");
    says(R"({"results": [{"index": 2, "relevance_score": 0.9}]})");
    EXPECT_FALSE(rank(false));
    says(R"({"results": 3})");
    EXPECT_FALSE(rank(false));
}

TEST_F(ModelTest, AChatModelGrades) {
    chats(R"({"grades": [3, 10]})");
    const auto ranked = rank(true);
    ASSERT_TRUE(ranked) << ranked.error().message;
    EXPECT_THAT(*ranked, ElementsAre(.3f, 1.f));
    chats(R"({"grades": [3]})");
    EXPECT_FALSE(rank(true));
    chats("well, the first one");
    EXPECT_FALSE(rank(true));
}

TEST_F(ModelTest, ASummaryNamesWhatEachSentenceIsOf) {
    const auto made = make_endpoint_summarizer({.url = stub_.url() + "/v1/", .model = "m"});
    ASSERT_TRUE(made);
    const std::vector<std::string> texts = {"Ann: tea", "Ben: coffee", "Ann: cake"};
    chats(R"({"sentences": [{"text": "Ann wants tea and cake.", "of": [1, 3]}]})");
    const auto summary = (*made)->summarize(texts, 3);
    ASSERT_TRUE(summary) << summary.error().message;
    ASSERT_EQ(summary->size(), 1u);
    EXPECT_EQ((*summary)[0].text, "Ann wants tea and cake.");
    EXPECT_THAT((*summary)[0].of, ElementsAre(0, 2));
    for (const char* nonsense :
         {"tea", R"({"sentences": "tea"})", R"({"sentences": [{"text": 1}]})",
          R"({"sentences": [{"text": "tea", "of": [0]}]})"}) {
        chats(nonsense);
        EXPECT_FALSE((*made)->summarize(texts, 3)) << nonsense;
    }
    says("", 503);
    EXPECT_EQ((*made)->summarize(texts, 3).error().code, Code::unavailable);
    EXPECT_EQ(make_endpoint_summarizer({.url = "tea", .model = "m"}).error().code,
              Code::invalid_argument);
    EXPECT_EQ(make_endpoint_summarizer({.url = stub_.url(), .model = ""}).error().code,
              Code::invalid_argument);
}

TEST_F(ModelTest, WhatIsNotNamedIsToldByItsSetting) {
    EXPECT_EQ(make_endpoint_extractor({.url = "rulez", .model = ""}).error().subject,
              "memory.facts");
    EXPECT_EQ(make_endpoint_extractor({.url = stub_.url(), .model = ""}).error().subject,
              "memory.facts_model");
    EXPECT_EQ(make_endpoint_reranker({.url = stub_.url(), .model = ""}).error().subject,
              "memory.reranker_model");
}

}  // namespace
}  // namespace app
