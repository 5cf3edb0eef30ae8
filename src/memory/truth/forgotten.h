#pragma once
// Taking entries out of the tables for good. Each call is part of the caller's transaction.

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/store/store.h"
#include "memory/truth/rows.h"
#include "memory/truth/truth.h"

namespace memory::truth {

/// 0: no such tenant.
base::Result<std::int64_t> tenant_number(base::store::Transaction& tx, std::string_view name);

/// Entries with a change after `after`, in whatever state, those without content excepted; by
/// sequence. Errors: `each`'s.
using EachStored = std::function<base::Result<void>(StoredEntry&&)>;
base::Result<void> each_present(base::store::Transaction& tx, std::string_view tenant_name,
                                std::int64_t tenant, Sequence after, const EachStored& each);
/// States that entries of the tenant had before.
base::Result<void> each_former(base::store::Transaction& tx, std::string_view tenant_name,
                               std::int64_t tenant, const EachStored& each);
/// What entries of all tenants say or said.
base::Result<void> each_text(base::store::Transaction& tx,
                             const std::function<void(std::string_view)>& each);

/// Of an entry that goes, what finds it again when its like is written.
struct Gone {
    RowId row = 0;
    std::vector<std::int64_t> marks = {};
};
/// Leaves nothing but numbers of them, and says what indexes must hear. `sequence`: as many from
/// Truth::take_sequences; Truth::doubt_marks knows the rows.
base::Result<void> blank_rows(base::store::Transaction& tx, std::string_view tenant_name,
                              std::int64_t tenant, Sequence sequence, std::span<const Gone> gone,
                              std::vector<Change>& changes);

struct Erased {
    std::uint64_t versions = 0, embeddings = 0, access_counts = 0;
};
/// What else is kept of blanked rows. Doing it again does nothing.
base::Result<Erased> erase_beside(base::store::Transaction& tx, std::int64_t tenant,
                                  std::span<const RowId> rows);
/// Rows that blank_rows and erase_beside should have left none of.
base::Result<std::uint64_t> rows_left(base::store::Transaction& tx, std::int64_t tenant,
                                      std::span<const RowId> rows);

}  // namespace memory::truth
