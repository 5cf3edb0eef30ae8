#pragma once
// An engine's part in structured output: the vocabulary as a trie, made at first use, and the masks
// of the grammars used lately.

#include <list>
#include <memory>
#include <mutex>

#include "engine/constrain/guide.h"

namespace engine::constrain {

struct ConstrainerLimits {
    std::size_t grammars_max = 64;
    std::size_t bytes_max = 256u << 20;  ///< of states and masks of all grammars
};

/// Thread-safe. The guides it makes belong to one thread, the same for all of them.
class Constrainer {
public:
    explicit Constrainer(std::shared_ptr<const Tokenizer> tokenizer, ConstrainerLimits limits = {});

    /// Takes its time (a walk over the vocabulary or the grammar): not on the engine's thread.
    std::unique_ptr<Guide> guide(const std::shared_ptr<const Grammar>& grammar,
                                 std::vector<std::string> triggers, TriggerPause pause = {});

private:
    struct Entry {
        std::shared_ptr<const Grammar> grammar;
        std::shared_ptr<Masks> masks;
    };
    std::shared_ptr<Masks> masks_of(const std::shared_ptr<const Grammar>& grammar);
    void keep_within_limits();

    const std::shared_ptr<const Tokenizer> tokenizer_;
    const ConstrainerLimits limits_;
    std::mutex mutex_;  ///< guards what follows
    std::shared_ptr<const TokenTrie> trie_;
    std::list<Entry> lately_;  ///< the last one used first
};

}  // namespace engine::constrain
