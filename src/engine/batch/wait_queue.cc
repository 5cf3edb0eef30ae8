#include "engine/batch/wait_queue.h"

#include <algorithm>
#include <utility>

namespace engine {
namespace {

// Idle tenants are remembered so that a short pause costs nobody their turn.
constexpr std::size_t kTenantsRemembered = 1024;

}  // namespace

void WaitQueue::push(Waiting waiting) {
    Tenant& tenant = tenants_[waiting.tenant];
    if (tenant.waiting++ == 0) tenant.served = std::max(tenant.served, start_);
    places_[{waiting.priority, waiting.tenant}].insert(waiting.id);
    const GenerationId id = waiting.id;
    by_id_.emplace(id, std::move(waiting));
    forget_idle();
}

bool WaitQueue::remove(GenerationId id) {
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) return false;
    const Waiting& waiting = found->second;
    const auto place = places_.find({waiting.priority, waiting.tenant});
    place->second.erase(id);
    if (place->second.empty()) places_.erase(place);
    --tenants_[waiting.tenant].waiting;
    by_id_.erase(found);
    return true;
}

std::optional<GenerationId> WaitQueue::next(const std::set<GenerationId>& passed) const {
    std::optional<GenerationId> best;
    std::int32_t best_priority = 0;
    std::uint64_t best_served = 0;
    for (const auto& [place, ids] : places_) {
        if (best && place.first < best_priority) break;
        const auto first =
            std::ranges::find_if(ids, [&](GenerationId id) { return !passed.contains(id); });
        if (first == ids.end()) continue;
        const std::uint64_t tokens = served(place.second);
        if (best && (tokens > best_served || (tokens == best_served && *first > *best))) continue;
        best = *first;
        best_priority = place.first;
        best_served = tokens;
    }
    return best;
}

std::uint64_t WaitQueue::served(const std::string& tenant) const {
    const auto found = tenants_.find(tenant);
    return found == tenants_.end() ? start_ : found->second.served;
}

void WaitQueue::charge(const std::string& tenant, std::uint64_t tokens) {
    const auto [found, added] = tenants_.try_emplace(tenant, Tenant{start_, 0});
    found->second.served += tokens;
    // The least served of those who wait: nobody who begins now may be before them.
    std::optional<std::uint64_t> least;
    for (const auto& [name, state] : tenants_) {
        if (state.waiting > 0 && (!least || state.served < *least)) least = state.served;
    }
    start_ = std::max(start_, least.value_or(found->second.served));
    forget_idle();
}

void WaitQueue::forget_idle() {
    if (tenants_.size() <= kTenantsRemembered) return;
    std::erase_if(tenants_, [&](const auto& entry) {
        return entry.second.waiting == 0 && entry.second.served <= start_;
    });
}

std::vector<GenerationId> WaitQueue::overdue(base::Instant now) const {
    std::vector<GenerationId> ids;
    for (const auto& [id, waiting] : by_id_) {
        if (now >= waiting.deadline) ids.push_back(id);
    }
    return ids;
}

}  // namespace engine
