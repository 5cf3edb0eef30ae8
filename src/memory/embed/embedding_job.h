#pragma once
// Gives every entry a vector of the current model, in the background: new entries that came
// without one, and all of them when the model changes. What has none yet is found by its words.

#include <cstddef>
#include <functional>
#include <memory>
#include <span>

#include "base/core/result.h"
#include "base/exec/batch_job.h"
#include "memory/embedder.h"
#include "memory/truth/truth.h"

namespace memory::embed {

class EmbeddingJob {
public:
    /// Hears of vectors that were kept, on the job's thread.
    using Hear = std::function<void(std::span<const truth::Change>)>;

    /// Stops after the batch in hand when it goes; a later process goes on.
    EmbeddingJob(truth::Truth& truth, std::shared_ptr<Embedder> embedder, Hear hear);

    void notify() { job_.notify(); }
    /// Waits until everything written before has a vector. Errors: the embedder's last one.
    base::Result<void> settle();

private:
    base::Result<std::size_t> one_batch();

    truth::Truth& truth_;
    const std::shared_ptr<Embedder> embedder_;
    const Hear hear_;
    base::BatchJob job_;
};

}  // namespace memory::embed
