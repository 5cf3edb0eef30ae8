#include "sphere/guard/network_ledger.h"

namespace sphere::guard {

bool NetworkLedger::add(const SandboxId& id, const NetworkAttempt& attempt) {
    const std::scoped_lock lock(mutex_);
    Page& page = pages_[id];
    if (!attempt.allowed && page.refused_alone < kRefusedAloneMax) {
        ++page.refused_alone;
        return true;
    }
    if (attempt.allowed && page.taken.listed.size() < kListedMax) {
        page.taken.listed.push_back(attempt);
    } else {
        ++page.taken.more;
    }
    return false;
}

NetworkLedger::Taken NetworkLedger::take(const SandboxId& id) {
    const std::scoped_lock lock(mutex_);
    const auto found = pages_.find(id);
    if (found == pages_.end()) return {};
    Taken taken = std::move(found->second.taken);
    found->second = {};
    return taken;
}

void NetworkLedger::forget(const SandboxId& id) {
    const std::scoped_lock lock(mutex_);
    pages_.erase(id);
}

}  // namespace sphere::guard
