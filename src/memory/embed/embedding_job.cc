#include "memory/embed/embedding_job.h"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

namespace memory::embed {

using base::Result;
using std::chrono::milliseconds;

namespace {
constexpr std::uint32_t kBatch = 64;
constexpr milliseconds kRetryFirst{500}, kRetryMost{60'000};
// What another process took and left undone is found then.
constexpr milliseconds kLookEvery{30'000}, kOthersPause{20};
}  // namespace

EmbeddingJob::EmbeddingJob(truth::Truth& truth, std::shared_ptr<Embedder> embedder, Hear hear)
    : truth_(truth),
      embedder_(std::move(embedder)),
      hear_(std::move(hear)),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

EmbeddingJob::~EmbeddingJob() {
    thread_.request_stop();
    thread_.join();
}

void EmbeddingJob::notify() {
    const std::lock_guard lock(mutex_);
    ++asked_;
    wake_.notify_all();
}

Result<void> EmbeddingJob::settle() {
    std::unique_lock lock(mutex_);
    for (;;) {
        const std::uint64_t mine = ++asked_;
        wake_.notify_all();
        idle_.wait(lock, [&] { return answered_ >= mine; });
        if (!last_ || !truth_.shared()) return last_;
        // Nothing is left to take; what others have taken is still to come.
        lock.unlock();
        if (DG_TRY(truth_.embeddings_pending()) == 0) return {};
        std::this_thread::sleep_for(kOthersPause);
        lock.lock();
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

void EmbeddingJob::run(const std::stop_token& stop) {
    milliseconds retry = kRetryFirst;
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
        const std::uint64_t asked = asked_;
        lock.unlock();
        const auto done = one_batch();
        lock.lock();
        if (done && *done > 0) {
            retry = kRetryFirst;
            continue;
        }
        // Nothing is left, or the embedder fails: whoever waits is told either way.
        last_ = done ? Result<void>() : Result<void>(std::unexpected(done.error()));
        answered_ = std::max(answered_, asked);
        idle_.notify_all();
        const auto again = [&] { return asked_ != answered_; };
        if (done) {
            retry = kRetryFirst;
            if (truth_.shared()) {
                wake_.wait_for(lock, stop, kLookEvery, again);
            } else {
                wake_.wait(lock, stop, again);
            }
        } else {
            wake_.wait_for(lock, stop, retry, [] { return false; });
            retry = std::min(retry * 2, kRetryMost);
        }
    }
    answered_ = ~std::uint64_t{0};
    idle_.notify_all();
}

}  // namespace memory::embed
