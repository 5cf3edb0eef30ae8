#pragma once
// What knowledge bases need of the store of memories: passages as entries, changed together with
// rows of their own. Owned by knowledge; the store implements it.

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/store/store.h"
#include "memory/memory.h"

namespace memory::knowledge {

class PassageStore {
public:
    virtual ~PassageStore() = default;

    using Also = std::function<base::Result<void>(base::store::Transaction& tx,
                                                  const std::vector<Added>& added)>;
    /// Removes `gone`, adds `entries` (all of `tenant`), runs `also`: one transaction, in every
    /// index when it returns.
    virtual base::Result<std::vector<Added>> exchange(std::string_view tenant,
                                                      std::span<const MemoryId> gone,
                                                      std::span<const NewEntry> entries,
                                                      std::string_view by, const Also& also) = 0;
    virtual base::Result<Answer> search(const Query& query) = 0;
    virtual base::store::Store& store_of(std::string_view tenant) = 0;
    virtual base::Result<void> each_store(
        const std::function<base::Result<void>(base::store::Store&)>& each) = 0;
};

}  // namespace memory::knowledge
