#include "gate/response_store.h"

#include <algorithm>
#include <utility>

namespace gate {
namespace {

std::size_t bytes_of(const StoredResponse& response) {
    return response.object.size() + response.input_items.size() + response.messages.size();
}

}  // namespace

void ResponseStore::add(StoredResponse response) {
    const std::lock_guard lock(mutex_);
    const auto own = tenants_.try_emplace(response.tenant).first;
    Tenant& tenant = own->second;
    const std::size_t bytes = bytes_of(response);
    const std::string id = response.id;
    tenant.entries.push_back(std::make_shared<const StoredResponse>(std::move(response)));
    tenant.bytes += bytes;
    bytes_ += bytes;
    ++count_;
    // The new one stands already, so the tenant stays when the one before goes.
    if (const auto before = tenant.by_id.find(id); before != tenant.by_id.end()) {
        drop_locked(own, before->second);
    }
    tenant.by_id.emplace(id, std::prev(tenant.entries.end()));
    while (count_ > count_max_ || bytes_ > bytes_max_) {
        const bool by_bytes = bytes_ > bytes_max_;
        const auto held = [&](const auto& one) {
            return by_bytes ? one.second.bytes : one.second.entries.size();
        };
        const auto most = std::ranges::max_element(tenants_, {}, held);
        drop_locked(most, most->second.entries.begin());
    }
}

void ResponseStore::drop_locked(Tenants::iterator tenant, std::list<Entry>::iterator entry) {
    const std::size_t bytes = bytes_of(**entry);
    bytes_ -= bytes;
    --count_;
    tenant->second.bytes -= bytes;
    tenant->second.by_id.erase((*entry)->id);
    tenant->second.entries.erase(entry);
    if (tenant->second.entries.empty()) tenants_.erase(tenant);
}

std::shared_ptr<const StoredResponse> ResponseStore::find(std::string_view tenant,
                                                          std::string_view id) const {
    const std::lock_guard lock(mutex_);
    const auto owner = tenants_.find(tenant);
    if (owner == tenants_.end()) return nullptr;
    const auto found = owner->second.by_id.find(std::string(id));
    return found == owner->second.by_id.end() ? nullptr : *found->second;
}

bool ResponseStore::remove(std::string_view tenant, std::string_view id) {
    const std::lock_guard lock(mutex_);
    const auto owner = tenants_.find(tenant);
    if (owner == tenants_.end()) return false;
    const auto found = owner->second.by_id.find(std::string(id));
    if (found == owner->second.by_id.end()) return false;
    drop_locked(owner, found->second);
    return true;
}

std::size_t ResponseStore::count() const {
    const std::lock_guard lock(mutex_);
    return count_;
}

std::size_t ResponseStore::bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
}

}  // namespace gate
