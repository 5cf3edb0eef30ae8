// Chat, completions, embeddings and what surrounds them.
#include <set>

#include "support/gateway_fixture.h"

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
namespace json = base::json;

using test::GatewayTest;

TEST_F(GatewayTest, ChatAnswersWithUsageAndTimings) {
    start();
    const auto response = post("/v1/chat/completions", chat("hello"));
    ASSERT_EQ(response.status, 200) << response.body;
    const auto body = parsed(response.body);
    EXPECT_THAT(std::string(body.at("id").as_string()), testing::StartsWith("chatcmpl-"));
    EXPECT_EQ(body.at("object").as_string(), "chat.completion");
    const auto& choice = body.at("choices").at(0);
    EXPECT_EQ(choice.at("message").at("content").as_string(), "You said: hello");
    EXPECT_EQ(choice.at("message").at("role").as_string(), "assistant");
    EXPECT_EQ(choice.at("finish_reason").as_string(), "stop");
    EXPECT_EQ(body.at("usage").at("prompt_tokens").as_int64(), 2);
    EXPECT_EQ(body.at("usage").at("completion_tokens").as_int64(), 4);
    EXPECT_EQ(body.at("usage").at("prompt_tokens_details").at("cached_tokens").as_int64(), 1);
    EXPECT_TRUE(body.at("timings").at("ttft_ms").is_double());
    EXPECT_THAT(std::string(body.at("system_fingerprint").as_string()), HasSubstr("1.2.3"));
}

TEST_F(GatewayTest, ChatStreamsTheSameAnswer) {
    start();
    const auto all = events(post("/v1/chat/completions", chat("hello wörld", R"(,"stream":true)")));
    std::string content;
    for (const auto& event : all) {
        const auto& choice = event.at("choices").at(0).as_object();
        const auto* const text = choice.at("delta").as_object().if_contains("content");
        if (text != nullptr) content += text->as_string();
    }
    EXPECT_EQ(content, "You said: hello wörld");
    EXPECT_EQ(all.front().at("choices").at(0).at("delta").at("role").as_string(), "assistant");
    EXPECT_EQ(all.back().at("choices").at(0).at("finish_reason").as_string(), "stop");
    EXPECT_FALSE(all.back().as_object().contains("usage"));
}

TEST_F(GatewayTest, UsageComesLastWhenAsked) {
    start();
    const auto all = events(
        post("/v1/chat/completions",
             chat("hello", R"(,"stream":true,"stream_options":{"include_usage":true},"n":2)")));
    for (std::size_t i = 0; i + 1 < all.size(); ++i) EXPECT_TRUE(all[i].at("usage").is_null());
    EXPECT_EQ(all.back().at("choices").as_array().size(), 0U);
    EXPECT_EQ(all.back().at("usage").at("prompt_tokens").as_int64(), 2) << "shared by the choices";
    EXPECT_EQ(all.back().at("usage").at("completion_tokens").as_int64(), 8);
    std::set<std::int64_t> finished;
    for (const auto& event : all) {
        for (const auto& choice : event.at("choices").as_array()) {
            if (!choice.at("finish_reason").is_null())
                finished.insert(choice.at("index").as_int64());
        }
    }
    EXPECT_THAT(finished, ElementsAre(0, 1));
}

TEST_F(GatewayTest, LongBodiesAreAnsweredToo) {
    start();
    const std::string content(200'000, 'x');
    const auto body = parsed(post("/v1/chat/completions", chat(content)).body);
    EXPECT_EQ(body.at("choices").at(0).at("message").at("content").as_string(),
              "You said: " + content);
    const auto wrong = post("/v1/chat/completions", chat(content, R"(,"oops":1)"));
    EXPECT_EQ(wrong.status, 400);
}

TEST_F(GatewayTest, StopAndLengthAreFinishReasons) {
    start();
    auto body = parsed(post("/v1/chat/completions", chat("hello", R"(,"max_tokens":2)")).body);
    EXPECT_EQ(body.at("choices").at(0).at("finish_reason").as_string(), "length");
    EXPECT_EQ(body.at("choices").at(0).at("message").at("content").as_string(), "You said");
    body = parsed(post("/v1/chat/completions", chat("hello", R"(,"stop":"said")")).body);
    EXPECT_EQ(body.at("choices").at(0).at("message").at("content").as_string(), "You ");
    EXPECT_EQ(body.at("choices").at(0).at("finish_reason").as_string(), "stop");
}

TEST_F(GatewayTest, SeedsDifferPerChoice) {
    start();
    EXPECT_EQ(post("/v1/chat/completions", chat("x", R"(,"seed":7,"n":3)")).status, 200);
    EXPECT_EQ(backend_.last_request().sampling.seed, 9U);
}

TEST_F(GatewayTest, LogprobsHaveEachApisShape) {
    start();
    auto body = parsed(
        post("/v1/chat/completions", chat("é", R"(,"logprobs":true,"top_logprobs":2)")).body);
    const auto& content = body.at("choices").at(0).at("logprobs").at("content").as_array();
    ASSERT_EQ(content.size(), 3U);
    EXPECT_EQ(content[2].at("token").as_string(), ": é");
    EXPECT_EQ(content[2].at("bytes").as_array().size(), 4U);
    EXPECT_EQ(content[0].at("top_logprobs").as_array().size(), 2U);
    EXPECT_EQ(content[0].at("top_logprobs").at(0).at("bytes").at(0).as_int64(), 255);
    body = parsed(
        post("/v1/completions", R"({"model":"fake/chat","prompt":"abcdefgh","logprobs":1})").body);
    const auto& logprobs = body.at("choices").at(0).at("logprobs").as_object();
    EXPECT_EQ(json::serialize(logprobs.at("tokens")), R"(["abcd","efgh"])");
    EXPECT_EQ(json::serialize(logprobs.at("text_offset")), "[0,4]");
    EXPECT_EQ(logprobs.at("token_logprobs").at(0).as_double(), -0.25);
    const auto all =
        events(post("/v1/chat/completions", chat("a", R"(,"stream":true,"logprobs":true)")));
    std::size_t tokens = 0;
    for (const auto& event : all) {
        const auto& value = event.at("choices").at(0).at("logprobs");
        if (value.is_object()) tokens += value.at("content").as_array().size();
    }
    EXPECT_EQ(tokens, 3U);
}

TEST_F(GatewayTest, LogprobsStandBesideContentAlone) {
    start();
    const std::string more = R"(,"logprobs":true,"tools":[{"type":"function","function":)"
                             R"({"name":"f","parameters":{}}}])";
    const auto body = parsed(post("/v1/chat/completions", chat("think answer", more)).body);
    const auto& choice = body.at("choices").at(0).as_object();
    EXPECT_EQ(choice.at("message").at("reasoning_content").as_string(), "Let me think.");
    std::string joined;
    for (const auto& token : choice.at("logprobs").at("content").as_array()) {
        joined += std::string(token.at("token").as_string());
    }
    EXPECT_EQ(joined, "answer");
    joined.clear();
    for (const auto& event :
         events(post("/v1/chat/completions", chat("think answer", more + R"(,"stream":true)")))) {
        const auto& streamed = event.at("choices").at(0).as_object();
        if (!streamed.at("logprobs").is_object()) continue;
        EXPECT_TRUE(streamed.at("delta").as_object().contains("content"))
            << json::serialize(streamed);
        for (const auto& token : streamed.at("logprobs").at("content").as_array()) {
            joined += std::string(token.at("token").as_string());
        }
    }
    EXPECT_EQ(joined, "answer");
}

TEST_F(GatewayTest, AContextShiftIsAskedForAndTold) {
    start();
    const auto refused = post("/v1/chat/completions", chat("toolong"));
    EXPECT_EQ(refused.status, 400);
    EXPECT_EQ(error_code(refused), "context_length_exceeded");
    EXPECT_EQ(
        post("/v1/chat/completions", chat("toolong", R"(,"context_overflow":"error")")).status,
        400);
    const std::string shift = R"(,"context_overflow":"shift")";
    const auto dropped = [](const json::value& from) {
        return from.at("timings").at("context_dropped_tokens").as_int64();
    };
    EXPECT_EQ(dropped(parsed(post("/v1/chat/completions", chat("toolong", shift)).body)), 3000);
    EXPECT_EQ(newest_record().at("context_dropped_tokens").as_int64(), 3000);
    const auto streamed =
        events(post("/v1/chat/completions", chat("toolong", shift + R"(,"stream":true)")));
    EXPECT_EQ(dropped(streamed.back()), 3000);
    const auto plain = post("/v1/completions",
                            R"({"model":"fake/chat","prompt":"abc","context_overflow":"shift"})");
    EXPECT_EQ(dropped(parsed(plain.body)), 0);
    EXPECT_EQ(backend_.last_request().context_overflow, gate::ContextOverflow::shift);
}

TEST_F(GatewayTest, CompletionsTakeSeveralPromptsAndEcho) {
    start();
    auto body = parsed(
        post("/v1/completions", R"({"model":"fake/chat","prompt":["ab","cd"],"n":2,"echo":true})")
            .body);
    EXPECT_EQ(body.at("object").as_string(), "text_completion");
    ASSERT_EQ(body.at("choices").as_array().size(), 4U);
    EXPECT_EQ(body.at("choices").at(0).at("text").as_string(), "abab");
    EXPECT_EQ(body.at("choices").at(3).at("text").as_string(), "cdcd");
    EXPECT_EQ(body.at("choices").at(3).at("index").as_int64(), 3);
    EXPECT_EQ(body.at("usage").at("prompt_tokens").as_int64(), 2);
    body = parsed(
        post("/v1/completions", R"({"model":"fake/chat","prompt":[165,166],"echo":true})").body);
    EXPECT_EQ(body.at("choices").at(0).at("text").as_string(), "ABxx");
}

TEST_F(GatewayTest, ErrorsHaveTheirOwnStatusAndCode) {
    start();
    const std::string path = "/v1/chat/completions";
    auto response = post(path, "{");
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(error_code(response), "invalid_json");
    response = post(path, chat("x", R"(,"unheard_of":1)"));
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(error_code(response), "unknown_parameter");
    response = post(path, R"({"model":"nope","messages":[{"role":"user","content":"x"}]})");
    EXPECT_EQ(response.status, 404);
    EXPECT_EQ(error_code(response), "model_not_found");
    EXPECT_THAT(response.body, HasSubstr("fake/chat, fake-embed"));
    response = post(path, R"({"model":"fake-embed","messages":[{"role":"user","content":"x"}]})");
    EXPECT_EQ(response.status, 400);
    response = post(path, chat("toolong"));
    EXPECT_EQ(response.status, 400);
    EXPECT_EQ(error_code(response), "context_length_exceeded");
    EXPECT_THAT(response.body, testing::AllOf(HasSubstr("5000"), HasSubstr("2048")));
    response = post(path, chat("full"));
    EXPECT_EQ(response.status, 429);
    EXPECT_EQ(error_code(response), "queue_full");
    EXPECT_EQ(response.header("Retry-After"), "1");
    response = post(path, chat("fail"));
    EXPECT_EQ(response.status, 500);
    backend_.set_ready(false);
    response = post(path, chat("x"));
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(error_code(response), "not_ready");
}

TEST_F(GatewayTest, ATooLongPromptNamesTheFieldItCameIn) {
    start();
    const auto param = [&](std::string_view path, std::string_view body) {
        const auto response = post(path, body);
        EXPECT_EQ(error_code(response), "context_length_exceeded");
        return std::string(parsed(response.body).at("error").at("param").as_string());
    };
    EXPECT_EQ(param("/v1/chat/completions", chat("toolong")), "messages");
    EXPECT_EQ(param("/v1/completions", R"({"model":"fake/chat","prompt":"toolong"})"), "prompt");
}

TEST_F(GatewayTest, TheModelMayBeLeftOutWhereOnlyOneCanBeMeant) {
    start();
    auto body = parsed(post("/v1/completions", R"({"prompt":"abc"})").body);
    EXPECT_EQ(body.at("model").as_string(), "fake/chat");
    body = parsed(
        post("/v1/chat/completions", R"({"messages":[{"role":"user","content":"abc"}]})").body);
    EXPECT_EQ(body.at("model").as_string(), "fake/chat");
    EXPECT_EQ(newest_record().at("model").as_string(), "fake/chat");
    body = parsed(post("/v1/embeddings", R"({"input":"a"})").body);
    EXPECT_EQ(body.at("model").as_string(), "fake-embed");
}

TEST_F(GatewayTest, AnErrorBeforeTheFirstTokenHasAStatusAndLaterOnesAnEvent) {
    start();
    EXPECT_EQ(post("/v1/chat/completions", chat("fail", R"(,"stream":true)")).status, 500);
    const auto response = post("/v1/chat/completions", chat("late", R"(,"stream":true)"));
    EXPECT_EQ(response.status, 200);
    const auto all = events(response);
    EXPECT_EQ(all.back().at("error").at("message").as_string(), "the script says fail");
}

TEST_F(GatewayTest, OneRefusedChoiceFailsTheRequestAndCancelsTheOthers) {
    start();
    const auto response =
        post("/v1/completions", R"({"model":"fake/chat","prompt":["hold","full"]})");
    EXPECT_EQ(response.status, 429);
    backend_.wait_idle();
    EXPECT_EQ(backend_.cancels(), 1U);
}

TEST_F(GatewayTest, AClientThatLeavesCancelsItsGenerations) {
    start();
    {
        test::RawClient client(server_->port());
        const std::string body = chat("forever", R"(,"stream":true,"n":2)");
        client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body);
        EXPECT_EQ(client.read_head().status, 200);
        EXPECT_TRUE(client.read_chunk().has_value());
    }
    backend_.wait_idle();
    EXPECT_EQ(backend_.cancels(), 2U);
}

TEST_F(GatewayTest, AClientThatLeavesBeforeTheFirstTokenCancelsToo) {
    start();
    {
        test::RawClient client(server_->port());
        const std::string body = chat("hold");
        client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body);
        while (backend_.stats().running == 0) std::this_thread::yield();
    }
    backend_.wait_idle();
    EXPECT_EQ(backend_.cancels(), 1U);
    const auto record = newest_record();
    EXPECT_EQ(record.at("status").as_int64(), 499);
    EXPECT_EQ(record.at("finish").as_string(), "cancelled");
    EXPECT_THAT(get("/metrics").body, HasSubstr("\ndougong_gate_disconnects_total 1\n"));
}

TEST_F(GatewayTest, AClientThatDoesNotReadIsBounded) {
    base::http::ServerOptions server_options;
    server_options.limits.write_timeout = 100ms;
    start({}, server_options);
    test::RawClient client(server_->port(), 4096);
    const std::string body = chat("forever", R"(,"stream":true,"logprobs":true,"top_logprobs":20)");
    client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
    EXPECT_EQ(client.read_head().status, 200);
    backend_.wait_idle();
    EXPECT_GE(backend_.cancels(), 1U);
}

TEST_F(GatewayTest, EmbeddingsAsNumbersAndBase64) {
    start();
    auto body = parsed(post("/v1/embeddings", R"({"model":"fake-embed","input":["a","bb"]})").body);
    EXPECT_EQ(body.at("object").as_string(), "list");
    ASSERT_EQ(body.at("data").as_array().size(), 2U);
    EXPECT_EQ(body.at("data").at(1).at("index").as_int64(), 1);
    EXPECT_EQ(json::serialize(body.at("data").at(0).at("embedding")), "[6E-1,0,8E-1,0,0,0,0,0]");
    EXPECT_EQ(body.at("usage").at("total_tokens").as_int64(), 2);
    body = parsed(
        post("/v1/embeddings", R"({"model":"fake-embed","input":"a","encoding_format":"base64"})")
            .body);
    // 0.6f, 0, 0.8f, 0... as little-endian float32.
    EXPECT_EQ(body.at("data").at(0).at("embedding").as_string(),
              "mpkZPwAAAADNzEw/AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    body = parsed(
        post("/v1/embeddings", R"({"model":"fake-embed","input":[[165],[166,167]],"dimensions":2})")
            .body);
    EXPECT_EQ(json::serialize(body.at("data").at(0).at("embedding")), "[1,0]");
    const auto wrong =
        post("/v1/embeddings", R"({"model":"fake-embed","input":"a","dimensions":9})");
    EXPECT_EQ(wrong.status, 400);
    EXPECT_THAT(wrong.body, HasSubstr("fake-embed"));
}

TEST_F(GatewayTest, TokenizesBothWays) {
    start();
    auto body = parsed(post("/tokenize", R"({"text":"AB"})").body);
    EXPECT_EQ(json::serialize(body.at("tokens")), "[1,165,166]");
    EXPECT_EQ(body.at("count").as_int64(), 3);
    body = parsed(post("/detokenize", R"({"model":"fake/chat","tokens":[1,165,166]})").body);
    EXPECT_EQ(body.at("text").as_string(), "AB");
}

TEST_F(GatewayTest, ModelsAreListedAndFoundAlsoWithASlash) {
    start();
    const auto list = parsed(get("/v1/models").body);
    EXPECT_EQ(list.at("data").at(0).at("id").as_string(), "fake/chat");
    EXPECT_EQ(get("/v1/models/fake/chat").status, 200);
    EXPECT_EQ(get("/v1/models/fake%2Fchat").status, 200);
    EXPECT_EQ(get("/v1/models/nope").status, 404);
    const auto admin = parsed(get("/admin/v1/models").body);
    EXPECT_EQ(admin.at("models").at(1).at("generates").as_bool(), false);
    EXPECT_EQ(admin.at("models").at(0).at("details").at("architecture").as_string(), "scripted");
}

TEST_F(GatewayTest, ModelsAreLoadedAndUnloadedByTheirPath) {
    start();
    const auto state = [&](const std::string& body) {
        return std::string(parsed(body).at("state").as_string());
    };
    EXPECT_EQ(state(post("/admin/v1/models/fake/chat/unload", "").body), "unloaded");
    EXPECT_EQ(state(post("/admin/v1/models/fake-embed/load", "").body), "ready");
    const auto engine = parsed(get("/admin/v1/engine").body);
    EXPECT_EQ(engine.at("models").at(0).at("state").as_string(), "unloaded");
    EXPECT_EQ(engine.at("models").at(0).at("stats").at("kv_pages_total").as_int64(), 64);
    EXPECT_TRUE(engine.at("models").at(1).at("stats").is_null());
    EXPECT_EQ(post("/admin/v1/models/no/such/load", "").status, 404);
    backend_.set_memory_full(true);
    const auto full = post("/admin/v1/models/fake/chat/load", "");
    EXPECT_EQ(full.status, 409);
    EXPECT_EQ(error_code(full), "insufficient_memory");
    EXPECT_THAT(full.body, HasSubstr("needs 2 GB, 1 GB is free"));
}

TEST_F(GatewayTest, HealthAndReadinessDiffer) {
    start();
    EXPECT_EQ(get("/readyz").status, 200);
    backend_.set_ready(false);
    EXPECT_EQ(get("/readyz").status, 503);
    EXPECT_EQ(get("/healthz").status, 200);
    backend_.set_ready(true);
    gateway_->begin_drain();
    EXPECT_EQ(get("/readyz").status, 503);
    EXPECT_EQ(post("/v1/chat/completions", chat("x")).status, 503);
}

TEST_F(GatewayTest, RequestsAreRecordedWithTheirPhases) {
    start();
    const auto response = post("/v1/chat/completions", chat("hello", R"(,"stream":true)"),
                               "x-request-id: my-id.1\r\nUser-Agent: tester\r\n");
    EXPECT_EQ(response.header("x-request-id"), "my-id.1");
    const auto record = newest_record();
    EXPECT_EQ(record.at("id").as_string(), "my-id.1");
    EXPECT_EQ(record.at("status").as_int64(), 200);
    EXPECT_EQ(record.at("model").as_string(), "fake/chat");
    EXPECT_EQ(record.at("user_agent").as_string(), "tester");
    EXPECT_EQ(record.at("completion_tokens").as_int64(), 4);
    EXPECT_TRUE(record.at("error").is_null());
    std::vector<std::string> names;
    for (const auto& span : record.at("spans").as_array()) {
        names.emplace_back(span.at("name").as_string());
        EXPECT_LE(span.at("start_ms").as_double(), span.at("end_ms").as_double());
    }
    EXPECT_THAT(names, ElementsAre("template", "queue", "prefill", "decode", "stream"));
    EXPECT_EQ(post("/v1/chat/completions", "{", "x-request-id: my-id.1\r\n")
                  .header("x-request-id")
                  .substr(0, 4),
              "req_")
        << "an id is used once";
    EXPECT_EQ(newest_record().at("error").at("code").as_string(), "invalid_json");
    EXPECT_EQ(get("/admin/v1/requests/unknown").status, 404);
    EXPECT_EQ(get("/admin/v1/requests?limit=0").status, 400);
    EXPECT_EQ(get("/admin/v1/requests?before=unknown").status, 400);
}

TEST_F(GatewayTest, TraceContextIsTakenReturnedAndExported) {
    start();
    const auto response = post("/v1/chat/completions", chat("hello"),
                               "traceparent: 00-0af7651916cd43dd8448eb211c80319c-"
                               "b7ad6b7169203331-01\r\ntracestate: a=b\r\n");
    const auto returned = base::trace::parse_traceparent(response.header("traceparent"));
    ASSERT_TRUE(returned);
    EXPECT_EQ(base::trace::to_hex(returned->trace_id), "0af7651916cd43dd8448eb211c80319c");
    EXPECT_NE(base::trace::to_hex(returned->span_id), "b7ad6b7169203331");
    EXPECT_EQ(response.header("tracestate"), "a=b");
    const auto spans = spans_.wait_for(5);
    EXPECT_EQ(spans[0].name, "POST /v1/chat/completions");
    EXPECT_EQ(base::trace::to_hex(spans[0].parent_id), "b7ad6b7169203331");
    EXPECT_TRUE(spans[0].server);
    for (std::size_t i = 1; i < spans.size(); ++i) {
        EXPECT_EQ(spans[i].parent_id, spans[0].span_id);
        EXPECT_EQ(spans[i].trace_id, spans[0].trace_id);
        EXPECT_GE(spans[i].start_unix_ns, spans[0].start_unix_ns);
        EXPECT_LE(spans[i].end_unix_ns, spans[0].end_unix_ns);
    }
}

TEST_F(GatewayTest, StatsAndMetricsShowTheSameNumbers) {
    start();
    post("/v1/chat/completions", chat("hello"));
    post("/v1/chat/completions", "{");
    auto sample = parsed(get("/admin/v1/stats").body);
    // An answer leaves before its request is counted.
    for (int tries = 0; tries < 10'000 && sample.at("requests_total").as_int64() < 2; ++tries) {
        sample = parsed(get("/admin/v1/stats").body);
    }
    EXPECT_EQ(sample.at("requests_total").as_int64(), 2);
    EXPECT_EQ(sample.at("errors_total").as_int64(), 1);
    EXPECT_EQ(sample.at("completion_tokens_total").as_int64(), 4);
    EXPECT_TRUE(sample.at("ttft_ms").at("p50").is_double());
    EXPECT_GE(sample.at("open_connections").as_int64(), 1);
    EXPECT_GT(sample.at("rss_bytes").as_int64(), 0);
    const std::string metrics = get("/metrics").body;
    EXPECT_THAT(metrics, HasSubstr("\ndougong_engine_completion_tokens_total 4\n"));
    EXPECT_THAT(metrics, HasSubstr("dougong_gate_requests_total{route=\"/v1/chat/completions\","
                                   "status=\"400\"} 1\n"));
    EXPECT_THAT(metrics, HasSubstr("\ndougong_gate_requests_in_flight 0\n"));
    EXPECT_TRUE(parsed(get("/admin/v1/stats/history").body).at("samples").is_array());
    const auto system = parsed(get("/admin/v1/system").body);
    EXPECT_EQ(system.at("version").as_string(), "1.2.3");
}

TEST_F(GatewayTest, StatsStreamStartsAtOnceAndDoesNotHoldUpAGracefulStop) {
    start();
    test::RawClient client(server_->port());
    client.send("GET /admin/v1/stats/stream HTTP/1.1\r\nHost: localhost\r\n\r\n");
    EXPECT_EQ(client.read_head().header("Content-Type"), "text/event-stream; charset=utf-8");
    const auto chunk = client.read_chunk();
    ASSERT_TRUE(chunk);
    ASSERT_TRUE(chunk->starts_with("data: "));
    EXPECT_TRUE(parsed(chunk->substr(6)).as_object().contains("kv_pages_total"));
    EXPECT_TRUE(client.read_chunk().has_value()) << "one a second";
    gateway_->begin_drain();
    while (const auto more = client.read_chunk()) {
        if (more->empty()) break;
    }
    server_->stop(10s);
    EXPECT_TRUE(client.wait_closed());
}

TEST_F(GatewayTest, StoppingEndsWhatStillRuns) {
    start();
    test::RawClient client(server_->port());
    const std::string body = chat("hold");
    client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
    while (backend_.stats().running == 0) std::this_thread::yield();
    gateway_->stop();
    EXPECT_EQ(client.read_response().status, 503);
    backend_.wait_idle();
}

TEST_F(GatewayTest, OpenApiDescribesEveryRouteAndOnlyThose) {
    start();
    const auto document = parsed(get("/openapi.json").body);
    EXPECT_EQ(document.at("info").at("version").as_string(), "1.2.3");
    std::set<std::pair<std::string, std::string>> documented, routed;
    for (const auto& path : document.at("paths").as_object()) {
        for (const auto& operation : path.value().as_object()) {
            documented.emplace(operation.key(), path.key());
        }
    }
    for (auto [method, pattern] : server_->router().routes()) {
        for (char& c : method) c = static_cast<char>(std::tolower(c));
        if (const auto dots = pattern.find("..."); dots != std::string::npos)
            pattern.erase(dots, 3);
        routed.emplace(method, pattern);
    }
    EXPECT_EQ(documented, routed);
}

TEST_F(GatewayTest, OpenApiFieldsAreTheOnesTheParserTakes) {
    start();
    const auto document = parsed(get("/openapi.json").body);
    const auto& schema = document.at("paths")
                             .at("/v1/chat/completions")
                             .at("post")
                             .at("requestBody")
                             .at("content")
                             .at("application/json")
                             .at("schema");
    for (const auto& property : schema.at("properties").as_object()) {
        const std::string name(property.key());
        if (name == "model" || name == "messages") continue;
        const auto response = post("/v1/chat/completions", chat("x", ",\"" + name + "\":null"));
        EXPECT_EQ(response.status, 200) << name << response.body;
    }
    EXPECT_EQ(schema.at("additionalProperties").as_bool(), false);
}

/// Every member that `schema` has is in `value`, with that type.
void expect_fits(const json::value& schema, const json::value& value, const std::string& path) {
    const auto* const type = schema.as_object().if_contains("type");
    if (type == nullptr) return;
    const std::string_view name(type->as_string().data(), type->as_string().size());
    if (name == "object") {
        ASSERT_TRUE(value.is_object()) << path;
        for (const auto& member : schema.at("properties").as_object()) {
            const auto* const has = value.as_object().if_contains(member.key());
            ASSERT_NE(has, nullptr) << path << "." << member.key();
            expect_fits(member.value(), *has, path + "." + std::string(member.key()));
        }
    } else if (name == "array") {
        ASSERT_TRUE(value.is_array()) << path;
        const auto* const items = schema.as_object().if_contains("items");
        if (items == nullptr) return;
        for (const auto& item : value.as_array()) expect_fits(*items, item, path + "[]");
    } else if (name == "string") {
        EXPECT_TRUE(value.is_string()) << path;
    } else if (name == "boolean") {
        EXPECT_TRUE(value.is_bool()) << path;
    } else {
        EXPECT_TRUE(value.is_number()) << path;
    }
}

TEST_F(GatewayTest, OpenApiDescribesTheAnswers) {
    start();
    const auto document = parsed(get("/openapi.json").body);
    const auto check = [&](const std::string& method, const std::string& path,
                           const test::RawResponse& response) {
        ASSERT_EQ(response.status, 200) << response.body;
        const auto& schema = document.at("paths")
                                 .at(path)
                                 .at(method)
                                 .at("responses")
                                 .at("200")
                                 .at("content")
                                 .at("application/json")
                                 .at("schema");
        ASSERT_TRUE(schema.as_object().contains("properties")) << path;
        expect_fits(schema, parsed(response.body), path);
    };
    check("post", "/v1/chat/completions", post("/v1/chat/completions", chat("hello")));
    check("post", "/v1/completions", post("/v1/completions", R"({"prompt":"hello"})"));
    const auto response = post("/v1/responses", R"({"input":"hello"})");
    check("post", "/v1/responses", response);
    const std::string id(parsed(response.body).at("id").as_string());
    check("get", "/v1/responses/{id}", get("/v1/responses/" + id));
    check("get", "/v1/responses/{id}/input_items", get("/v1/responses/" + id + "/input_items"));
    check("post", "/v1/embeddings", post("/v1/embeddings", R"({"input":"a"})"));
    check("post", "/v1/rerank", post("/v1/rerank", R"({"query":"a","documents":["a"]})"));
    check("post", "/v1/score", post("/v1/score", R"({"text_1":"a","text_2":"a"})"));
    check("post", "/v1/caches", post("/v1/caches", R"({"prompt":"a"})"));
    check("post", "/tokenize", post("/tokenize", R"({"text":"a"})"));
    check("post", "/detokenize", post("/detokenize", R"({"tokens":[1]})"));
    check("get", "/v1/models/{id}", get("/v1/models/fake/chat"));
}

}  // namespace
