#include "gate/openapi_answers.h"

#include <algorithm>
#include <array>

namespace gate {
namespace {

struct Example {
    std::string_view method, path, answer;
};

constexpr std::string_view kCard =
    R"({"id":"m","object":"model","created":1,"owned_by":"dougong","context_tokens":8192,)"
    R"("state":"ready"})";
constexpr std::string_view kResponse =
    R"({"id":"resp_1","object":"response","created_at":1,"status":"completed","error":null,)"
    R"("incomplete_details":null,"output":[{"id":"msg_1_0","status":"completed","type":"message",)"
    R"("role":"assistant","content":[{"type":"output_text","annotations":[],"logprobs":[],)"
    R"("text":"Hi"}]}],"usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":0},)"
    R"("output_tokens":1,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":2},)"
    R"("instructions":null,"max_output_tokens":null,"metadata":{},"parallel_tool_calls":true,)"
    R"("previous_response_id":null,"store":true,"background":false,"temperature":1.0,)"
    R"("tools":[],"top_p":1.0,"truncation":"disabled","model":"m"})";
constexpr std::string_view kDeleted = R"({"id":"x","object":"response","deleted":true})";
constexpr std::string_view kCache =
    R"({"id":"c","object":"cache","model":"m","tokens":1000,"expires_at":1})";

constexpr std::array kExamples = {
    Example{"post", "/v1/chat/completions",
            R"({"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m",)"
            R"("system_fingerprint":"fp","choices":[{"index":0,"message":{"role":"assistant",)"
            R"("content":"Hi","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":)"
            R"({"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"prompt_tokens_details":)"
            R"({"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":0}},)"
            R"("timings":{"ttft_ms":1.5}})"},
    Example{"post", "/v1/completions",
            R"({"id":"cmpl-1","object":"text_completion","created":1,"model":"m",)"
            R"("system_fingerprint":"fp","choices":[{"index":0,"text":"Hi","logprobs":null,)"
            R"("finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,)"
            R"("total_tokens":2,"prompt_tokens_details":{"cached_tokens":0}},)"
            R"("timings":{"ttft_ms":1.5}})"},
    Example{"post", "/v1/responses", kResponse},
    Example{"get", "/v1/responses/{id}", kResponse},
    Example{"post", "/v1/responses/{id}/cancel", kResponse},
    Example{"delete", "/v1/responses/{id}", kDeleted},
    Example{"get", "/v1/responses/{id}/input_items",
            R"({"object":"list","has_more":false,"first_id":"item_0","last_id":"item_0","data":)"
            R"([{"id":"item_0","type":"message"}]})"},
    Example{"delete", "/v1/streams/{id}", kDeleted},
    Example{"post", "/v1/embeddings",
            R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],)"
            R"("model":"m","usage":{"prompt_tokens":1,"total_tokens":1}})"},
    Example{"post", "/v1/rerank",
            R"({"object":"list","results":[{"index":0,"relevance_score":0.5}],"model":"m",)"
            R"("id":"rank-1","usage":{"prompt_tokens":1,"total_tokens":1}})"},
    Example{"post", "/v1/score",
            R"({"object":"list","data":[{"index":0,"object":"score","score":0.5}],"model":"m",)"
            R"("id":"rank-1","usage":{"prompt_tokens":1,"total_tokens":1}})"},
    Example{"post", "/v1/caches", kCache},
    Example{"delete", "/v1/caches/{id}", kDeleted},
    Example{"post", "/tokenize", R"({"tokens":[1],"count":1,"max_model_len":8192})"},
    Example{"post", "/detokenize", R"({"text":"Hi","prompt":"Hi"})"},
    Example{"get", "/v1/models/{id}", kCard},
};

}  // namespace

std::string_view example_answer(std::string_view method, std::string_view path) {
    const auto found = std::ranges::find_if(kExamples, [&](const Example& example) {
        return example.method == method && example.path == path;
    });
    return found == kExamples.end() ? std::string_view() : found->answer;
}

}  // namespace gate
