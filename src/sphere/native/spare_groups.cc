#include "sphere/native/spare_groups.h"

#include <algorithm>
#include <utility>

namespace sphere::native {

std::optional<GroupSet> SpareGroups::take(std::uint32_t owner, std::uint64_t memory_bytes) {
    const std::uint64_t left_max = std::min(kLeftBytesMax, memory_bytes / kLeftShare);
    std::optional<GroupSet> set = take_deserted();
    if (!set) return std::nullopt;
    if (set->groups.memory_bytes() <= left_max && set->groups.give_to(owner) &&
        (!set->idle || set->groups.give_exec_group(set->idle->number))) {
        return set;
    }
    set->groups.remove();
    return std::nullopt;
}

std::optional<GroupSet> SpareGroups::take_deserted() {
    for (int tries = 0; tries < kTries; ++tries) {
        std::optional<GroupSet> set;
        {
            const std::lock_guard lock(mutex_);
            if (sets_.empty()) return std::nullopt;
            set = std::move(sets_.front());
            sets_.pop_front();
        }
        if (set->groups.is_deserted()) return set;
        const std::lock_guard lock(mutex_);
        sets_.push_back(std::move(*set));  // its init is not reaped yet
    }
    return std::nullopt;
}

bool SpareGroups::give_back(GroupSet set) {
    if (!set.groups.count_anew()) return false;
    if (set.idle) set.idle->cpu_us_before = set.groups.exec_cpu_us(set.idle->number);
    const std::lock_guard lock(mutex_);
    if (sets_.size() >= kMax) return false;
    sets_.push_back(std::move(set));
    return true;
}

void SpareGroups::remove() {
    const std::lock_guard lock(mutex_);
    for (const GroupSet& set : sets_) set.groups.remove();
    sets_.clear();
}

}  // namespace sphere::native
