#pragma once
// The mean of a text's last hidden states, which is how a decoder embeds, computed in parts between
// the steps of running requests.

#include <cstdint>
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
    /// All references must outlive this. Pre: at least one token.
    MeanPooling(Decoder& decoder, base::ThreadPool& threads, KvPool& pages,
                const base::Clock& clock, std::vector<TokenId> tokens);

    /// Computes rows that fit between two steps. On the engine's thread. After done, result() has
    /// the vector or why there is none: resource_exhausted when no running request will ever give
    /// back the pages it needs.
    Batcher::Progress advance(RunningSet& running);
    base::Result<std::vector<float>>& result() { return result_; }

private:
    void compute(std::uint32_t rows, RunningSet& running);

    Decoder& decoder_;
    base::ThreadPool& threads_;
    const base::Clock& clock_;
    const std::vector<TokenId> tokens_;
    KvSequence kv_;
    std::vector<float> sum_;
    base::Result<std::vector<float>> result_;
};

}  // namespace engine
