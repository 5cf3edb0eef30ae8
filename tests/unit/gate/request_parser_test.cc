#include "gate/request_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "gate/api_error.h"
#include "support/seeds.h"

namespace {

using namespace gate;
using base::Code;
using testing::HasSubstr;

std::string chat(std::string_view more,
                 std::string_view messages = R"([{"role":"user","content":"hi"}])") {
    return std::string(R"({"model":"m","messages":)") + std::string(messages) + std::string(more) +
           "}";
}
std::string text(std::string_view more, std::string_view prompt = "\"hi\"") {
    return std::string(R"({"model":"m","prompt":)") + std::string(prompt) + std::string(more) + "}";
}

/// (subject, code) of the error, or ("accepted", internal).
std::pair<std::string, Code> fault(const auto& result) {
    if (result) return {"accepted", Code::internal};
    EXPECT_FALSE(result.error().message.empty());
    return {result.error().subject, result.error().code};
}
std::pair<std::string, Code> chat_fault(std::string_view body) {
    return fault(parse_chat_request(body));
}
std::pair<std::string, Code> text_fault(std::string_view body) {
    return fault(parse_completion_request(body));
}
using Fault = std::pair<std::string, Code>;

TEST(ParseChat, ReadsEveryField) {
    const auto call = parse_chat_request(chat(
        R"(,"stream":true,"stream_options":{"include_usage":true},"n":2,"stop":["a","b"],"seed":-1,
        "temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.1,"typical_p":0.8,
        "repetition_penalty":1.1,"presence_penalty":-1,"frequency_penalty":2,
        "logit_bias":{"12":-100,"7":1.5},"ignore_eos":true,"logprobs":true,"top_logprobs":3,
        "max_tokens":5,"max_completion_tokens":7,"chat_template_kwargs":{"enable_thinking":false},
        "tools":[{"type":"function","function":{"name":"f"}}],"user":"me","store":true,"metadata":{"a":"b"})"));
    ASSERT_TRUE(call) << call.error().message;
    EXPECT_TRUE(call->api == Api::chat && call->stream && call->include_usage);
    EXPECT_EQ(call->n, 2U);
    const GenerationRequest& request = call->request;
    EXPECT_EQ(request.model, "m");
    EXPECT_EQ(request.stop, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(request.sampling.seed, UINT64_MAX);
    EXPECT_FLOAT_EQ(request.sampling.temperature, 0.5f);
    EXPECT_FLOAT_EQ(request.sampling.top_p, 0.9f);
    EXPECT_EQ(request.sampling.top_k, 40U);
    EXPECT_FLOAT_EQ(request.sampling.min_p, 0.1f);
    EXPECT_FLOAT_EQ(request.sampling.typical_p, 0.8f);
    EXPECT_FLOAT_EQ(request.sampling.repetition_penalty, 1.1f);
    EXPECT_FLOAT_EQ(request.sampling.presence_penalty, -1.f);
    EXPECT_FLOAT_EQ(request.sampling.frequency_penalty, 2.f);
    ASSERT_EQ(request.sampling.logit_bias.size(), 2U);
    EXPECT_EQ(request.sampling.logit_bias[0], (std::pair<std::int32_t, float>{12, -100.f}));
    EXPECT_TRUE(request.ignore_eos);
    EXPECT_EQ(request.top_logprobs, 3U);
    EXPECT_EQ(request.max_tokens, 7U);
    EXPECT_EQ(request.template_extra.at("enable_thinking").as_bool(), false);
    EXPECT_EQ(request.tools.as_array().size(), 1U);
}

TEST(ParseChat, NullMeansAbsentAndWholeNumbersMayHaveAPoint) {
    const auto call = parse_chat_request(
        chat(R"(,"temperature":null,"stop":null,"tools":null,"audio":null,"max_tokens":16.0)"));
    ASSERT_TRUE(call) << call.error().message;
    EXPECT_EQ(call->request.max_tokens, 16U);
    EXPECT_FLOAT_EQ(call->request.sampling.temperature, 1.f);
}

TEST(ParseChat, MessagesAreReducedToWhatTemplatesKnow) {
    const auto call = parse_chat_request(chat("", R"([
        {"role":"developer","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"1","index":0,
         "function":{"name":"f","arguments":"{}"}}],"refusal":null,"annotations":[]},
        {"role":"tool","content":"42","tool_call_id":"1"}])"));
    ASSERT_TRUE(call) << call.error().message;
    const auto& messages = *call->prompts.at(0).messages;
    EXPECT_EQ(base::json::serialize(messages),
              R"([{"role":"system","content":"ab"},)"
              R"({"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function",)"
              R"("function":{"name":"f","arguments":"{}"}}]},)"
              R"({"role":"tool","content":"42","tool_call_id":"1"}])");
}

TEST(ParseChat, NamesWhatIsWrong) {
    EXPECT_EQ(chat_fault(""), Fault("", Code::invalid_argument));
    EXPECT_EQ(chat_fault("[]"), Fault("", Code::invalid_argument));
    EXPECT_EQ(chat_fault("{\"model\":\"\xff\"}"), Fault("", Code::invalid_argument));
    EXPECT_EQ(chat_fault("{}"), Fault("messages", Code::failed_precondition));
    EXPECT_EQ(chat_fault(R"({"model":7,"messages":[]})"), Fault("model", Code::invalid_argument));
    EXPECT_EQ(chat_fault(R"({"model":"m"})"), Fault("messages", Code::failed_precondition));
    EXPECT_EQ(chat_fault(chat("", "[]")), Fault("messages", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat("", "[1]")), Fault("messages[0]", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat("", R"([{"content":"x"}])")),
              Fault("messages[0].role", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat("", R"([{"role":"user"}])")),
              Fault("messages[0].content", Code::failed_precondition));
    EXPECT_EQ(chat_fault(chat("", R"([{"role":"user","content":"a","contents":"b"}])")),
              Fault("messages[0].contents", Code::not_found));
    EXPECT_EQ(chat_fault(chat("", R"([{"role":"user","content":[{"type":"image_url",
              "image_url":{"url":"x"}}]}])")),
              Fault("messages[0].content[0]", Code::unimplemented));
    EXPECT_EQ(chat_fault(chat(R"(,"temprature":1)")), Fault("temprature", Code::not_found));
    EXPECT_EQ(chat_fault(chat(R"(,"temperature":"hot")")),
              Fault("temperature", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat(R"(,"temperature":2.1)")),
              Fault("temperature", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat(R"(,"n":9)")), Fault("n", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat(R"(,"n":1.5)")), Fault("n", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat(R"(,"max_tokens":0)")), Fault("max_tokens", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat(R"(,"stop":"")")), Fault("stop", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat(R"(,"stop":[1])")), Fault("stop", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat(R"(,"top_logprobs":2)")),
              Fault("top_logprobs", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat(R"(,"logit_bias":{"x":1})")),
              Fault("logit_bias.x", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat(R"(,"logit_bias":{"5":101})")),
              Fault("logit_bias.5", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat(R"(,"stream_options":{"include_usage":true})")),
              Fault("stream_options", Code::invalid_argument));
    EXPECT_EQ(chat_fault(chat(R"(,"stream":true,"stream_options":{"x":true})")),
              Fault("stream_options.x", Code::not_found));
    EXPECT_EQ(chat_fault(chat(R"(,"functions":[])")), Fault("functions", Code::unimplemented));
}

TEST(ParseChat, MessagesSayWhereTheJsonIsWrong) {
    const auto broken = parse_chat_request("{\n  \"model\": \"m\",\n  oops\n}");
    ASSERT_FALSE(broken);
    EXPECT_THAT(broken.error().message, HasSubstr("line 3 column 3"));
    const auto bytes = parse_chat_request("{\"model\":\"\xc3(\"}");
    ASSERT_FALSE(bytes);
    EXPECT_THAT(bytes.error().message, HasSubstr("byte 10 is 0xc3"));
}

TEST(ParseChat, RefusesDeepNesting) {
    const std::string deep = chat(",\"metadata\":" + std::string(100'000, '['));
    EXPECT_EQ(chat_fault(deep), Fault("", Code::invalid_argument));
}

TEST(ParseChat, ToolChoiceNoneHidesTheTools) {
    const auto call = parse_chat_request(
        chat(R"(,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none")"));
    ASSERT_TRUE(call);
    EXPECT_TRUE(call->request.tools.is_null());
}

TEST(ParseCompletion, PromptHasFourShapes) {
    const auto prompts = [](std::string_view prompt) {
        auto call = parse_completion_request(text("", prompt));
        EXPECT_TRUE(call) << call.error().message;
        return call ? std::move(call->prompts) : std::vector<Prompt>{};
    };
    EXPECT_EQ(prompts("\"a\"").at(0).text, "a");
    EXPECT_EQ(prompts(R"(["a","b"])").at(1).text, "b");
    EXPECT_EQ(prompts("[1,2]").at(0).tokens, (std::vector<std::int32_t>{1, 2}));
    EXPECT_EQ(prompts("[[1],[2,3]]").at(1).tokens, (std::vector<std::int32_t>{2, 3}));
    EXPECT_EQ(text_fault(text("", "[]")), Fault("prompt", Code::invalid_argument));
    EXPECT_EQ(text_fault(text("", R"(["a",1])")), Fault("prompt[1]", Code::invalid_argument));
    EXPECT_EQ(text_fault(text("", "[1,-2]")), Fault("prompt[1]", Code::invalid_argument));
    EXPECT_EQ(text_fault(text("", "[1,3000000000]")), Fault("prompt[1]", Code::invalid_argument));
    EXPECT_EQ(text_fault(text("", "[[1],[]]")), Fault("prompt[1]", Code::invalid_argument));
    EXPECT_EQ(text_fault(text("", "[{}]")), Fault("prompt[0]", Code::invalid_argument));
}

TEST(ParseCompletion, DefaultsAndRefusalsByName) {
    EXPECT_EQ(parse_completion_request(text(""))->request.max_tokens, 16U);
    EXPECT_EQ(parse_completion_request(text(R"(,"logprobs":2)"))->request.top_logprobs, 2U);
    EXPECT_TRUE(parse_completion_request(text(R"(,"echo":true)"))->echo);
    EXPECT_EQ(text_fault(text(R"(,"echo":true,"logprobs":1)")), Fault("echo", Code::unimplemented));
    EXPECT_EQ(text_fault(text(R"(,"suffix":"x")")), Fault("suffix", Code::unimplemented));
    EXPECT_EQ(text_fault(text(R"(,"suffix":"")")), Fault("accepted", Code::internal));
    EXPECT_EQ(text_fault(text(R"(,"best_of":3)")), Fault("best_of", Code::unimplemented));
    EXPECT_EQ(text_fault(text(R"(,"messages":[])")), Fault("messages", Code::not_found));
    std::string many = "[\"a\"";
    for (int i = 0; i < 64; ++i) many += ",\"a\"";
    EXPECT_EQ(text_fault(text("", many + "]")), Fault("prompt", Code::invalid_argument));
    EXPECT_EQ(text_fault(text(R"(,"n":8)", R"(["a","b","c","d","e","f","g","h","i"])")),
              Fault("n", Code::invalid_argument));
}

TEST(ParseEmbedding, ChecksInputAndFormat) {
    const auto call = parse_embedding_request(
        R"({"model":"m","input":["a",  "b"],"encoding_format":"base64","dimensions":3})");
    ASSERT_TRUE(call) << call.error().message;
    EXPECT_EQ(call->inputs.size(), 2U);
    EXPECT_TRUE(call->base64);
    EXPECT_EQ(call->dimensions, 3U);
    EXPECT_EQ(fault(parse_embedding_request(R"({"model":"m","input":["a",""]})")),
              Fault("input[1]", Code::invalid_argument));
    EXPECT_EQ(
        fault(parse_embedding_request(R"({"model":"m","input":"a","encoding_format":"int8"})")),
        Fault("encoding_format", Code::invalid_argument));
}

TEST(RequestError, IsAlways400WithAnOpenAiCode) {
    EXPECT_EQ(request_error({Code::not_found, "x", "f"}).code, "unknown_parameter");
    EXPECT_EQ(request_error({Code::failed_precondition, "x", "f"}).code,
              "missing_required_parameter");
    EXPECT_EQ(request_error({Code::unimplemented, "x", "f"}).code, "unsupported_parameter");
    EXPECT_EQ(request_error({Code::invalid_argument, "x", "f"}).code, "invalid_value");
    EXPECT_EQ(request_error({Code::unimplemented, "x", "f"}).status, 400);
}

// Pieces that take the parsers to places random bytes rarely reach.
constexpr std::array<std::string_view, 32> kPieces = {"null",
                                                      "\"tools\":[",
                                                      "{\"type\":\"function\",\"function\":{",
                                                      "\"name\":\"f\"",
                                                      "\"tool_choice\":{\"type\":\"function\"",
                                                      "\"json_schema\":{\"schema\":{",
                                                      "\"type\":\"function_call_output\"",
                                                      "\"guided_choice\":[",
                                                      "\"documents\":[{\"text\":\"",
                                                      "true",
                                                      "[]",
                                                      "{}",
                                                      "\"\"",
                                                      "-1",
                                                      "1e309",
                                                      "0.5",
                                                      "18446744073709551615",
                                                      "[[",
                                                      "]]",
                                                      "\"n\":",
                                                      "\"stop\":",
                                                      "\"logit_bias\":{\"1\":",
                                                      "\"input\":",
                                                      "\"prompt\":[1,2]",
                                                      "\\u0000",
                                                      "\\ud800",
                                                      "\xff",
                                                      "\xf0\x9f\x98\x80",
                                                      "\"messages\":[{",
                                                      "\"content\":[{\"type\":\"text\"",
                                                      ",",
                                                      "\""};

TEST(ParsersFuzz, NoInputCrashesAndEveryErrorSpeaks) {
    const std::array<std::string, 6> seeds = {
        R"({"model":"m","input":[{"role":"user","content":"x"},{"type":"reasoning","summary":[]},)"
        R"({"type":"function_call","call_id":"c","name":"f","arguments":"{}"},)"
        R"({"type":"function_call_output","call_id":"c","output":"1"}],"tools":[{"type":)"
        R"("function","name":"f"}],"text":{"format":{"type":"json_object"}},"reasoning":)"
        R"({"effort":"low"},"include":["message.output_text.logprobs"],"stream":true})",
        R"({"query":"q","documents":["a",{"text":"b"}],"top_n":1,"text_1":"a","text_2":["b"]})",
        chat(
            R"(,"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],)"
            R"("tool_choice":{"type":"function","function":{"name":"f"}},"response_format":)"
            R"({"type":"json_schema","json_schema":{"name":"n","schema":{}}})",
            R"([{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":)"
            R"({"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"1","content":""}])"),
        chat(R"(,"stream":true,"stream_options":{"include_usage":true},"n":2,"stop":["a"],)"
             R"("logit_bias":{"12":-100},"tools":[{"type":"function"}],"logprobs":true)",
             R"([{"role":"user","content":[{"type":"text","text":"héé"}]}])"),
        text(R"(,"echo":true,"n":2,"max_tokens":5)", "[[1,2],[3]]"),
        R"({"model":"m","input":[[1,2],[3]],"dimensions":3,"text":"x","tokens":[1,2]})"};
    test::for_each_seed(6000, [&](base::Rng& rng) {
        std::string body = seeds[rng.below(seeds.size())];
        for (std::uint64_t edits = 1 + rng.below(5); edits > 0; --edits) {
            const std::size_t at = rng.below(body.size() + 1);
            switch (rng.below(4)) {
                case 0:
                    body.insert(at, kPieces[rng.below(kPieces.size())]);
                    break;
                case 1:
                    body.erase(at, 1 + rng.below(12));
                    break;
                case 2:
                    body.insert(at, 1, static_cast<char>(rng.below(256)));
                    break;
                default:
                    body.replace(at, std::min<std::size_t>(3, body.size() - at),
                                 kPieces[rng.below(kPieces.size())]);
            }
        }
        const auto speaks = [](const auto& result) {
            EXPECT_TRUE(result || !result.error().message.empty());
        };
        speaks(parse_chat_request(body));
        speaks(parse_completion_request(body));
        speaks(parse_responses_request(body));
        speaks(parse_rerank_request(body));
        speaks(parse_score_request(body));
        speaks(parse_cache_request(body));
        speaks(parse_embedding_request(body));
        speaks(parse_tokenize_request(body));
        speaks(parse_detokenize_request(body));
    });
}

}  // namespace
