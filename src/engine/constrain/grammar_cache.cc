#include "engine/constrain/grammar_cache.h"

namespace engine::constrain {

base::Result<std::shared_ptr<const Grammar>> GrammarCache::get(const std::string& source,
                                                               const Compile& compile) {
    {
        const std::lock_guard lock(mutex_);
        if (const auto known = by_source_.find(source); known != by_source_.end()) {
            entries_.splice(entries_.begin(), entries_, known->second);
            ++stats_.hits;
            return entries_.front().grammar;
        }
        ++stats_.misses;
    }
    std::shared_ptr<const Grammar> grammar = DG_TRY(compile());
    const std::size_t bytes = source.size() + grammar->memory_bytes();
    const std::lock_guard lock(mutex_);
    if (const auto known = by_source_.find(source); known != by_source_.end()) {
        return known->second->grammar;  // another caller was faster; share its masks
    }
    if (bytes > limits_.bytes_max) return grammar;
    entries_.push_front({source, grammar, bytes});
    by_source_.emplace(entries_.front().source, entries_.begin());
    stats_.bytes += bytes;
    while (stats_.bytes > limits_.bytes_max) {
        stats_.bytes -= entries_.back().bytes;
        by_source_.erase(entries_.back().source);
        entries_.pop_back();
    }
    return grammar;
}

GrammarCacheStats GrammarCache::stats() const {
    const std::lock_guard lock(mutex_);
    GrammarCacheStats stats = stats_;
    stats.grammars = entries_.size();
    return stats;
}

}  // namespace engine::constrain
