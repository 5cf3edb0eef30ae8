#include "gate/response_store.h"

#include <utility>

namespace gate {
namespace {

std::size_t bytes_of(const StoredResponse& response) {
    return response.object.size() + response.input_items.size() + response.messages.size();
}

}  // namespace

void ResponseStore::add(StoredResponse response) {
    const std::lock_guard lock(mutex_);
    if (by_id_.contains(response.id)) return;  // ids are unique; a client's own id may not be
    bytes_ += bytes_of(response);
    const std::string id = response.id;
    entries_.push_back(std::make_shared<const StoredResponse>(std::move(response)));
    by_id_.emplace(id, std::prev(entries_.end()));
    while (!entries_.empty() && (entries_.size() > count_max_ || bytes_ > bytes_max_)) {
        drop_oldest_locked();
    }
}

void ResponseStore::drop_oldest_locked() {
    bytes_ -= bytes_of(*entries_.front());
    by_id_.erase(entries_.front()->id);
    entries_.pop_front();
}

std::shared_ptr<const StoredResponse> ResponseStore::find(std::string_view tenant,
                                                          std::string_view id) const {
    const std::lock_guard lock(mutex_);
    const auto found = by_id_.find(std::string(id));
    if (found == by_id_.end() || (*found->second)->tenant != tenant) return nullptr;
    return *found->second;
}

bool ResponseStore::remove(std::string_view tenant, std::string_view id) {
    const std::lock_guard lock(mutex_);
    const auto found = by_id_.find(std::string(id));
    if (found == by_id_.end() || (*found->second)->tenant != tenant) return false;
    bytes_ -= bytes_of(**found->second);
    entries_.erase(found->second);
    by_id_.erase(found);
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
