#pragma once
// Request bodies to checked values. Pure functions over bytes that strangers send: they never
// crash, and every error names the field (as a path such as "messages[2].content") and what to do.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/core/result.h"
#include "gate/model_backend.h"

namespace gate {

struct ParseLimits {
    std::uint32_t n_max = 8;
    std::uint32_t prompts_max = 64;  ///< prompts of one /v1/completions request
    std::uint32_t embed_inputs_max = 2048;
    std::uint32_t stop_max = 16;         ///< stop strings
    std::uint32_t documents_max = 2048;  ///< of one /v1/rerank request
};

/// Which of the APIs that generate was called.
enum class Api { chat, completions, responses };

/// What only /v1/responses has.
struct ResponseFields {
    std::string previous_id, instructions;
    bool store = true, background = false;
    base::json::array input_items;  ///< as they are shown again, each with an id
    base::json::object echo;        ///< what the response repeats of the request
};

/// A request that generates. Everything the backend needs except handle and listener.
struct GenerationCall {
    Api api = Api::chat;
    GenerationRequest request;    ///< its prompt is unset; see `prompts`
    std::vector<Prompt> prompts;  ///< chat: one
    std::uint32_t n = 1;
    bool stream = false, include_usage = false, echo = false;
    std::optional<ResponseFields> response;  ///< with Api::responses
    bool resumable = false;  ///< the stream goes on when its client is gone, and can be read again
};

/// Error codes as request_error() reads them; the subject is the field's path.
base::Result<GenerationCall> parse_chat_request(std::string_view body, const ParseLimits& = {});
base::Result<GenerationCall> parse_completion_request(std::string_view body,
                                                      const ParseLimits& = {});

/// Messages first, in the order of the conversation; the route puts what went before in front.
base::Result<GenerationCall> parse_responses_request(std::string_view body,
                                                     const ParseLimits& = {});

struct EmbeddingCall {
    std::string model;
    std::vector<std::variant<std::string, std::vector<std::int32_t>>> inputs;
    bool base64 = false;
    std::optional<std::uint32_t> dimensions;
};
base::Result<EmbeddingCall> parse_embedding_request(std::string_view body, const ParseLimits& = {});

struct TokenizeCall {
    std::string model;  ///< empty: the first
    std::string text;
    bool add_special = true;
};
base::Result<TokenizeCall> parse_tokenize_request(std::string_view body);

struct RankCall {
    std::string model, query;
    std::vector<std::string> documents;
    std::optional<std::uint32_t> top_n;
    bool return_documents = false;
};
base::Result<RankCall> parse_rerank_request(std::string_view body, const ParseLimits& = {});
/// The same question in the shape of /v1/score.
base::Result<RankCall> parse_score_request(std::string_view body, const ParseLimits& = {});

struct CacheCall {
    std::string model;
    Prompt prompt;
    base::Duration time_to_live{};
};
base::Result<CacheCall> parse_cache_request(std::string_view body);

struct DetokenizeCall {
    std::string model;
    std::vector<std::int32_t> tokens;
};
base::Result<DetokenizeCall> parse_detokenize_request(std::string_view body);

}  // namespace gate
