#include "memory/http/memory_metrics.h"

#include <mutex>

namespace memory {
namespace {

using base::metrics::Kind;
using base::metrics::Writer;

constexpr std::string_view kSearches = "dougong_memory_searches_total";
constexpr std::string_view kSearchesHelp =
    "Searches by outcome; words_only: the embedder did not answer.";
constexpr std::string_view kWrites = "dougong_memory_writes_total";
constexpr std::string_view kWritesHelp = "Memories given to be written, by what became of them.";

/// 0.05 ms to 1.6 s.
std::vector<double> search_bounds() {
    return base::metrics::exponential_bounds(0.00005, 2, 16);
}

void write(Writer& out, const StoreStats& stats) {
    const auto gauge = [&](std::string_view name, std::string_view help, std::uint64_t value) {
        out.sample(Kind::gauge, name, help, {}, static_cast<double>(value));
    };
    gauge("dougong_memory_entries", "Memories that can be found.", stats.entries);
    gauge("dougong_memory_passages", "Passages of documents.", stats.passages);
    gauge("dougong_memory_keys", "Keys of those whom memories belong to.", stats.keys);
    gauge("dougong_memory_plain", "Memories that still wait to be sealed.", stats.plain);
    gauge("dougong_memory_sessions_compressed", "Sessions compressed without being asked.",
          stats.sessions_compressed);
    gauge("dougong_memory_versions", "Earlier states kept.", stats.versions);
    gauge("dougong_memory_removed", "Removed memories kept for undo.", stats.removed);
    gauge("dougong_memory_tenants", "Tenants with memories.", stats.tenants);
    gauge("dougong_memory_embeddings_pending", "Memories without a vector yet.",
          stats.embeddings_pending);
    gauge("dougong_memory_truth_bytes", "Bytes of the files that hold them.", stats.truth_bytes);
    gauge("dougong_memory_index_bytes", "Bytes of memory of indexes.", stats.index_bytes);
    gauge("dougong_memory_indexes_open", "Tenants whose index is in memory.", stats.indexes_open);
    gauge("dougong_memory_forgets_open", "Forgets hidden and still being erased.",
          stats.forgets_open);
}

}  // namespace

/// Outlives the store where a scrape does.
struct MemoryMetrics::Source {
    std::mutex mutex;
    MemoryStore* store = nullptr;  // guarded by mutex
};

MemoryMetrics::MemoryMetrics(base::metrics::Registry& registry, MemoryStore& store)
    : source_(std::make_shared<Source>()),
      answered_(registry.counter(kSearches, kSearchesHelp, {{"outcome", "answered"}})),
      empty_(registry.counter(kSearches, kSearchesHelp, {{"outcome", "empty"}})),
      words_only_(registry.counter(kSearches, kSearchesHelp, {{"outcome", "words_only"}})),
      failed_(registry.counter(kSearches, kSearchesHelp, {{"outcome", "failed"}})),
      added_(registry.counter(kWrites, kWritesHelp, {{"outcome", "added"}})),
      merged_(registry.counter(kWrites, kWritesHelp, {{"outcome", "merged"}})),
      repeated_(registry.counter(kWrites, kWritesHelp, {{"outcome", "repeated"}})),
      refused_(registry.counter(kWrites, kWritesHelp, {{"outcome", "failed"}})),
      search_seconds_(registry.histogram("dougong_memory_search_seconds",
                                         "Time to answer a search, its embedding included.",
                                         search_bounds())) {
    source_->store = &store;
    registry.add_collector([source = source_](Writer& out) {
        const std::lock_guard lock(source->mutex);
        if (source->store != nullptr) write(out, source->store->stats());
    });
}

MemoryMetrics::~MemoryMetrics() {
    const std::lock_guard lock(source_->mutex);
    source_->store = nullptr;
}

void MemoryMetrics::searched(const base::Result<Answer>& answer, base::Duration took) {
    search_seconds_.observe(base::to_seconds(took));
    if (!answer) return failed_.add();
    if (answer->embedding_missing) return words_only_.add();
    (answer->hits.empty() ? empty_ : answered_).add();
}

void MemoryMetrics::added(std::span<const Added> added) {
    for (const Added& one : added) {
        (one.how == Added::How::added    ? added_
         : one.how == Added::How::merged ? merged_
                                         : repeated_)
            .add();
    }
}

}  // namespace memory
