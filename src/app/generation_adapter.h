#pragma once
// Between the gateway's words and the engine's for one generation: the prompt as tokens, the
// request, and the events on the way back.

#include <memory>
#include <span>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "engine/engine.h"
#include "gate/model_backend.h"

namespace app {

/// What comes after a chat's messages: the answer, or further messages (a prefix to be kept).
enum class PromptEnd { answer_follows, messages_follow };

/// The prompt of `request` as the model reads it, chat template applied. Errors: those of the
/// template; invalid_argument (a token id the model does not have).
base::Result<std::vector<engine::TokenId>> prompt_tokens(const engine::Engine& engine,
                                                         const gate::GenerationRequest& request,
                                                         PromptEnd end = PromptEnd::answer_follows);

struct ModelPrompt {
    std::vector<engine::TokenId> tokens;
    std::uint32_t dropped_tokens = 0;  ///< of the messages that were left out
    /// With a context shift: leading tokens that outlive it, those of system prompt and tools.
    std::uint32_t lasting_tokens = 0;
};
/// The prompt of a request that shall be answered. Where the request wants a context shift and its
/// messages are too long, the oldest are left out (context_fit.h). Errors: those of prompt_tokens
/// and fit_prompt.
base::Result<ModelPrompt> answer_prompt(const engine::Engine& engine,
                                        const gate::GenerationRequest& request);

/// What the engine is asked. Tools and the answer's format become a grammar: calls always parse,
/// name an offered tool and obey its schema. Errors: invalid_argument, unimplemented by path (a
/// schema that cannot be enforced; a tool's only with `strict`).
base::Result<engine::GenerateRequest> engine_request(const engine::Engine& engine,
                                                     gate::GenerationRequest&& request,
                                                     ModelPrompt prompt);

/// What is known before the engine is asked and told at the end.
struct PromptFacts {
    base::Instant received, templated;
    std::uint32_t dropped_tokens = 0;
};

/// Tells `listener` what the engine tells the sink, with tool calls and reasoning taken apart in
/// chats. Where it does that, stop strings are matched on the answer's text alone: they never cut
/// a tool call or the reasoning. `prompt`: of prompt_tokens, read during the call. `engine` must
/// outlive the generation.
std::shared_ptr<engine::GenerationSink> make_sink(
    const engine::Engine& engine, const gate::GenerationRequest& request,
    std::shared_ptr<gate::GenerationListener> listener, const PromptFacts& facts,
    std::span<const engine::TokenId> prompt = {});

}  // namespace app
