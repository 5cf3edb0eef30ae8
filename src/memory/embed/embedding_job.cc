#include "memory/embed/embedding_job.h"

#include <chrono>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace memory::embed {

using base::Result;

namespace {
constexpr std::uint32_t kBatch = 64;
// What another process took and left undone is found then.
constexpr std::chrono::milliseconds kLookEvery{30'000}, kOthersPause{20};
}  // namespace

EmbeddingJob::EmbeddingJob(truth::Truth& truth, std::shared_ptr<Embedder> embedder, Hear hear)
    : truth_(truth),
      embedder_(std::move(embedder)),
      hear_(std::move(hear)),
      job_([this] { return one_batch(); }, truth.shared() ? kLookEvery : kLookEvery.zero()) {}

Result<void> EmbeddingJob::settle() {
    for (;;) {
        DG_TRY(job_.settle());
        if (!truth_.shared()) return {};
        // Nothing is left to take; what others have taken is still to come.
        if (DG_TRY(truth_.embeddings_pending()) == 0) return {};
        std::this_thread::sleep_for(kOthersPause);
    }
}

Result<std::size_t> EmbeddingJob::one_batch() {
    const auto rows = DG_TRY(truth_.unembedded(embedder_->id(), kBatch));
    if (rows.empty()) return std::size_t{0};
    std::vector<std::string_view> texts;
    for (const auto& row : rows) texts.push_back(row.text);
    std::vector<float> vectors(rows.size() * embedder_->dims());
    DG_TRY(embedder_->embed(texts, EmbedSide::document, vectors));
    hear_(DG_TRY(truth_.set_embeddings(embedder_->id(), rows, vectors, embedder_->dims())));
    return rows.size();
}

}  // namespace memory::embed
