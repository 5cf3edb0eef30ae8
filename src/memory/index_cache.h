#pragma once
// The indexes of tenants that are in use: built from the truth when first asked for, kept up to
// date by every write, dropped when memory is short. Thread-safe.

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
    IndexCache(truth::Truth& truth, IndexCacheOptions options);

    /// Waits while it is built, by this call or another. Errors: the truth's.
    base::Result<std::shared_ptr<index::TenantIndex>> get(std::string_view tenant);
    /// Tells a tenant's index, if it is here, what was written; one that is not here will find it
    /// in the truth. An index that cannot take it is dropped.
    void apply(std::string_view tenant, std::span<const truth::Change> changes);

    /// The tenant's index is built anew when it is next asked for. Its memory and files go with the
    /// last search that still reads it; one that is being built stays.
    void drop(std::string_view tenant);

    std::uint32_t open() const;
    std::uint64_t bytes() const;

private:
    struct Slot {
        std::shared_ptr<index::TenantIndex> index;  ///< null while it is built
        std::vector<truth::Change> pending;         ///< written meanwhile
        std::list<std::string>::iterator used;      ///< in order_
    };
    using SlotPtr = std::shared_ptr<Slot>;

    base::Result<std::shared_ptr<index::TenantIndex>> build(const std::string& tenant,
                                                            const SlotPtr& slot);
    void make_room(const std::string& keep);  // with mutex_ held

    truth::Truth& truth_;
    const IndexCacheOptions options_;
    mutable std::mutex mutex_;  // guards what is below; not held while an index is built or asked
    std::condition_variable built_;
    std::map<std::string, SlotPtr, std::less<>> slots_;
    std::list<std::string> order_;  ///< of use, latest first
};

}  // namespace memory
