#pragma once
// What one generation may say: under a grammar from its first token, or free until a trigger was
// generated, with which a text of the grammar begins, then under the grammar until that ends, then
// free again.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "engine/constrain/constraint.h"
#include "engine/constrain/trigger_pause.h"

namespace engine::constrain {

/// One thread: that of its masks. Made on any.
class Guide {
public:
    /// Without triggers the grammar applies from the start. Empty triggers are ignored.
    Guide(std::shared_ptr<Masks> masks, std::shared_ptr<const Tokenizer> tokenizer,
          std::vector<std::string> triggers, TriggerPause pause = {});

    /// Sets the logits of tokens that may not come now to -infinity. Errors: failed_precondition
    /// when none may: the generation must end with it.
    base::Result<void> restrict(std::span<float> logits);
    /// Takes a token. False, and nothing changes, when it cannot be: it completes a trigger and
    /// goes on in a way that the grammar does not. Choose another one then.
    bool accept(TokenId token);
    /// The grammar's text is complete and nothing can follow it. Never with triggers.
    bool finished() const { return triggers_.empty() && constraint_ && constraint_->finished(); }
    /// Tokens that must come next, to be accepted and appended without sampling.
    std::vector<TokenId> forced(std::span<const TokenId> before, std::size_t tokens_max);

private:
    enum class Phase : std::uint8_t { start, paused, watching };
    struct Free {
        Phase phase = Phase::watching;
        std::string text;  ///< the last bytes, in which a marker or a trigger may begin
    };
    bool accept_free(TokenId token);
    bool leave_pause(Free& free) const;

    std::shared_ptr<Masks> masks_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    std::vector<std::string> triggers_;
    std::size_t trigger_bytes_max_ = 0;
    std::optional<Constraint> constraint_;  ///< none: free
    const TriggerPause pause_;
    Free free_;
};

}  // namespace engine::constrain
