#include "memory/index_cache.h"

#include <algorithm>
#include <utility>

#include "memory/truth/session_truth.h"

namespace memory {

using base::Result;
using IndexPtr = std::shared_ptr<index::TenantIndex>;

IndexCache::IndexCache(truth::Truth& lasting, truth::Truth* sessions, IndexCacheOptions options)
    : lasting_(lasting), sessions_(sessions), options_(std::move(options)) {}

Result<IndexCache::Got> IndexCache::get(std::string_view tenant) {
    const std::string name(tenant);
    SlotPtr mine;
    {
        std::unique_lock lock(mutex_);
        for (;;) {
            const auto found = slots_.find(name);
            if (found == slots_.end()) break;
            if (found->second->index == nullptr) {
                built_.wait(lock);
                continue;
            }
            const SlotPtr slot = found->second;
            const IndexPtr index = slot->index;
            order_.splice(order_.begin(), order_, slot->used);
            lock.unlock();
            // Too far behind to be told, or its file is damaged: made anew. What the truth cannot
            // say now is an error.
            if (index->sound()) {
                auto got = up_to_date(name, *slot, index);
                if (got || (got.error().code != base::Code::failed_precondition &&
                            got.error().code != base::Code::data_loss)) {
                    return got;
                }
            }
            drop(name, slot);
            lock.lock();
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

Result<void> IndexCache::read_changes(truth::Truth& part, const std::string& tenant,
                                      truth::Sequence& followed, index::TenantIndex& index) {
    constexpr std::size_t kBatch = 1024;
    std::vector<truth::Change> batch;
    truth::Sequence last = followed;
    Result<void> done;
    const auto flush = [&] {
        done = index.apply(batch);
        batch.clear();
        if (done) followed = last;
        return done.has_value();
    };
    DG_TRY(part.changes(tenant, followed, options_.model, [&](truth::Change&& change) {
        last = change.sequence;
        batch.push_back(std::move(change));
        return batch.size() < kBatch || flush();
    }));
    if (done) flush();
    return done;
}

Result<void> IndexCache::follow(truth::Truth& part, const std::string& tenant,
                                truth::Sequence& followed, index::TenantIndex& index) {
    if (DG_TRY(part.last_change(tenant)) <= followed) return {};
    return read_changes(part, tenant, followed, index);
}

Result<IndexCache::Got> IndexCache::up_to_date(const std::string& tenant, Slot& slot,
                                               IndexPtr index) {
    if (!lasting_.shared() && sessions_ == nullptr) return Got{std::move(index)};
    const std::lock_guard lock(slot.following);
    if (lasting_.shared()) DG_TRY(follow(lasting_, tenant, slot.followed[0], *index));
    if (sessions_ == nullptr) return Got{std::move(index)};
    const auto asked = follow(*sessions_, tenant, slot.followed[1], *index);
    const bool missing = !asked && asked.error().code == base::Code::unavailable;
    if (!asked && !missing) return std::unexpected(asked.error());
    return Got{std::move(index), missing};
}

void IndexCache::drop(const std::string& tenant, const SlotPtr& slot) {
    const std::lock_guard lock(mutex_);
    const auto found = slots_.find(tenant);
    if (found == slots_.end() || found->second != slot) return;
    order_.erase(slot->used);
    slots_.erase(found);
}

Result<IndexCache::Got> IndexCache::build(const std::string& tenant, const SlotPtr& slot) {
    IndexPtr index = index::TenantIndex::make(options_.dims, options_.spill_dir);
    Result<void> done = read_changes(lasting_, tenant, slot->followed[0], *index);
    if (!done && !options_.spill_dir.empty() && done.error().code != base::Code::unavailable) {
        // A full disk, say, must not end searching: all of it in memory then.
        slot->followed[0] = 0;
        index = index::TenantIndex::make(options_.dims, "");
        done = read_changes(lasting_, tenant, slot->followed[0], *index);
    }
    bool missing = false;
    if (done && sessions_ != nullptr) {
        done = read_changes(*sessions_, tenant, slot->followed[1], *index);
        missing = !done && done.error().code == base::Code::unavailable;
        if (missing) done = {};  // told when it is back
    }

    index->settle();

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
    return Got{index, missing};
}

void IndexCache::apply(std::string_view tenant, std::span<const truth::Change> changes) {
    if (lasting_.shared()) return;  // get() asks for what shared parts have
    const auto brief = [](const truth::Change& one) { return one.row >= truth::kSessionRow; };
    if (sessions_ != nullptr && std::ranges::any_of(changes, brief)) {
        std::vector<truth::Change> rest(changes.begin(), changes.end());
        std::erase_if(rest, brief);
        return apply(tenant, rest);
    }
    if (changes.empty()) return;
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

void IndexCache::purge(std::string_view tenant) {
    const std::string name(tenant);
    std::unique_lock lock(mutex_);
    auto found = slots_.find(name);
    for (; found != slots_.end() && found->second->index == nullptr; found = slots_.find(name)) {
        built_.wait(lock);
    }
    if (found == slots_.end()) return;
    const SlotPtr slot = found->second;
    const IndexPtr index = slot->index;
    lock.unlock();
    // What others took away may not have been asked for yet. What cannot be cleaned is dropped: its
    // memory and file go with the last search that still reads it.
    const auto got = up_to_date(name, *slot, index);
    if (!got || !index->purge()) drop(name, slot);
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
