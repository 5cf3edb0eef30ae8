#include "engine/constrain/constrainer.h"

#include <algorithm>

namespace engine::constrain {

Constrainer::Constrainer(std::shared_ptr<const Tokenizer> tokenizer, ConstrainerLimits limits)
    : tokenizer_(std::move(tokenizer)), limits_(limits) {}

std::unique_ptr<Guide> Constrainer::guide(const std::shared_ptr<const Grammar>& grammar,
                                          std::vector<std::string> triggers, TriggerPause pause) {
    return std::make_unique<Guide>(masks_of(grammar), tokenizer_, std::move(triggers),
                                   std::move(pause));
}

std::shared_ptr<Masks> Constrainer::masks_of(const std::shared_ptr<const Grammar>& grammar) {
    const std::lock_guard lock(mutex_);
    if (trie_ == nullptr) trie_ = std::make_shared<const TokenTrie>(*tokenizer_);
    const auto known =
        std::ranges::find_if(lately_, [&](const Entry& e) { return e.grammar == grammar; });
    if (known != lately_.end()) {
        lately_.splice(lately_.begin(), lately_, known);
    } else {
        lately_.push_front({grammar, std::make_shared<Masks>(grammar, trie_)});
        keep_within_limits();
    }
    return lately_.front().masks;
}

void Constrainer::keep_within_limits() {
    std::size_t bytes = 0;
    for (const Entry& entry : lately_) bytes += entry.masks->memory_bytes();
    while (lately_.size() > 1 &&
           (lately_.size() > limits_.grammars_max || bytes > limits_.bytes_max)) {
        bytes -= std::min(bytes, lately_.back().masks->memory_bytes());
        lately_.pop_back();
    }
}

}  // namespace engine::constrain
