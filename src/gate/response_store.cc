#include "gate/response_store.h"

#include <utility>

namespace gate {
namespace {

std::size_t bytes_of(const StoredResponse& response) {
    return response.object.size() + response.input_items.size() + response.messages.size();
}

/// Clients may choose ids: one tenant's must not get in another's way. Tenants hold no line ends.
std::string key_of(std::string_view tenant, std::string_view id) {
    std::string key(tenant);
    return key.append("\n").append(id);
}

}  // namespace

void ResponseStore::add(StoredResponse response) {
    const std::lock_guard lock(mutex_);
    const std::string key = key_of(response.tenant, response.id);
    if (const auto before = by_key_.find(key); before != by_key_.end()) drop_locked(before->second);
    bytes_ += bytes_of(response);
    entries_.push_back(std::make_shared<const StoredResponse>(std::move(response)));
    by_key_.emplace(key, std::prev(entries_.end()));
    while (!entries_.empty() && (entries_.size() > count_max_ || bytes_ > bytes_max_)) {
        drop_locked(entries_.begin());
    }
}

void ResponseStore::drop_locked(std::list<Entry>::iterator entry) {
    bytes_ -= bytes_of(**entry);
    by_key_.erase(key_of((*entry)->tenant, (*entry)->id));
    entries_.erase(entry);
}

std::shared_ptr<const StoredResponse> ResponseStore::find(std::string_view tenant,
                                                          std::string_view id) const {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key_of(tenant, id));
    return found == by_key_.end() ? nullptr : *found->second;
}

bool ResponseStore::remove(std::string_view tenant, std::string_view id) {
    const std::lock_guard lock(mutex_);
    const auto found = by_key_.find(key_of(tenant, id));
    if (found == by_key_.end()) return false;
    drop_locked(found->second);
    return true;
}

std::size_t ResponseStore::count() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

std::size_t ResponseStore::bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
}

}  // namespace gate
