#pragma once
// What holds an answer to its format and its calls to the offered tools: the grammar of a request,
// and what the way back must know of it.

#include <span>

#include "base/core/result.h"
#include "base/json/json.h"
#include "engine/chat/chat_format.h"
#include "engine/engine.h"
#include "gate/model_backend.h"

namespace app {

/// The tools that the answer may call; null when none.
base::json::value offered_tools(const gate::GenerationRequest& request);

/// A model that learned the form of calls from our words alone often does not know when to stop: it
/// makes one call an answer unless the request asks for more.
bool may_call_in_parallel(const engine::chat::ChatFormat& format, const gate::ToolChoice& choice);

engine::chat::ReasoningState reasoning_after(const engine::Engine& engine,
                                             std::span<const engine::TokenId> prompt);

/// Sets the grammar of `out` and when it begins to hold. Pre: out.prompt is set. An answer that
/// should be held to something is never left free: errors, as those of engine_request, instead.
base::Result<void> constrain_answer(const engine::Engine& engine,
                                    const gate::GenerationRequest& request,
                                    engine::GenerateRequest& out);

}  // namespace app
