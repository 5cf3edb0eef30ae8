#pragma once
// Compiled grammars by what they were compiled from: the same schema comes with every request of a
// conversation.

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/core/result.h"
#include "engine/constrain/grammar.h"

namespace engine::constrain {

struct GrammarCacheLimits {
    std::size_t bytes_max = 64u << 20;  ///< of sources and grammars
};

struct GrammarCacheStats {
    std::uint64_t hits = 0, misses = 0;
    std::size_t grammars = 0, bytes = 0;
};

/// Thread-safe. The least recently used go first; one larger than the limit is not kept.
class GrammarCache {
public:
    using Compile = std::function<base::Result<std::shared_ptr<const Grammar>>()>;

    explicit GrammarCache(GrammarCacheLimits limits = {}) : limits_(limits) {}

    /// The grammar of `source`: everything the result of `compile` depends on, as text. `compile`
    /// runs outside of any lock, so two callers may compile the same at once. Errors: those of
    /// `compile`, which are not kept.
    base::Result<std::shared_ptr<const Grammar>> get(const std::string& source,
                                                     const Compile& compile);
    GrammarCacheStats stats() const;

private:
    struct Entry {
        std::string source;
        std::shared_ptr<const Grammar> grammar;
        std::size_t bytes = 0;
    };

    const GrammarCacheLimits limits_;
    mutable std::mutex mutex_;  ///< guards what follows
    std::list<Entry> entries_;  ///< the last one used first
    std::unordered_map<std::string_view, std::list<Entry>::iterator> by_source_;
    GrammarCacheStats stats_;
};

}  // namespace engine::constrain
