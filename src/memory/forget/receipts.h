#pragma once
// Receipts and what is still to be erased, as rows. Each call is part of the caller's transaction.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/store/store.h"
#include "memory/forget/belongings.h"
#include "memory/forget/forget.h"
#include "memory/truth/forgotten.h"
#include "memory/truth/truth.h"

namespace memory::forget {

/// For base::store::migrate.
std::vector<std::string> schema_steps(const base::store::Dialect& dialect);

/// A receipt, its tenant, and what has to be erased for it.
struct Open {
    std::string tenant;
    Receipt receipt;
    std::int64_t tenant_number = 0;
    std::vector<truth::RowId> rows = {};
    std::vector<Needle> needles = {};
    std::vector<truth::KeyId> keys = {};  ///< whatever is sealed with them goes
};

base::Result<void> write_receipt(base::store::Transaction& tx, std::string_view tenant,
                                 const Receipt& receipt);
base::Result<std::vector<Receipt>> read_receipts(base::store::Transaction& tx,
                                                 std::string_view tenant, std::string_view id,
                                                 std::uint32_t limit);
/// Those not done, oldest first, with their rows.
base::Result<std::vector<Open>> read_open(base::store::Transaction& tx);
/// Its rows as they are now.
base::Result<void> read_rows(base::store::Transaction& tx, Open& open);
/// Takes everything of `belongings` out of what can be found, adds to the receipt's counts and says
/// what indexes must hear.
base::Result<void> hide(truth::Truth& truth, base::store::Transaction& tx, std::string_view tenant,
                        const Belongings& belongings, Receipt& receipt,
                        std::vector<truth::Change>& changes);
/// What is to be erased with its keys, from before they are on: so that a crash in between ends
/// like none.
base::Result<void> write_keys(base::store::Transaction& tx, const ForgetId& id, std::int64_t tenant,
                              std::span<const truth::SubjectKeys::Wrapped> keys);
/// Takes up to `count` rows, of those that are sealed with its keys, in as rows to be erased, out
/// of what is kept beside them, and leaves numbers. 0: there were none left.
base::Result<std::uint64_t> blank_keyed(truth::Truth& truth, base::store::Transaction& tx,
                                        const Open& open, std::uint32_t count,
                                        std::vector<truth::Change>& changes);
/// The rows that have to be erased for it; valid as long as `id`.
truth::RowSet rows_of(const ForgetId& id);
/// Nothing is to be erased for it any more.
base::Result<void> clear_work(base::store::Transaction& tx, std::string_view id);

}  // namespace memory::forget
