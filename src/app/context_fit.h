#pragma once
// A conversation that is longer than the context: which of its oldest messages are left out. Pure
// but for the counting, which is asked for.

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "engine/tokenizer/tokenizer.h"

namespace app {

/// Messages that are left out together: two runs, of which either may be empty.
struct MessageCut {
    std::size_t first_begin = 0, first_end = 0;
    std::size_t second_begin = 0, second_end = 0;
    bool operator==(const MessageCut&) const = default;
};

/// Every way to shorten a conversation from its old end, from the least to the most. System
/// messages at the beginning stay. Whole turns go, from a question to the next; then, in the last
/// turn, whole exchanges behind its question: what the assistant said with the results of its
/// calls. The last exchange stays, so a result never stands without its call.
std::vector<MessageCut> cuts_of(const base::json::array& messages);
base::json::array system_messages(const base::json::array& messages);  ///< those at the beginning
base::json::array without(const base::json::array& messages, const MessageCut& cut);

struct FittedPrompt {
    std::vector<engine::TokenId> tokens;
    std::uint32_t dropped_tokens = 0;
};
using RenderPrompt =
    std::function<base::Result<std::vector<engine::TokenId>>(const base::json::array& messages)>;

/// Leaves out the least that makes the prompt fit `context_tokens` with one token to spare, in
/// steps of a quarter of the context: the next turns of a conversation that grows leave out the
/// same messages and find what is cached of the others. `whole`: the prompt of all messages.
/// Errors: invalid_argument on "context_tokens" when what must stay is too long (says the numbers),
/// those of `render`.
base::Result<FittedPrompt> fit_prompt(std::vector<engine::TokenId> whole,
                                      const base::json::array& messages,
                                      std::uint32_t context_tokens, const RenderPrompt& render);

}  // namespace app
