#include "engine/kv/kv_pool.h"

#include <cstdlib>
#include <utility>

#include "base/core/check.h"
#include "engine/kv/kv_sequence.h"

namespace engine {
namespace {
constexpr std::size_t kPageAlignment = 4096;
}  // namespace

KvPage::KvPage(KvPage&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), slot_(other.slot_) {}

KvPage& KvPage::operator=(KvPage&& other) noexcept {
    if (this == &other) return *this;
    if (pool_ != nullptr) pool_->release(slot_);
    pool_ = std::exchange(other.pool_, nullptr);
    slot_ = other.slot_;
    return *this;
}

KvPage::~KvPage() {
    if (pool_ != nullptr) pool_->release(slot_);
}

KvPage KvPage::share() const {
    pool_->hold(slot_);
    return KvPage(*pool_, slot_);
}

std::byte* KvPage::bytes() const {
    return pool_->slots_[slot_].bytes.get();
}

bool KvPage::shared() const {
    return pool_->slots_[slot_].holders > 1;
}

bool KvPage::cached() const {
    return pool_->slots_[slot_].cached;
}

bool KvPage::shared_with_cache_only() const {
    const KvPool::Slot& slot = pool_->slots_[slot_];
    return slot.holders == 2 && slot.cached;
}

void KvPage::mark_cached(bool cached) {
    pool_->mark_cached(slot_, cached);
}

void KvPool::Free::operator()(std::byte* page) const {
    std::free(page);
}

KvPool::KvPool(KvGeometry geometry, std::uint32_t pages_total)
    : geometry_(geometry), pages_total_(pages_total) {
    DG_CHECK(geometry.page_tokens > 0);
}

KvPool::~KvPool() {
    DG_CHECK(taken_ == 0, "a KvSequence or a PrefixCache outlives its pool");
}

KvSequence KvPool::sequence() {
    return KvSequence(*this);
}

std::uint32_t KvPool::pages_available() const {
    return pages_free() + (reclaimer_ ? cached_alone_.load() : 0);
}

bool KvPool::can_ever_hold(std::uint32_t tokens) const {
    return geometry_.pages_for(tokens) <= pages_total_;
}

KvStats KvPool::stats() const {
    return {taken_, cached_alone_, pages_total_, copies_};
}

base::Result<void> KvPool::make_room(std::uint32_t pages) {
    if (pages <= pages_free()) return {};
    if (pages > pages_available() && reclaimer_) reclaimer_(0);
    if (pages > pages_available()) {
        return base::fail(base::Code::resource_exhausted,
                          "{} KV pages of {} tokens are needed and {} of {} can be had; the others "
                          "are in use by running requests and kept prefixes",
                          pages, geometry_.page_tokens, pages_available(), pages_total_);
    }
    if (pages > pages_free()) reclaimer_(pages - pages_free());
    DG_CHECK(pages <= pages_free(), "the cache kept pages that only it holds");
    return {};
}

base::Result<KvPage> KvPool::take() {
    DG_TRY(make_room(1));
    const std::uint32_t index = DG_TRY(free_slot());
    ++taken_;
    slots_[index].holders = 1;
    return KvPage(*this, index);
}

base::Result<std::uint32_t> KvPool::free_slot() {
    if (!free_.empty()) {
        const std::uint32_t index = free_.back();
        free_.pop_back();
        return index;
    }
    const std::size_t bytes =
        (geometry_.page_bytes() + kPageAlignment - 1) / kPageAlignment * kPageAlignment;
    Slot slot;
    slot.bytes.reset(static_cast<std::byte*>(std::aligned_alloc(kPageAlignment, bytes)));
    if (!slot.bytes) {
        return base::fail(base::Code::resource_exhausted,
                          "the machine has no {} bytes left for another KV page", bytes);
    }
    slots_.push_back(std::move(slot));
    return static_cast<std::uint32_t>(slots_.size() - 1);
}

void KvPool::hold(std::uint32_t index) {
    Slot& slot = slots_[index];
    DG_DCHECK(slot.holders > 0);
    if (slot.cached && slot.holders == 1) --cached_alone_;
    ++slot.holders;
}

void KvPool::release(std::uint32_t index) {
    Slot& slot = slots_[index];
    DG_CHECK(slot.holders > 0, "a KV page came back twice");
    --slot.holders;
    if (slot.holders == 0) {
        DG_CHECK(!slot.cached, "the cache let go of a page that is marked as its own");
        free_.push_back(index);
        --taken_;
    } else if (slot.cached && slot.holders == 1) {
        ++cached_alone_;
    }
}

void KvPool::mark_cached(std::uint32_t index, bool cached) {
    Slot& slot = slots_[index];
    DG_CHECK(slot.cached != cached, "a page is in the cache once or not at all");
    slot.cached = cached;
    if (slot.holders != 1) return;
    if (cached) {
        ++cached_alone_;
    } else {
        --cached_alone_;
    }
}

}  // namespace engine
