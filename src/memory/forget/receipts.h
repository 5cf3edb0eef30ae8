#pragma once
// Receipts and what is still to be erased, as rows. Each call is part of the caller's transaction.

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
};

base::Result<void> write_receipt(base::store::Transaction& tx, std::string_view tenant,
                                 const Receipt& receipt);
base::Result<std::vector<Receipt>> read_receipts(base::store::Transaction& tx,
                                                 std::string_view tenant, std::string_view id,
                                                 std::uint32_t limit);
base::Result<std::uint64_t> count_open(base::store::Transaction& tx);
/// Those not done, oldest first, with their rows.
base::Result<std::vector<Open>> read_open(base::store::Transaction& tx);
/// Takes everything of `belongings` out of what can be found, adds to the receipt's counts and says
/// what indexes must hear.
base::Result<void> hide(truth::Truth& truth, base::store::Transaction& tx, std::string_view tenant,
                        const Belongings& belongings, Receipt& receipt,
                        std::vector<truth::Change>& changes);
/// The rows that have to be erased for it; valid as long as `id`.
truth::RowSet rows_of(const ForgetId& id);
/// Nothing is to be erased for it any more.
base::Result<void> clear_work(base::store::Transaction& tx, std::string_view id);

}  // namespace memory::forget
