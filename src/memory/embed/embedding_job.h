#pragma once
// Gives every entry a vector of the current model, in the background: new entries that came
// without one, and all of them when the model changes. What has none yet is found by its words.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

#include "base/core/result.h"
#include "memory/embedder.h"
#include "memory/truth/truth.h"

namespace memory::embed {

class EmbeddingJob {
public:
    /// Hears of vectors that were kept, on the job's thread.
    using Hear = std::function<void(std::span<const truth::Change>)>;

    EmbeddingJob(truth::Truth& truth, std::shared_ptr<Embedder> embedder, Hear hear);
    ~EmbeddingJob();  ///< stops after the batch in hand; a later process goes on

    void notify();  ///< there may be something to do
    /// Waits until everything written before has a vector. Errors: the embedder's last one.
    base::Result<void> settle();

private:
    void run(const std::stop_token& stop);
    base::Result<std::size_t> one_batch();

    truth::Truth& truth_;
    const std::shared_ptr<Embedder> embedder_;
    const Hear hear_;
    std::mutex mutex_;  // guards what is below
    std::condition_variable_any wake_, idle_;
    std::uint64_t asked_ = 1, answered_ = 0;  ///< notify() counts up; idle when equal
    base::Result<void> last_;
    std::jthread thread_;
};

}  // namespace memory::embed
