#pragma once
// Removing and bringing back several entries together with whatever else the caller's transaction
// writes. Numbers come from Truth::take_sequences; Truth::doubt_marks is told the rows first.

#include <optional>
#include <string_view>

#include "base/store/store.h"
#include "memory/truth/rows.h"
#include "memory/truth/sealing.h"
#include "memory/truth/truth.h"

namespace memory::truth {

struct Rewrite {
    std::string_view tenant_name;
    std::int64_t tenant = 0;
    std::string_view change, by;  ///< for their history
    UnixMs now = 0;
    const Sealing& sealing;  ///< of that tenant
};

/// As Truth::remove, where it still has `version`. Errors: failed_precondition (gone or changed).
base::Result<Change> remove_entry(base::store::Transaction& tx, const Rewrite& how,
                                  const MemoryId& id, std::uint32_t version, Sequence sequence);
/// The same whatever its version is; none where it is not live.
base::Result<std::optional<Change>> remove_any(base::store::Transaction& tx, const Rewrite& how,
                                               const MemoryId& id, Sequence sequence);
/// Makes one live again whose last change was `how.change`; none otherwise. Its state before is a
/// version with the change "restored".
base::Result<std::optional<Change>> revive_entry(base::store::Transaction& tx, const Rewrite& how,
                                                 const MemoryId& id, Sequence sequence);

/// Whether it is live in that version.
base::Result<bool> is_live(base::store::Transaction& tx, std::string_view tenant_name, RowId row,
                           std::uint32_t version);

}  // namespace memory::truth
