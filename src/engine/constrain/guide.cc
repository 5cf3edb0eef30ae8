#include "engine/constrain/guide.h"

#include <algorithm>
#include <limits>

namespace engine::constrain {

using base::Code;
using base::fail;

Guide::Guide(std::shared_ptr<Masks> masks, std::shared_ptr<const Tokenizer> tokenizer,
             std::vector<std::string> triggers, TriggerPause pause)
    : masks_(std::move(masks)),
      tokenizer_(std::move(tokenizer)),
      triggers_(std::move(triggers)),
      pause_(std::move(pause)) {
    if (!pause_.close.empty()) {
        free_.phase = pause_.begun          ? Phase::paused
                      : pause_.open.empty() ? Phase::watching
                                            : Phase::start;
    }
    std::erase(triggers_, "");
    for (const std::string& trigger : triggers_) {
        trigger_bytes_max_ = std::max(trigger_bytes_max_, trigger.size());
    }
}

base::Result<void> Guide::restrict(std::span<float> logits) {
    if (!constraint_ && triggers_.empty()) constraint_.emplace(masks_);
    if (!constraint_) return {};
    const std::span<const std::uint64_t> mask = constraint_->mask();
    constexpr float kNever = -std::numeric_limits<float>::infinity();
    bool any = false;
    for (std::size_t word = 0; word * 64 < logits.size(); ++word) {
        const std::uint64_t allowed = word < mask.size() ? mask[word] : 0;
        any = any || allowed != 0;
        if (allowed == ~std::uint64_t{0}) continue;
        const std::size_t end = std::min(logits.size(), word * 64 + 64);
        for (std::size_t id = word * 64; id < end; ++id) {
            if (((allowed >> (id & 63)) & 1) == 0) logits[id] = kNever;
        }
    }
    if (any) return {};
    return fail(Code::failed_precondition,
                "the answer's grammar allows no token of this model's vocabulary here, or has too "
                "many ways to read the text so far; simplify the schema or grammar");
}

bool Guide::accept(TokenId token) {
    if (!constraint_ && triggers_.empty()) constraint_.emplace(masks_);
    if (!constraint_) return accept_free(token);
    if (!constraint_->accept(token)) return false;
    if (!triggers_.empty() && constraint_->finished()) constraint_.reset();
    return true;
}

/// True when the triggers count in what is left of the text.
bool Guide::leave_pause(Free& free) const {
    std::string& text = free.text;
    if (free.phase == Phase::start) {
        text.erase(0, std::min(text.find_first_not_of(" \t\r\n"), text.size()));
        const bool may_open = text.size() < pause_.open.size() && pause_.open.starts_with(text);
        if (may_open) return false;
        free.phase = text.starts_with(pause_.open) ? Phase::paused : Phase::watching;
        if (free.phase == Phase::paused) text.erase(0, pause_.open.size());
    }
    if (free.phase == Phase::watching) return true;
    const std::size_t close = text.find(pause_.close);
    if (close == std::string::npos) {
        text.erase(0, text.size() - std::min(text.size(), pause_.close.size() - 1));
        return false;
    }
    text.erase(0, close + pause_.close.size());
    free.phase = Phase::watching;
    return true;
}

bool Guide::accept_free(TokenId token) {
    Free next = free_;
    next.text += tokenizer_->piece(token, true);
    // Of the trigger that is complete first; of two that end there the longer one.
    std::size_t begin = 0, end = std::string::npos;
    if (!leave_pause(next)) {
        free_ = std::move(next);
        return true;
    }
    for (const std::string& trigger : triggers_) {
        const std::size_t at = next.text.find(trigger);
        if (at == std::string::npos || at + trigger.size() > end) continue;
        begin = at + trigger.size() < end ? at : std::min(begin, at);
        end = at + trigger.size();
    }
    if (end == std::string::npos) {
        next.text.erase(0, next.text.size() - std::min(next.text.size(), trigger_bytes_max_ - 1));
        free_ = std::move(next);
        return true;
    }
    Constraint begun(masks_);
    if (!begun.accept_bytes(std::string_view(next.text).substr(begin))) return false;
    free_ = {};
    if (!begun.finished()) constraint_ = std::move(begun);
    return true;
}

std::vector<TokenId> Guide::forced(std::span<const TokenId> before, std::size_t tokens_max) {
    if (!constraint_ && triggers_.empty()) constraint_.emplace(masks_);
    if (!constraint_) return {};
    return constraint_->forced_tokens(*tokenizer_, before, tokens_max);
}

}  // namespace engine::constrain
