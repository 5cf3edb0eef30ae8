#include "memory/index_cache.h"

#include <utility>

namespace memory {

using base::Result;
using IndexPtr = std::shared_ptr<index::TenantIndex>;

IndexCache::IndexCache(truth::Truth& truth, IndexCacheOptions options)
    : truth_(truth), options_(std::move(options)) {}

Result<IndexPtr> IndexCache::get(std::string_view tenant) {
    const std::string name(tenant);
    SlotPtr mine;
    {
        std::unique_lock lock(mutex_);
        for (;;) {
            const auto found = slots_.find(name);
            if (found == slots_.end()) break;
            if (found->second->index != nullptr) {
                order_.splice(order_.begin(), order_, found->second->used);
                return found->second->index;
            }
            built_.wait(lock);
        }
        // From here on writes wait in the slot, and what was written before is in the snapshot
        // that the build reads: nothing falls between.
        mine = std::make_shared<Slot>();
        order_.push_front(name);
        mine->used = order_.begin();
        slots_.emplace(name, mine);
    }
    return build(name, mine);
}

Result<IndexPtr> IndexCache::build(const std::string& tenant, const SlotPtr& slot) {
    constexpr std::size_t kBatch = 1024;
    const IndexPtr index = index::TenantIndex::make(options_.dims, options_.spill_dir);
    std::vector<truth::Change> batch;
    Result<void> done;
    const auto flush = [&] {
        done = index->apply(batch);
        batch.clear();
        return done.has_value();
    };
    const auto read = truth_.changes(tenant, 0, options_.model, [&](truth::Change&& change) {
        batch.push_back(std::move(change));
        return batch.size() < kBatch || flush();
    });
    if (!read) done = std::unexpected(read.error());
    if (done) flush();

    const std::lock_guard lock(mutex_);
    if (done) done = index->apply(slot->pending);
    slot->pending = {};
    if (done) {
        slot->index = index;
        make_room(tenant);
    } else {
        order_.erase(slot->used);
        slots_.erase(tenant);
    }
    built_.notify_all();
    if (!done) return std::unexpected(done.error());
    return index;
}

void IndexCache::apply(std::string_view tenant, std::span<const truth::Change> changes) {
    IndexPtr index;
    {
        const std::lock_guard lock(mutex_);
        const auto found = slots_.find(tenant);
        if (found == slots_.end()) return;
        if (found->second->index == nullptr) {
            auto& pending = found->second->pending;
            pending.insert(pending.end(), changes.begin(), changes.end());
            return;
        }
        index = found->second->index;
    }
    const auto applied = index->apply(changes);
    const std::lock_guard lock(mutex_);
    const auto found = slots_.find(tenant);
    if (found == slots_.end() || found->second->index != index) return;
    if (!applied) {
        order_.erase(found->second->used);
        slots_.erase(found);
        return;
    }
    make_room(std::string(tenant));
}

void IndexCache::drop(std::string_view tenant) {
    std::unique_lock lock(mutex_);
    auto found = slots_.find(tenant);
    for (; found != slots_.end() && found->second->index == nullptr; found = slots_.find(tenant)) {
        built_.wait(lock);
    }
    if (found == slots_.end()) return;
    order_.erase(found->second->used);
    slots_.erase(found);
}

void IndexCache::make_room(const std::string& keep) {
    std::uint64_t held = 0;
    for (const auto& [name, slot] : slots_) held += slot->index ? slot->index->bytes() : 0;
    for (auto last = order_.end(); held > options_.bytes_max && last != order_.begin();) {
        --last;
        const auto slot = slots_.find(*last);
        if (*last == keep || slot->second->index == nullptr) continue;
        held -= slot->second->index->bytes();
        slots_.erase(slot);
        last = order_.erase(last);
    }
}

std::uint32_t IndexCache::open() const {
    const std::lock_guard lock(mutex_);
    return static_cast<std::uint32_t>(slots_.size());
}

std::uint64_t IndexCache::bytes() const {
    const std::lock_guard lock(mutex_);
    std::uint64_t held = 0;
    for (const auto& [name, slot] : slots_) held += slot->index ? slot->index->bytes() : 0;
    return held;
}

}  // namespace memory
