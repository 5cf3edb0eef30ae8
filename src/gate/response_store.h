#pragma once
// The newest responses of /v1/responses, for GET and for the turn that continues them. In memory
// and bounded. When it is full, the tenant that holds the most of what is short loses its oldest:
// who holds no more than an equal share loses nothing to others.

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace gate {

struct StoredResponse {
    std::string id, tenant, session;
    std::string object;       ///< the response as JSON
    std::string input_items;  ///< a JSON array, each item with an id
    std::string
        messages;  ///< a JSON array: the conversation as chat messages, without instructions
};

/// Thread-safe. One tenant's responses do not exist for another.
class ResponseStore {
public:
    ResponseStore(std::size_t count_max, std::size_t bytes_max)
        : count_max_(count_max), bytes_max_(bytes_max) {}

    /// Takes the place of what the tenant stored under this id before.
    void add(StoredResponse response);
    /// Null when it never was or is gone.
    std::shared_ptr<const StoredResponse> find(std::string_view tenant, std::string_view id) const;
    bool remove(std::string_view tenant, std::string_view id);
    std::size_t count() const;
    std::size_t bytes() const;

private:
    using Entry = std::shared_ptr<const StoredResponse>;
    struct Tenant {
        std::list<Entry> entries;  ///< oldest first; never empty
        std::unordered_map<std::string, std::list<Entry>::iterator> by_id;
        std::size_t bytes = 0;
    };
    using Tenants = std::map<std::string, Tenant, std::less<>>;
    void drop_locked(Tenants::iterator tenant, std::list<Entry>::iterator entry);

    const std::size_t count_max_, bytes_max_;
    mutable std::mutex mutex_;  // guards what follows
    Tenants tenants_;
    std::size_t count_ = 0, bytes_ = 0;
};

}  // namespace gate
