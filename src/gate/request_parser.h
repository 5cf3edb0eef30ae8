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
    std::uint32_t stop_max = 16;  ///< stop strings
};

/// A chat or completion request. Everything the backend needs except handle and listener.
struct GenerationCall {
    bool chat = true;
    GenerationRequest request;    ///< its prompt is unset; see `prompts`
    std::vector<Prompt> prompts;  ///< chat: one
    std::uint32_t n = 1;
    bool stream = false, include_usage = false, echo = false;
};

/// Error codes as request_error() reads them; the subject is the field's path.
base::Result<GenerationCall> parse_chat_request(std::string_view body, const ParseLimits& = {});
base::Result<GenerationCall> parse_completion_request(std::string_view body,
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

struct DetokenizeCall {
    std::string model;
    std::vector<std::int32_t> tokens;
};
base::Result<DetokenizeCall> parse_detokenize_request(std::string_view body);

}  // namespace gate
