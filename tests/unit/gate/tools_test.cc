// Tools, formats and reasoning: what requests may say about them, and how answers show them.
#include "support/gateway_fixture.h"

#include "gate/request_parser.h"

namespace {

using base::Code;
using gate::AnswerFormat;
using gate::parse_chat_request;
using gate::ToolChoice;
using test::GatewayTest;
namespace json = base::json;

constexpr std::string_view kTools =
    R"(,"tools":[{"type":"function","function":{"name":"weather","description":"d",)"
    R"("parameters":{"type":"object"},"strict":true}},{"type":"function","function":{"name":"b"}}])";

std::string body(std::string_view more,
                 std::string_view messages = R"([{"role":"user","content":"x"}])") {
    return R"({"messages":)" + std::string(messages) + std::string(more) + "}";
}

/// The subject of the error; "accepted" without one.
std::string fault(std::string_view text) {
    const auto call = parse_chat_request(text);
    return call ? "accepted" : call.error().subject;
}
std::string tool_fault(std::string_view tool) {
    return fault(body(R"(,"tools":[)" + std::string(tool) + "]"));
}
std::string choice_fault(std::string_view choice) {
    return fault(body(std::string(kTools) + R"(,"tool_choice":)" + std::string(choice)));
}

TEST(ParseTools, ReadsToolsAndChoice) {
    const auto choice = [](std::string_view text) {
        const auto call = parse_chat_request(body(std::string(kTools) + std::string(text)));
        EXPECT_TRUE(call) << call.error().message;
        return call ? call->request : gate::GenerationRequest{};
    };
    EXPECT_EQ(choice("").tool_choice.kind, ToolChoice::Kind::automatic);
    EXPECT_TRUE(choice("").tool_choice.parallel);
    EXPECT_FALSE(choice("").tool_choice.parallel_asked);
    EXPECT_TRUE(choice(R"(,"parallel_tool_calls":true)").tool_choice.parallel_asked);
    EXPECT_EQ(choice("").tools.as_array().size(), 2U);
    EXPECT_EQ(choice(R"(,"tool_choice":"required")").tool_choice.kind, ToolChoice::Kind::required);
    EXPECT_TRUE(choice(R"(,"tool_choice":"none")").tools.is_null());
    EXPECT_FALSE(choice(R"(,"parallel_tool_calls":false)").tool_choice.parallel);
    const auto named =
        choice(R"(,"tool_choice":{"type":"function","function":{"name":"b"}})").tool_choice;
    EXPECT_EQ(named.kind, ToolChoice::Kind::named);
    EXPECT_EQ(named.name, "b");
    const auto allowed =
        choice(R"(,"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required",)"
               R"("tools":[{"type":"function","function":{"name":"b"}}]}})");
    EXPECT_EQ(allowed.tool_choice.kind, ToolChoice::Kind::required);
    ASSERT_EQ(allowed.tools.as_array().size(), 1U);
    EXPECT_EQ(allowed.tools.at(0).at("function").at("name").as_string(), "b");
}

TEST(ParseTools, NamesWhatIsWrong) {
    EXPECT_EQ(tool_fault("7"), "tools[0]");
    EXPECT_EQ(tool_fault("{}"), "tools[0].type");
    EXPECT_EQ(tool_fault(R"({"type":"custom"})"), "tools[0].type");
    EXPECT_EQ(tool_fault(R"({"type":"function"})"), "tools[0].function");
    EXPECT_EQ(tool_fault(R"({"type":"function","function":{}})"), "tools[0].function.name");
    EXPECT_EQ(tool_fault(R"({"type":"function","function":{"name":"a b"}})"),
              "tools[0].function.name");
    EXPECT_EQ(
        tool_fault(R"({"type":"function","function":{"name":")" + std::string(65, 'a') + R"("}})"),
        "tools[0].function.name");
    EXPECT_EQ(tool_fault(R"({"type":"function","function":{"name":"a","parameters":[]}})"),
              "tools[0].function.parameters");
    EXPECT_EQ(tool_fault(R"({"type":"function","function":{"name":"a","parameter":{}}})"),
              "tools[0].function.parameter");
    const std::string tool = R"({"type":"function","function":{"name":"a"}})";
    EXPECT_EQ(tool_fault(tool + "," + tool), "tools[1].function.name");
    EXPECT_EQ(choice_fault("\"always\""), "tool_choice");
    EXPECT_EQ(choice_fault(R"({"type":"function","function":{"name":"nope"}})"),
              "tool_choice.function.name");
    EXPECT_EQ(choice_fault(R"({"type":"function"})"), "tool_choice.function");
    EXPECT_EQ(choice_fault(R"({"type":"custom"})"), "tool_choice.type");
    EXPECT_EQ(fault(body(R"(,"tool_choice":"required")")), "tool_choice");
    EXPECT_EQ(fault(body(R"(,"tool_choice":"auto")")), "accepted");
}

TEST(ParseMessages, ToolMessagesAnswerACallOfTheMessageBefore) {
    const std::string call = R"({"role":"assistant","tool_calls":[{"id":"1","type":"function",)"
                             R"("function":{"name":"f","arguments":"{}"}}]})";
    const std::string answer = R"({"role":"tool","tool_call_id":"1","content":"x"})";
    const auto messages = [](const std::string& list) { return fault(body("", "[" + list + "]")); };
    EXPECT_EQ(messages(call + "," + answer), "accepted");
    EXPECT_EQ(messages(answer), "messages[0].tool_call_id");
    EXPECT_EQ(messages(call + "," + answer + "," + answer), "messages[2].tool_call_id");
    EXPECT_EQ(messages(call + R"(,{"role":"user","content":"y"},)" + answer),
              "messages[2].tool_call_id");
    EXPECT_EQ(messages(R"({"role":"tool","content":"x"})"), "messages[0].tool_call_id");
    EXPECT_EQ(messages(R"({"role":"user","content":"x","tool_calls":[{"id":"1","function":)"
                       R"({"name":"f","arguments":""}}]})"),
              "messages[0].tool_calls");
    EXPECT_EQ(messages(R"({"role":"assistant","tool_calls":[]})"), "messages[0].tool_calls");
    EXPECT_EQ(messages(R"({"role":"assistant","tool_calls":[{"function":{"name":"f",)"
                       R"("arguments":""}}]})"),
              "messages[0].tool_calls[0].id");
    EXPECT_EQ(messages(R"({"role":"assistant","tool_calls":[{"id":"1","function":{"name":"f",)"
                       R"("arguments":{}}}]})"),
              "messages[0].tool_calls[0].function.arguments");
}

TEST(ParseFormat, ReadsEveryKindAndAtMostOne) {
    const auto format = [](std::string_view more) {
        const auto call = parse_chat_request(body(more));
        EXPECT_TRUE(call) << call.error().message;
        return call ? call->request.format : AnswerFormat{};
    };
    EXPECT_EQ(format(R"(,"response_format":{"type":"text"})").kind, AnswerFormat::Kind::text);
    EXPECT_EQ(format(R"(,"response_format":{"type":"json_object"})").kind,
              AnswerFormat::Kind::json_object);
    const auto schema = format(
        R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n","strict":true,)"
        R"("schema":{"type":"object"}}})");
    EXPECT_EQ(schema.kind, AnswerFormat::Kind::json_schema);
    EXPECT_EQ(schema.schema.at("type").as_string(), "object");
    EXPECT_EQ(format(R"(,"guided_json":"{\"type\":\"string\"}")").schema.at("type").as_string(),
              "string");
    EXPECT_EQ(format(R"(,"guided_regex":"[0-9]+")").pattern, "[0-9]+");
    EXPECT_EQ(format(R"(,"guided_choice":["a.b","c"])").pattern, "(a\\.b|c)");
    EXPECT_EQ(format(R"(,"grammar":"root ::= \"a\"")").kind, AnswerFormat::Kind::ebnf);
    EXPECT_EQ(fault(body(R"(,"guided_regex":"a","grammar":"b")")), "grammar");
    EXPECT_EQ(fault(body(R"(,"guided_regex":"")")), "guided_regex");
    EXPECT_EQ(fault(body(R"(,"guided_json":"{")")), "guided_json");
    EXPECT_EQ(fault(body(R"(,"response_format":{"type":"yaml"})")), "response_format.type");
    EXPECT_EQ(fault(body(R"(,"response_format":{"type":"json_schema"})")),
              "response_format.json_schema");
    EXPECT_EQ(
        fault(body(R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n"}})")),
        "response_format.json_schema.schema");
    EXPECT_EQ(fault(body(R"(,"response_format":{"type":"json_schema","json_schema":)"
                         R"({"schema":{}}})")),
              "response_format.json_schema.name");
}

TEST(ParseReasoning, EffortReachesTheTemplate) {
    const auto extra = [](std::string_view more) {
        const auto call = parse_chat_request(body(more));
        EXPECT_TRUE(call) << call.error().message;
        return call ? call->request.template_extra : json::object{};
    };
    EXPECT_EQ(extra(R"(,"reasoning_effort":"high")").at("reasoning_effort").as_string(), "high");
    EXPECT_TRUE(extra(R"(,"reasoning_effort":"high")").at("enable_thinking").as_bool());
    EXPECT_FALSE(extra(R"(,"reasoning_effort":"none")").at("enable_thinking").as_bool());
    EXPECT_TRUE(extra(R"(,"reasoning_effort":"none",)"
                      R"("chat_template_kwargs":{"enable_thinking":true})")
                    .at("enable_thinking")
                    .as_bool());
    EXPECT_EQ(fault(body(R"(,"reasoning_effort":"huge")")), "reasoning_effort");
    EXPECT_FALSE(
        parse_chat_request(body(R"(,"reasoning_format":"none")"))->request.split_reasoning);
}

TEST_F(GatewayTest, ToolCallsComeWholeWithNullContent) {
    start();
    const auto answer =
        parsed(post("/v1/chat/completions", chat(R"(calls weather {\"city\":1})", kTools)).body);
    const auto& choice = answer.at("choices").at(0);
    EXPECT_TRUE(choice.at("message").at("content").is_null());
    EXPECT_EQ(choice.at("finish_reason").as_string(), "tool_calls");
    const auto& calls = choice.at("message").at("tool_calls").as_array();
    ASSERT_EQ(calls.size(), 2U);
    EXPECT_EQ(calls[0].at("id").as_string(), "call_0");
    EXPECT_EQ(calls[1].at("type").as_string(), "function");
    EXPECT_EQ(calls[1].at("function").at("name").as_string(), "weather");
    EXPECT_EQ(calls[1].at("function").at("arguments").as_string(), R"({"city":1})");
}

TEST_F(GatewayTest, ToolCallsStreamAsOpenAiDoes) {
    start();
    const auto all =
        events(post("/v1/chat/completions", chat(R"(calls weather {\"city\":1})",
                                                 std::string(kTools) + R"(,"stream":true)")));
    std::vector<std::string> arguments(2);
    std::vector<int> heads(2);
    for (const auto& event : all) {
        const auto& delta = event.at("choices").at(0).at("delta").as_object();
        const auto* const calls = delta.if_contains("tool_calls");
        if (calls == nullptr) continue;
        ASSERT_EQ(calls->as_array().size(), 1U);
        const auto& call = calls->at(0).as_object();
        const auto index = static_cast<std::size_t>(call.at("index").as_int64());
        ASSERT_LT(index, 2U);
        if (call.contains("id")) {
            ++heads[index];
            EXPECT_EQ(arguments[index], "") << "the head comes first";
            EXPECT_EQ(call.at("function").at("arguments").as_string(), "");
            EXPECT_EQ(call.at("function").at("name").as_string(), "weather");
            EXPECT_EQ(call.at("type").as_string(), "function");
        } else {
            EXPECT_FALSE(call.at("function").as_object().contains("name"));
            arguments[index] += call.at("function").at("arguments").as_string();
        }
    }
    EXPECT_THAT(heads, testing::ElementsAre(1, 1));
    EXPECT_THAT(arguments, testing::ElementsAre(R"({"city":1})", R"({"city":1})"));
    EXPECT_EQ(all.back().at("choices").at(0).at("finish_reason").as_string(), "tool_calls");
}

TEST_F(GatewayTest, ReasoningIsBesideTheContent) {
    start();
    auto answer = parsed(post("/v1/chat/completions", chat("think done")).body);
    const auto& message = answer.at("choices").at(0).at("message");
    EXPECT_EQ(message.at("reasoning_content").as_string(), "Let me think.");
    EXPECT_EQ(message.at("content").as_string(), "done");
    EXPECT_EQ(answer.at("usage").at("completion_tokens_details").at("reasoning_tokens").as_int64(),
              3);
    answer = parsed(
        post("/v1/chat/completions", chat("think done", R"(,"reasoning_format":"none")")).body);
    EXPECT_EQ(answer.at("choices").at(0).at("message").at("content").as_string(),
              "Let me think.done");
    std::string reasoning, content;
    for (const auto& event :
         events(post("/v1/chat/completions", chat("think done", R"(,"stream":true)")))) {
        const auto& delta = event.at("choices").at(0).at("delta").as_object();
        if (const auto* const text = delta.if_contains("reasoning_content")) {
            reasoning += text->as_string();
            EXPECT_EQ(content, "");
        }
        if (const auto* const text = delta.if_contains("content")) content += text->as_string();
    }
    EXPECT_EQ(reasoning, "Let me think.");
    EXPECT_EQ(content, "done");
}

TEST_F(GatewayTest, WhoAsksReachesTheBackend) {
    start();
    post("/v1/chat/completions", chat("x", R"(,"cache_id":"c","priority":-3)"),
         "X-Dougong-Tenant: acme\r\nX-Session-Id: s1\r\n");
    auto request = backend_.last_request();
    EXPECT_EQ(request.tenant, "acme");
    EXPECT_EQ(request.session, "s1");
    EXPECT_EQ(request.cache_id, "c");
    EXPECT_EQ(request.priority, -3);
    post("/v1/chat/completions", chat("x", R"(,"session_id":"s2")"), "X-Session-Id: s1\r\n");
    EXPECT_EQ(backend_.last_request().session, "s2");
    EXPECT_EQ(post("/v1/chat/completions", chat("x"), "X-Session-Id: a b\r\n").status, 400);
}

TEST_F(GatewayTest, TokenGapsAreAHistogram) {
    start();
    post("/v1/chat/completions", chat("hello"));
    EXPECT_THAT(get("/metrics").body, testing::HasSubstr("\ndougong_gate_itl_seconds_count 3\n"))
        << "four tokens have three gaps";
}

TEST_F(GatewayTest, RerankOrdersAndScoreDoesNot) {
    start();
    auto answer = parsed(post("/v1/rerank", R"({"query":"abcd","documents":["a",{"text":"abc"},)"
                                            R"("ab"],"top_n":2,"return_documents":true})")
                             .body);
    ASSERT_EQ(answer.at("results").as_array().size(), 2U);
    EXPECT_EQ(answer.at("results").at(0).at("index").as_int64(), 1);
    EXPECT_EQ(answer.at("results").at(0).at("relevance_score").as_double(), 0.75);
    EXPECT_EQ(answer.at("results").at(0).at("document").at("text").as_string(), "abc");
    EXPECT_EQ(answer.at("results").at(1).at("index").as_int64(), 2);
    EXPECT_GT(answer.at("usage").at("total_tokens").as_int64(), 0);
    answer = parsed(post("/v1/score", R"({"text_1":"abcd","text_2":["a","abc"]})").body);
    EXPECT_EQ(answer.at("data").at(0).at("score").as_double(), 0.25);
    EXPECT_EQ(answer.at("data").at(1).at("score").as_double(), 0.75);
    EXPECT_EQ(post("/v1/rerank", R"({"query":"a","documents":[]})").status, 400);
    EXPECT_EQ(post("/v1/rerank", R"({"query":"a","documents":[7]})").status, 400);
    EXPECT_EQ(error_code(post("/v1/rerank", R"({"query":"a","documents":["toolong"]})")),
              "context_length_exceeded");
}

TEST_F(GatewayTest, PrefixesAreKeptListedAndDroppedPerTenant) {
    start();
    const std::string mine = "X-Dougong-Tenant: me\r\n";
    const auto kept =
        parsed(post("/v1/caches", R"({"prompt":"abcdefgh","ttl_seconds":60})", mine).body);
    const std::string id(kept.at("id").as_string());
    EXPECT_EQ(kept.at("object").as_string(), "cache");
    EXPECT_EQ(kept.at("tokens").as_int64(), 2);
    EXPECT_GT(kept.at("expires_at").as_int64(), clock_.unix_ns() / 1'000'000'000);
    EXPECT_EQ(parsed(get("/v1/caches").body).at("data").as_array().size(), 0U);
    test::RawClient client(server_->port());
    EXPECT_EQ(
        parsed(client.request("GET", "/v1/caches", "", mine).body).at("data").as_array().size(),
        1U);
    EXPECT_EQ(client.request("DELETE", "/v1/caches/" + id, "").status, 404);
    EXPECT_EQ(client.request("DELETE", "/v1/caches/" + id, "", mine).status, 200);
    EXPECT_EQ(client.request("DELETE", "/v1/caches/" + id, "", mine).status, 404);
    EXPECT_EQ(error_code(post("/v1/caches", R"({"prompt":"a","tokens":[1]})")),
              "missing_required_parameter");
}

}  // namespace
