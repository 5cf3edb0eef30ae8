#pragma once
// What gives memories their vectors: an encoder run by our engine, or an endpoint that speaks
// OpenAI's /v1/embeddings.

#include <chrono>
#include <memory>
#include <string>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "base/http/client.h"
#include "memory/embedder.h"

namespace engine {
class Engine;
struct ModelPrefixes;
}  // namespace engine

namespace app {

/// `engine` must be an encoder. Longer texts are cut to what it takes. What the model expects
/// before a text is put there: `prefixes`, and for a side that they leave open what e5 and bge
/// models are known to expect, by the model's name. Another prefix of documents makes another id:
/// vectors of both are not compared.
/// Errors: failed_precondition (it ranks, or embeds nothing).
base::Result<std::shared_ptr<memory::Embedder>> make_engine_embedder(
    std::shared_ptr<engine::Engine> engine, const engine::ModelPrefixes& prefixes);

struct EndpointEmbedderOptions {
    std::string url;    ///< of the API, up to and with /v1
    std::string model;  ///< as the endpoint calls it
    std::string api_key = {};
    std::uint32_t dims = 0;        ///< 0: asked of the endpoint when it is made
    std::uint32_t batch_max = 64;  ///< texts in one request
    std::string query_prefix = {}, document_prefix = {};
    std::chrono::milliseconds timeout{30'000};  ///< of one request
    base::HttpClient::Options http = {};
};
/// Errors: invalid_argument (url, model), unavailable (no answer to ask the dims of).
base::Result<std::shared_ptr<memory::Embedder>> make_endpoint_embedder(
    EndpointEmbedderOptions options);

}  // namespace app
