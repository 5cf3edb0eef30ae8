#pragma once
// The mean of a text's last hidden states, which is how a decoder embeds, computed in parts between
// the steps of running requests. Short texts share a part.

#include <cstdint>
#include <deque>
#include <vector>

#include "base/core/result.h"
#include "engine/batch/batcher.h"
#include "engine/graph/decoder.h"
#include "engine/kv/kv_sequence.h"

namespace base {
class ThreadPool;
}

namespace engine {

class MeanPooling {
public:
    using Vectors = std::vector<std::vector<float>>;

    /// All references must outlive this. Pre: at least one token in each text.
    MeanPooling(Decoder& decoder, base::ThreadPool& threads, KvPool& pages,
                const base::Clock& clock, std::vector<std::vector<TokenId>> texts);

    /// Computes rows that fit between two steps. On the engine's thread. After done, result() has
    /// one vector per text or why there is none: resource_exhausted when no running request will
    /// ever give back the pages it needs.
    Batcher::Progress advance(RunningSet& running);
    base::Result<Vectors>& result() { return result_; }

private:
    /// A text that has its pages.
    struct Open {
        std::size_t text;
        KvSequence kv;
    };
    struct Part {
        std::vector<BatchRow> rows;
        std::vector<std::size_t> texts;  ///< of the rows
    };

    base::Result<void> open_next();
    base::Result<Part> next_part(std::uint32_t rows_max);
    void compute(const Part& part, RunningSet& running);

    Decoder& decoder_;
    base::ThreadPool& threads_;
    KvPool& pages_;
    const base::Clock& clock_;
    const std::vector<std::vector<TokenId>> texts_;
    std::size_t next_ = 0;   ///< first text without pages
    std::deque<Open> open_;  ///< in order of texts; addresses stay
    Vectors sums_;
    base::Result<Vectors> result_;
};

}  // namespace engine
