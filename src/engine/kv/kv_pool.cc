#include "engine/kv/kv_pool.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/core/check.h"

namespace engine {
namespace {
constexpr std::size_t kPageAlignment = 4096;
}  // namespace

void KvPool::Free::operator()(std::byte* page) const {
    std::free(page);
}

KvPool::KvPool(KvGeometry geometry, std::uint32_t pages_total)
    : geometry_(geometry), pages_total_(pages_total) {
    DG_CHECK(geometry.page_tokens > 0);
}

KvPool::~KvPool() {
    DG_CHECK(reserved_ == 0, "a KvSequence outlives its pool");
}

base::Result<KvSequence> KvPool::reserve(std::uint32_t tokens_max) {
    const std::uint32_t pages = geometry_.pages_for(tokens_max);
    const std::uint32_t free = pages_total_ - reserved_;
    if (pages > free) {
        return base::fail(base::Code::resource_exhausted,
                          "{} tokens need {} KV pages of {} tokens; {} of {} are free", tokens_max,
                          pages, geometry_.page_tokens, free, pages_total_);
    }
    reserved_ += pages;
    return KvSequence(*this, pages);
}

bool KvPool::can_ever_hold(std::uint32_t tokens_max) const {
    return geometry_.pages_for(tokens_max) <= pages_total_;
}

KvStats KvPool::stats() const {
    return {taken_, reserved_, pages_total_};
}

base::Result<KvPool::Page> KvPool::take() {
    if (free_.empty()) {
        const std::size_t bytes =
            (geometry_.page_bytes() + kPageAlignment - 1) / kPageAlignment * kPageAlignment;
        Page page(static_cast<std::byte*>(std::aligned_alloc(kPageAlignment, bytes)));
        if (!page) {
            return base::fail(base::Code::resource_exhausted,
                              "the machine has no {} bytes left for another KV page", bytes);
        }
        free_.push_back(std::move(page));
    }
    Page page = std::move(free_.back());
    free_.pop_back();
    ++taken_;
    return page;
}

void KvPool::give_back(std::vector<Page> pages, std::uint32_t reserved) {
    taken_ -= static_cast<std::uint32_t>(pages.size());
    reserved_ -= reserved;
    std::ranges::move(pages, std::back_inserter(free_));
}

KvSequence::KvSequence(KvPool& pool, std::uint32_t reserved)
    : pool_(&pool),
      reserved_(reserved),
      planes_(std::size_t{pool.geometry().layers} * 2),
      views_(pool.geometry().layers) {
    for (auto& plane : planes_) plane.reserve(reserved);
    pages_.reserve(reserved);
    refresh_views();
}

KvSequence::KvSequence(KvSequence&& other) noexcept {
    *this = std::move(other);
}

KvSequence& KvSequence::operator=(KvSequence&& other) noexcept {
    if (this == &other) return *this;
    release();
    pool_ = std::exchange(other.pool_, nullptr);
    reserved_ = std::exchange(other.reserved_, 0);
    pages_ = std::move(other.pages_);
    planes_ = std::move(other.planes_);
    views_ = std::move(other.views_);
    return *this;
}

KvSequence::~KvSequence() {
    release();
}

void KvSequence::release() {
    if (pool_ != nullptr) pool_->give_back(std::move(pages_), reserved_);
    pool_ = nullptr;
}

base::Result<void> KvSequence::grow_to(std::uint32_t tokens) {
    const KvGeometry& geometry = pool_->geometry();
    const std::uint32_t pages = geometry.pages_for(tokens);
    DG_CHECK(pages <= reserved_, "a sequence grew past its reservation");
    if (pages <= pages_.size()) return {};
    while (pages_.size() < pages) {
        pages_.push_back(DG_TRY(pool_->take()));
        std::byte* plane = pages_.back().get();
        for (auto& starts : planes_) {
            starts.push_back(plane);
            plane += geometry.plane_bytes();
        }
    }
    refresh_views();
    return {};
}

std::uint32_t KvSequence::capacity_tokens() const {
    return pool_ == nullptr
               ? 0
               : static_cast<std::uint32_t>(pages_.size()) * pool_->geometry().page_tokens;
}

void KvSequence::refresh_views() {
    for (std::size_t layer = 0; layer < views_.size(); ++layer) {
        views_[layer] = {planes_[2 * layer], planes_[2 * layer + 1], pool_->geometry().page_tokens,
                         pool_->geometry().type};
    }
}

}  // namespace engine
