#pragma once
// What reads memories beside a question: a cross-encoder run by our engine, or an endpoint that
// speaks /v1/rerank, or a chat model that is asked to judge.

#include <chrono>
#include <memory>
#include <string>

#include "base/core/result.h"
#include "base/http/client.h"
#include "memory/reranker.h"

namespace engine {
class Engine;
}

namespace app {

/// Errors: failed_precondition (the model has no ranking head).
base::Result<std::shared_ptr<memory::Reranker>> make_engine_reranker(
    std::shared_ptr<engine::Engine> engine);

struct EndpointRerankerOptions {
    std::string url;    ///< of the API, up to and with /v1
    std::string model;  ///< as the endpoint calls it
    std::string api_key = {};
    bool chat = false;  ///< the model is a chat model: it grades each text, held to a schema
    std::chrono::milliseconds timeout{30'000};
    base::HttpClient::Options http = {};
};
/// Errors: invalid_argument (url, model).
base::Result<std::shared_ptr<memory::Reranker>> make_endpoint_reranker(
    EndpointRerankerOptions options);

}  // namespace app
