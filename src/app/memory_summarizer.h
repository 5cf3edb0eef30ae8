#pragma once
// Summaries by a language model behind OpenAI's /v1/chat/completions, held to a schema.

#include <chrono>
#include <memory>
#include <string>

#include "base/core/result.h"
#include "base/http/client.h"
#include "memory/compress/summarizer.h"

namespace app {

struct EndpointSummarizerOptions {
    std::string url;    ///< of the API, up to and with /v1
    std::string model;  ///< as the endpoint calls it
    std::string api_key = {};
    std::uint32_t tokens_max = 2048;             ///< of one answer
    std::chrono::milliseconds timeout{120'000};  ///< of one summary
    base::HttpClient::Options http = {};
};

/// Errors: invalid_argument (url, model).
base::Result<std::shared_ptr<memory::compress::Summarizer>> make_endpoint_summarizer(
    EndpointSummarizerOptions options);

}  // namespace app
