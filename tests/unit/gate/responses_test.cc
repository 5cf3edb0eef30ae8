// /v1/responses: items, events, what is stored and continued.
#include "support/gateway_fixture.h"

#include "gate/request_parser.h"
#include "gate/response_store.h"

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
namespace json = base::json;

constexpr std::string_view kTools =
    R"(,"tools":[{"type":"function","name":"weather","parameters":{"type":"object"}}])";

std::string ask(std::string_view input, std::string_view more = {}) {
    return R"({"model":"fake/chat","input":")" + std::string(input) + "\"" + std::string(more) +
           "}";
}

class ResponsesTest : public test::GatewayTest {
protected:
    json::value create(std::string_view input, std::string_view more = {}) {
        const auto response = post("/v1/responses", ask(input, more));
        EXPECT_EQ(response.status, 200) << response.body;
        return parsed(response.body);
    }
    test::RawResponse call(std::string_view method, const std::string& path,
                           std::string_view headers = {}) {
        test::RawClient client(server_->port());
        return client.request(method, path, {}, headers);
    }
    static std::string id_of(const json::value& response) {
        return std::string(response.at("id").as_string());
    }
    /// A stream's events; each says its type twice and counts on.
    static std::vector<json::value> typed_events(std::string_view body) {
        std::vector<json::value> all;
        while (!body.empty()) {
            std::string_view event = body.substr(0, body.find("\n\n"));
            body.remove_prefix(std::min(body.size(), event.size() + 2));
            if (event.starts_with("id: ")) event.remove_prefix(event.find('\n') + 1);
            EXPECT_TRUE(event.starts_with("event: ")) << event;
            const std::string_view type = event.substr(7, event.find('\n') - 7);
            all.push_back(parsed(std::string(event.substr(event.find("data: ") + 6))));
            EXPECT_EQ(all.back().at("type").as_string(), type);
            EXPECT_EQ(all.back().at("sequence_number").as_int64() -
                          all.front().at("sequence_number").as_int64(),
                      static_cast<std::int64_t>(all.size()) - 1);
        }
        return all;
    }
    static std::vector<std::string> types(const std::vector<json::value>& events) {
        std::vector<std::string> out;
        for (const auto& event : events) {
            std::string type(event.at("type").as_string());
            // How many deltas there are depends on how fast the test reads.
            if (out.empty() || out.back() != type) out.push_back(std::move(type));
        }
        return out;
    }
    json::value wait_for_status(const std::string& id, std::string_view status) {
        json::value now;
        do {
            now = parsed(get("/v1/responses/" + id).body);
        } while (now.at("status").as_string() != status &&
                 now.at("status").as_string() != "failed");
        EXPECT_EQ(now.at("status").as_string(), status);
        return now;
    }
};

TEST_F(ResponsesTest, AnswersWithItemsAndRepeatsTheRequest) {
    start();
    const auto response =
        create("hello", R"(,"instructions":"be brief","metadata":{"a":"b"},"temperature":0.5)");
    EXPECT_EQ(response.at("object").as_string(), "response");
    EXPECT_EQ(response.at("status").as_string(), "completed");
    EXPECT_TRUE(id_of(response).starts_with("resp_"));
    const auto& item = response.at("output").at(0);
    EXPECT_EQ(item.at("type").as_string(), "message");
    EXPECT_EQ(item.at("content").at(0).at("type").as_string(), "output_text");
    EXPECT_EQ(item.at("content").at(0).at("text").as_string(), "You said: hello");
    EXPECT_EQ(response.at("usage").at("output_tokens").as_int64(), 4);
    EXPECT_EQ(response.at("usage").at("input_tokens_details").at("cached_tokens").as_int64(), 1);
    EXPECT_EQ(response.at("metadata").at("a").as_string(), "b");
    EXPECT_EQ(response.at("temperature").as_double(), 0.5);
    EXPECT_EQ(response.at("model").as_string(), "fake/chat");
    const auto messages = *backend_.last_request().prompt.messages;
    EXPECT_EQ(messages.at(0).at("role").as_string(), "system");
    EXPECT_EQ(messages.at(0).at("content").as_string(), "be brief");
}

TEST_F(ResponsesTest, StreamsTypedEventsForReasoningTextAndCalls) {
    start();
    auto events = typed_events(post("/v1/responses", ask("think done", R"(,"stream":true)")).body);
    EXPECT_THAT(
        types(events),
        ElementsAre("response.created", "response.in_progress", "response.output_item.added",
                    "response.content_part.added", "response.reasoning_text.delta",
                    "response.reasoning_text.done", "response.content_part.done",
                    "response.output_item.done", "response.output_item.added",
                    "response.content_part.added", "response.output_text.delta",
                    "response.output_text.done", "response.content_part.done",
                    "response.output_item.done", "response.completed"));
    const auto& done = events.back().at("response");
    EXPECT_EQ(done.at("output").at(0).at("content").at(0).at("text").as_string(), "Let me think.");
    EXPECT_EQ(done.at("output").at(1).at("content").at(0).at("text").as_string(), "done");
    EXPECT_EQ(done.at("usage").at("output_tokens_details").at("reasoning_tokens").as_int64(), 3);

    events = typed_events(post("/v1/responses", ask(R"(call weather {\"a\":1})",
                                                    std::string(kTools) + R"(,"stream":true)"))
                              .body);
    EXPECT_THAT(types(events),
                ElementsAre("response.created", "response.in_progress",
                            "response.output_item.added", "response.function_call_arguments.delta",
                            "response.function_call_arguments.done", "response.output_item.done",
                            "response.completed"));
    std::string arguments, item_id;
    for (const auto& event : events) {
        if (event.at("type").as_string() != "response.function_call_arguments.delta") continue;
        arguments += event.at("delta").as_string();
        item_id = event.at("item_id").as_string();
    }
    EXPECT_EQ(arguments, R"({"a":1})");
    const auto& call = events.back().at("response").at("output").at(0);
    EXPECT_EQ(call.at("type").as_string(), "function_call");
    EXPECT_EQ(call.at("id").as_string(), item_id);
    EXPECT_EQ(call.at("call_id").as_string(), "call_0");
    EXPECT_EQ(call.at("arguments").as_string(), arguments);
}

TEST_F(ResponsesTest, AnIncompleteAnswerSaysWhy) {
    start();
    const auto response = create("hello", R"(,"max_output_tokens":2)");
    EXPECT_EQ(response.at("status").as_string(), "incomplete");
    EXPECT_EQ(response.at("incomplete_details").at("reason").as_string(), "max_output_tokens");
    EXPECT_EQ(response.at("output").at(0).at("status").as_string(), "incomplete");
}

TEST_F(ResponsesTest, AnErrorInTheMiddleIsAFailedResponse) {
    start();
    EXPECT_EQ(post("/v1/responses", ask("fail", R"(,"stream":true)")).status, 500);
    const auto events = typed_events(post("/v1/responses", ask("late", R"(,"stream":true)")).body);
    EXPECT_EQ(events.back().at("type").as_string(), "response.failed");
    EXPECT_EQ(events.back().at("response").at("error").at("message").as_string(),
              "the script says fail");
    EXPECT_EQ(error_code(post("/v1/responses", ask("toolong"))), "context_length_exceeded");
}

TEST_F(ResponsesTest, APreviousResponseIsContinuedWithItsCalls) {
    start();
    const auto first = create(R"(call weather {\"a\":1})", kTools);
    const std::string session = backend_.last_request().session;
    EXPECT_EQ(session, id_of(first));
    const std::string output =
        R"({"model":"fake/chat","input":[{"type":"function_call_output","call_id":"call_0",)"
        R"("output":"sunny"}],"previous_response_id":")";
    const auto second = parsed(post("/v1/responses", output + id_of(first) + "\"}").body);
    EXPECT_EQ(second.at("output").at(0).at("content").at(0).at("text").as_string(),
              "You said: sunny");
    const auto request = backend_.last_request();
    const auto& messages = *request.prompt.messages;
    ASSERT_EQ(messages.size(), 3U);
    EXPECT_EQ(messages.at(1).at("tool_calls").at(0).at("id").as_string(), "call_0");
    EXPECT_EQ(messages.at(2).at("tool_call_id").as_string(), "call_0");
    EXPECT_EQ(request.session, session) << "the conversation keeps its first name";
    auto refused = post("/v1/responses", output + "resp_none\"}");
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(error_code(refused), "previous_response_not_found");
    refused = post("/v1/responses",
                   R"({"input":[{"type":"function_call_output","call_id":"x","output":"y"}]})");
    EXPECT_EQ(refused.status, 400) << "nobody called";
}

TEST_F(ResponsesTest, StoredResponsesAreReadListedAndDeletedByTheirTenant) {
    start();
    const auto response = create("hello");
    const std::string path = "/v1/responses/" + id_of(response);
    EXPECT_EQ(parsed(get(path).body), response);
    EXPECT_EQ(call("GET", path, "X-Dougong-Tenant: other\r\n").status, 404);
    const auto items = parsed(get(path + "/input_items").body);
    EXPECT_EQ(items.at("data").at(0).at("content").at(0).at("text").as_string(), "hello");
    EXPECT_FALSE(items.at("has_more").as_bool());
    EXPECT_EQ(get(path + "/input_items?limit=0").status, 400);
    EXPECT_EQ(call("DELETE", path, "X-Dougong-Tenant: other\r\n").status, 404);
    EXPECT_TRUE(parsed(call("DELETE", path).body).at("deleted").as_bool());
    EXPECT_EQ(get(path).status, 404);
    const auto unstored = create("hello", R"(,"store":false)");
    EXPECT_EQ(get("/v1/responses/" + id_of(unstored)).status, 404);
}

TEST_F(ResponsesTest, BackgroundAnswersAtOnceAndCanBeCancelled) {
    start();
    const auto quick = create("hello", R"(,"background":true)");
    EXPECT_EQ(quick.at("status").as_string(), "queued");
    EXPECT_EQ(wait_for_status(id_of(quick), "completed")
                  .at("output")
                  .at(0)
                  .at("content")
                  .at(0)
                  .at("text")
                  .as_string(),
              "You said: hello");
    const auto endless = create("forever", R"(,"background":true)");
    const std::string path = "/v1/responses/" + id_of(endless);
    EXPECT_EQ(parsed(get(path).body).at("status").as_string(), "in_progress");
    const auto cancelled = parsed(call("POST", path + "/cancel").body);
    EXPECT_EQ(cancelled.at("status").as_string(), "cancelled");
    backend_.wait_idle();
    EXPECT_EQ(parsed(get(path).body).at("status").as_string(), "cancelled");
    EXPECT_EQ(post("/v1/responses", ask("x", R"(,"background":true,"store":false)")).status, 400);
    EXPECT_EQ(call("POST", "/v1/responses/" + id_of(create("x")) + "/cancel").status, 400);
}

TEST_F(ResponsesTest, AFailedBackgroundResponseIsKept) {
    start();
    const auto response = create("fail", R"(,"background":true)");
    backend_.wait_idle();
    const auto failed = wait_for_status(id_of(response), "failed");
    EXPECT_EQ(failed.at("error").at("message").as_string(), "the script says fail");
}

TEST_F(ResponsesTest, ABackgroundResponseThatNeverRanIsKeptAsFailed) {
    start();
    for (const char* const refused : {"toolong", "full"}) {
        const auto response = create(refused, R"(,"background":true)");
        EXPECT_EQ(response.at("status").as_string(), "queued");
        const auto failed = wait_for_status(id_of(response), "failed");
        EXPECT_FALSE(failed.at("error").at("message").as_string().empty());
    }
}

TEST(ResponseStore, AnotherTenantsIdTakesNobodysPlace) {
    gate::ResponseStore store(8, 1000);
    store.add({"resp_same", "a", "", "of a", "", ""});
    store.add({"resp_same", "b", "", "of b", "", ""});
    ASSERT_NE(store.find("b", "resp_same"), nullptr);
    EXPECT_EQ(store.find("a", "resp_same")->object, "of a");
    EXPECT_EQ(store.find("b", "resp_same")->object, "of b");
    EXPECT_TRUE(store.remove("b", "resp_same"));
    EXPECT_NE(store.find("a", "resp_same"), nullptr);
    store.add({"resp_same", "a", "", "newer", "", ""});
    EXPECT_EQ(store.find("a", "resp_same")->object, "newer");
    EXPECT_EQ(store.count(), 1u);
}

TEST_F(ResponsesTest, ABackgroundStreamIsReadOnFromAnyEvent) {
    start();
    const auto whole = post("/v1/responses", ask("hello", R"(,"background":true,"stream":true)"));
    const auto events = typed_events(whole.body);
    const std::string id = id_of(events.front().at("response"));
    for (std::size_t after = 0; after + 1 < events.size(); ++after) {
        const auto rest = typed_events(
            get("/v1/responses/" + id + "?stream=true&starting_after=" + std::to_string(after))
                .body);
        ASSERT_EQ(rest.size(), events.size() - after - 1);
        EXPECT_EQ(rest.front(), events[after + 1]);
    }
    EXPECT_EQ(get("/v1/responses/" + id + "?stream=true&starting_after=x").status, 400);
    EXPECT_EQ(get("/v1/responses/" + id_of(create("x")) + "?stream=true").status, 400);
}

TEST(ParseResponses, NamesWhatIsWrong) {
    const auto fault = [](std::string_view body) {
        const auto call = gate::parse_responses_request(body);
        return call ? "accepted" : call.error().subject;
    };
    EXPECT_EQ(fault(R"({})"), "input");
    EXPECT_EQ(fault(R"({"input":[]})"), "input");
    EXPECT_EQ(fault(R"({"input":[7]})"), "input[0]");
    EXPECT_EQ(fault(R"({"input":[{"role":"robot","content":"x"}]})"), "input[0].role");
    EXPECT_EQ(fault(R"({"input":[{"role":"user","content":[{"type":"input_image"}]}]})"),
              "input[0].content[0]");
    EXPECT_EQ(fault(R"({"input":[{"type":"web_search_call"}]})"), "input[0].type");
    EXPECT_EQ(fault(R"({"input":[{"type":"function_call","name":"f"}]})"), "input[0].call_id");
    EXPECT_EQ(fault(R"({"input":"x","text":{"format":{"type":"json_schema","name":"n"}}})"),
              "text.format.schema");
    EXPECT_EQ(fault(R"({"input":"x","reasoning":{"effort":"huge"}})"), "reasoning.effort");
    EXPECT_EQ(fault(R"({"input":"x","truncation":"sometimes"})"), "truncation");
    EXPECT_EQ(fault(R"({"input":"x","truncation":"auto"})"), "accepted");
    EXPECT_EQ(fault(R"({"input":"x","conversation":"c"})"), "conversation");
    EXPECT_EQ(fault(R"({"input":"x","include":["file_search_call.results"]})"), "include[0]");
    EXPECT_EQ(fault(R"({"input":"x","tools":[{"type":"web_search"}]})"), "tools[0].type");
    EXPECT_EQ(fault(R"({"input":"x","tools":[{"type":"function","name":"f"}],)"
                    R"("tool_choice":{"type":"function","name":"g"}})"),
              "tool_choice.name");
    EXPECT_EQ(fault(R"({"input":"x","messages":[]})"), "messages");
}

TEST(ParseResponses, WhatTheAssistantDidBetweenTwoOthersIsOneMessage) {
    const auto call = gate::parse_responses_request(R"({"input":[
        {"role":"developer","content":"d"},
        {"type":"reasoning","summary":[],"content":[{"type":"reasoning_text","text":"r"}]},
        {"type":"message","role":"assistant","content":[{"type":"output_text","text":"t"}]},
        {"type":"function_call","call_id":"1","name":"f","arguments":"{}"},
        {"type":"function_call","call_id":"2","name":"g","arguments":"{}"},
        {"type":"function_call_output","call_id":"1","output":[{"type":"input_text","text":"o"}]}
        ]})");
    ASSERT_TRUE(call) << call.error().message;
    const auto& messages = *call->prompts.at(0).messages;
    ASSERT_EQ(messages.size(), 3U);
    EXPECT_EQ(messages.at(0).at("role").as_string(), "system");
    EXPECT_EQ(messages.at(1).at("reasoning_content").as_string(), "r");
    EXPECT_EQ(messages.at(1).at("content").as_string(), "t");
    EXPECT_EQ(messages.at(1).at("tool_calls").as_array().size(), 2U);
    EXPECT_EQ(messages.at(2).at("content").as_string(), "o");
}

}  // namespace
