#pragma once
// Which model answers a request, also one that names none.

#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "gate/api_error.h"
#include "gate/model_backend.h"

namespace gate {

enum class Task { generate, embed, tokenize };

/// The card called `model`. Requests may leave the name out ("" here) where only one model can be
/// meant: the one that generates; for embeddings the one encoder, or the only model. Tokenizing
/// takes the first. Errors: not_found (lists what there is), failed_precondition (a name is
/// needed).
base::Result<ModelCard> choose_model(std::vector<ModelCard> cards, std::string_view model,
                                     Task task);

/// choose_model()'s error as OpenAI clients know it.
ApiError model_error(const base::Error& error);

/// "ready", "loading"...: what clients read as a model's state.
std::string_view state_name(ModelState state);

}  // namespace gate
