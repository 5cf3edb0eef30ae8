#pragma once
// How well documents answer a query, by what the model at hand can do.

#include <span>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "engine/engine.h"
#include "gate/model_backend.h"

namespace app {

/// By the model's ranking head where it has one (engine::Engine::rank); else by the cosine between
/// the query's embedding and each document's. Errors: those of Engine::rank and embed.
base::Result<gate::ModelBackend::Ranking> rank_documents(engine::Engine& engine,
                                                         std::string_view query,
                                                         std::span<const std::string> documents);

}  // namespace app
