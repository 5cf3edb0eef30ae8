#pragma once
// dougong_memory_*: what callers do is counted as it happens, what the store holds is asked for at
// each scrape.

#include <memory>
#include <span>

#include "base/core/clock.h"
#include "base/metrics/metrics.h"
#include "memory/memory.h"

namespace memory {

class MemoryMetrics {
public:
    /// Both outlive this; the registry may be scraped after it is gone, too.
    MemoryMetrics(base::metrics::Registry& registry, MemoryStore& store);
    ~MemoryMetrics();

    void searched(const base::Result<Answer>& answer, base::Duration took);
    void added(std::span<const Added> added);
    void write_refused() { refused_.add(); }

private:
    struct Source;
    const std::shared_ptr<Source> source_;
    base::metrics::Counter &answered_, &empty_, &words_only_, &failed_;
    base::metrics::Counter &added_, &merged_, &repeated_, &refused_;
    base::metrics::Histogram& search_seconds_;
};

}  // namespace memory
