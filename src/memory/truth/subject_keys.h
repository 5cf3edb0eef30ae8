#pragma once
// Keys of those whom memories belong to: one for each user and agent of a tenant, as forgetting's
// scopes name them ("" is one, too). Kept wrapped by the master key in a small store beside the
// shard, so that erasing one rewrites little: after it nothing that was sealed with it can be read,
// whatever copies of the shard there are. Thread-safe.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/core/result.h"
#include "base/files/aead.h"
#include "base/store/store.h"
#include "memory/entry.h"

namespace memory::truth {

/// By chance, never 0, never given again.
using KeyId = std::int64_t;

struct SubjectKey {
    KeyId id = 0;
    base::SecretKey content, marks;
};
using SubjectKeyPtr = std::shared_ptr<const SubjectKey>;

class SubjectKeys {
public:
    /// `location`: as base::store::Store's. `key_file`: of the master key; made where no key was
    /// wrapped yet. Errors: master_key's; failed_precondition (it is another one).
    static base::Result<std::unique_ptr<SubjectKeys>> open(const std::string& location,
                                                           const std::string& key_file);

    /// Made, and durable, where there is none. Called within a write of the shard, so that no
    /// key is erased between this and what is sealed with it.
    base::Result<SubjectKeyPtr> of(const Scope& scope);
    /// 0: there is none.
    base::Result<KeyId> known(const Scope& scope);
    /// Null: it was erased.
    base::Result<SubjectKeyPtr> find(KeyId id);

    struct Wrapped {
        KeyId id = 0;
        std::string bytes;  ///< as they lie on the disk
    };
    /// Of every scope in the tenant that has the user and the agent of `only` ("": any).
    base::Result<std::vector<Wrapped>> within(std::string_view tenant, const Scope& only);
    /// Durable, here and in every byte of its files. Doing it again does nothing.
    base::Result<void> erase(std::span<const KeyId> ids);
    /// Every file in which keys may leave bytes; none on a database server.
    std::vector<std::string> files() const;
    base::Result<std::uint64_t> count();

private:
    SubjectKeys(std::unique_ptr<base::store::Store> store, base::SecretKey master, std::string path)
        : store_(std::move(store)), master_(std::move(master)), path_(std::move(path)) {}

    struct Row {
        KeyId id = 0;
        std::string tenant, user, agent, wrapped;
    };
    base::Result<SubjectKeyPtr> unwrap(const Row& row) const;
    base::Result<std::optional<Row>> load(base::store::Transaction& tx, std::string_view where,
                                          std::initializer_list<base::store::Parameter> values);
    base::Result<SubjectKeyPtr> look(const std::string& owner, const Scope& scope);
    void remember(const std::string& owner, const SubjectKeyPtr& key);

    const std::unique_ptr<base::store::Store> store_;
    const base::SecretKey master_;
    const std::string path_;                          // "" on a server
    std::mutex mutex_;                                // guards what follows
    std::unordered_map<KeyId, SubjectKeyPtr> by_id_;  // null: known to be erased
    std::unordered_map<std::string, SubjectKeyPtr> by_owner_;
};

}  // namespace memory::truth
