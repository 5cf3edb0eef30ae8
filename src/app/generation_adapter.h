#pragma once
// Between the gateway's words and the engine's for one generation: the prompt as tokens, the
// request, and the events on the way back.

#include <memory>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "engine/engine.h"
#include "gate/model_backend.h"

namespace app {

/// The prompt of `request` as the model reads it, chat template applied. Errors: those of the
/// template; invalid_argument (a token id the model does not have).
base::Result<std::vector<engine::TokenId>> prompt_tokens(const engine::Engine& engine,
                                                         const gate::GenerationRequest& request);

/// What the engine is asked. Errors: those of the answer's format (a schema that cannot be
/// enforced is refused by its path).
base::Result<engine::GenerateRequest> engine_request(const engine::Engine& engine,
                                                     gate::GenerationRequest&& request,
                                                     std::vector<engine::TokenId> prompt);

struct AdapterTimes {
    base::Instant received, templated;
};

/// Tells `listener` what the engine tells the sink. `engine` must outlive the generation.
std::shared_ptr<engine::GenerationSink> make_sink(
    const engine::Engine& engine, const gate::GenerationRequest& request,
    std::shared_ptr<gate::GenerationListener> listener, AdapterTimes times);

}  // namespace app
