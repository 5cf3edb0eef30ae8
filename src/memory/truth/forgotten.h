#pragma once
// Taking entries out of the tables for good. Each call is part of the caller's transaction.

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/store/store.h"
#include "memory/truth/rows.h"
#include "memory/truth/sealing.h"
#include "memory/truth/truth.h"

namespace memory::truth {

/// 0: no such tenant.
base::Result<std::int64_t> tenant_number(base::store::Transaction& tx, std::string_view name);

/// Entries with a change after `after`, in whatever state, those without content excepted; by
/// sequence. Errors: `each`'s.
using EachStored = std::function<base::Result<void>(StoredEntry&&)>;
base::Result<void> each_present(base::store::Transaction& tx, std::string_view tenant_name,
                                std::int64_t tenant, Sequence after, const Sealing& sealing,
                                const EachStored& each);
/// Those of them, with any change, whose scope has every name in `only`, or that say what they
/// were made from.
base::Result<void> each_in_scope(base::store::Transaction& tx, std::string_view tenant_name,
                                 std::int64_t tenant, const Scope& only, const Sealing& sealing,
                                 const EachStored& each);
/// Of its last change; 0: none.
base::Result<Sequence> last_sequence(base::store::Transaction& tx, std::int64_t tenant);
/// States that entries of the tenant had before.
base::Result<void> each_former(base::store::Transaction& tx, std::string_view tenant_name,
                               std::int64_t tenant, const Sealing& sealing, const EachStored& each);
/// Those that say what they were made from.
base::Result<void> each_sourced(base::store::Transaction& tx, std::string_view tenant_name,
                                std::int64_t tenant, const Sealing& sealing,
                                const EachStored& each);
/// What is sealed with that key and has a change after `after`, whether it can be read or not.
base::Result<void> each_sealed(base::store::Transaction& tx, std::int64_t tenant, KeyId key,
                               Sequence after,
                               const std::function<void(RowId, const MemoryId&)>& each);
/// What entries of all tenants say or said.
base::Result<void> each_text(base::store::Transaction& tx,
                             const std::function<void(std::string_view)>& each);

/// Rows as a statement gives them in `row_id`, with `key` for its $1: many at once cost a database
/// a fraction of what they cost one by one.
struct RowSet {
    std::string_view select, key;
};

/// Of an entry that goes, what finds it again when its like is written.
struct Gone {
    RowId row = 0;
    std::vector<std::int64_t> marks = {};
};
/// Leaves nothing but numbers of them, and says what indexes must hear. `gone`: the rows of `rows`,
/// ascending. `sequence`: as many from Truth::take_sequences; Truth::doubt_marks knows the rows.
base::Result<void> blank_rows(base::store::Transaction& tx, std::string_view tenant_name,
                              std::int64_t tenant, Sequence sequence, const RowSet& rows,
                              std::span<const Gone> gone, std::vector<Change>& changes);

struct Erased {
    std::uint64_t versions = 0, embeddings = 0, access_counts = 0;
};
/// What else is kept of blanked rows, of those from `first` to `last`. Doing it again does nothing.
base::Result<Erased> erase_beside(base::store::Transaction& tx, std::int64_t tenant,
                                  const RowSet& rows, RowId first, RowId last);
/// Marks of rows that nobody can read any more, of those from `first` to `last`.
base::Result<std::uint64_t> erase_marks_of(base::store::Transaction& tx, std::int64_t tenant,
                                           const RowSet& rows, std::int64_t first,
                                           std::int64_t last);
/// Rows that blank_rows and erase_beside should have left none of.
base::Result<std::uint64_t> rows_left(base::store::Transaction& tx, std::int64_t tenant,
                                      const RowSet& rows);

}  // namespace memory::truth
