#pragma once
// Facts out of texts by a language model behind OpenAI's /v1/chat/completions, held to a schema.

#include <chrono>
#include <memory>
#include <string>

#include "base/core/result.h"
#include "base/http/client.h"
#include "memory/facts/extractor.h"

namespace app {

struct EndpointExtractorOptions {
    std::string url;    ///< of the API, up to and with /v1
    std::string model;  ///< as the endpoint calls it
    std::string api_key = {};
    std::uint32_t tokens_max = 1024;             ///< of one answer
    std::chrono::milliseconds timeout{120'000};  ///< of one text
    base::HttpClient::Options http = {};
};

/// A statement is kept where its subject and object stand in the text, or mean who spoke: a model
/// may choose among words, it may not make them up. Errors: invalid_argument (url, model).
base::Result<std::shared_ptr<memory::facts::Extractor>> make_endpoint_extractor(
    EndpointExtractorOptions options);

}  // namespace app
