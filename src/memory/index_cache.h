#pragma once
// The indexes of tenants that are in use: built from the truth when first asked for, kept up to
// date by every write, dropped when memory is short. Where others write to the truth as well, each
// asks it for what is new before it is used, and this process's own writes come that way, too: in
// the order of the truth, whoever made them. Thread-safe.

#include <array>
#include <condition_variable>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "memory/index/tenant_index.h"
#include "memory/truth/truth.h"

namespace memory {

struct IndexCacheOptions {
    std::string model;       ///< whose vectors; empty: none
    std::uint32_t dims = 0;  ///< of that model
    std::uint64_t bytes_max = 1ull << 30;
    std::string spill_dir = {};  ///< for what need not be in memory
};

class IndexCache {
public:
    /// `sessions`: where short-term entries are kept apart; null: with the others.
    IndexCache(truth::Truth& lasting, truth::Truth* sessions, IndexCacheOptions options);

    struct Got {
        std::shared_ptr<index::TenantIndex> index;
        bool sessions_missing = false;  ///< their truth is away: what it had last is in the index
    };
    /// Waits while it is built, by this call or another, and has every write that returned before
    /// in any process. Errors: the truth's.
    base::Result<Got> get(std::string_view tenant);
    /// Tells a tenant's index, if it is here, what was written; one that is not here will find it
    /// in the truth. An index that cannot take it is dropped.
    void apply(std::string_view tenant, std::span<const truth::Change> changes);

    /// Leaves no trace of entries that are gone in the tenant's index, if it is here.
    void purge(std::string_view tenant);

    std::uint32_t open() const;
    std::uint64_t bytes() const;

private:
    struct Slot {
        std::shared_ptr<index::TenantIndex> index;  ///< null while it is built
        std::vector<truth::Change> pending;         ///< written meanwhile
        std::mutex following;                       ///< one at a time asks for what is new
        std::array<truth::Sequence, 2> followed{};  ///< so far, of each shared part
        std::list<std::string>::iterator used;      ///< in order_
    };
    using SlotPtr = std::shared_ptr<Slot>;

    base::Result<Got> build(const std::string& tenant, const SlotPtr& slot);
    /// Everything of that part after `followed`, which moves on.
    base::Result<void> read_changes(truth::Truth& part, const std::string& tenant,
                                    truth::Sequence& followed, index::TenantIndex& index);
    base::Result<void> follow(truth::Truth& part, const std::string& tenant,
                              truth::Sequence& followed, index::TenantIndex& index);
    base::Result<Got> up_to_date(const std::string& tenant, Slot& slot,
                                 std::shared_ptr<index::TenantIndex> index);
    void drop(const std::string& tenant, const SlotPtr& slot);
    void make_room(const std::string& keep);  // with mutex_ held

    truth::Truth& lasting_;
    truth::Truth* const sessions_;
    const IndexCacheOptions options_;
    mutable std::mutex mutex_;  // guards what is below; not held while an index is built or asked
    std::condition_variable built_;
    std::map<std::string, SlotPtr, std::less<>> slots_;
    std::list<std::string> order_;  ///< of use, latest first
};

}  // namespace memory
