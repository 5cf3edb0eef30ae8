#pragma once
// Tables of one shard, and entries as their rows. Every statement names the tenant, so that no
// mistake in a row number reaches over the wall.

#include <string>
#include <string_view>
#include <vector>

#include "base/store/store.h"
#include "memory/truth/sealing.h"
#include "memory/truth/truth.h"

namespace memory::truth {

/// For base::store::migrate.
std::vector<std::string> schema_steps(const base::store::Dialect& dialect);

/// Of a store that several processes have: who embeds what.
std::span<const std::string> claim_steps();

enum class RowState : std::int64_t {
    live = 0,
    removed = 1,
    expired = 2,
    wiped = 3,  ///< nothing but its numbers is left: indexes that sleep long still hear of it;
                ///< or its key was erased, and the row is still to follow
};

/// A row of `entry`, or of `version`, which has the same columns.
struct StoredEntry {
    RowId row = 0;
    std::int64_t tenant = 0;
    RowState state = RowState::live;
    Sequence sequence = 0;
    Entry entry;
    std::string change, by;
    KeyId key = 0;  ///< that it is sealed with; 0: it is plain
};

inline constexpr std::size_t kColumns = 28;
/// `e.row_id, ...`: the columns of a StoredEntry, then access_count and accessed.
extern const std::string kSelectColumns;
/// ` FROM entry e LEFT JOIN access a ON ...`
extern const std::string kFromEntry;
/// $1 row, $2 tenant, $3: when it was superseded.
extern const std::string kCopyVersion;

/// Its state is `wiped` where its key was erased. Errors: data_loss (what cannot be read).
base::Result<StoredEntry> read_entry(const base::store::Row& row, std::string_view tenant_name,
                                     const Sealing& sealing);

/// A row of `entry`, sealed where it has a key. Errors: the store's, Sealing's.
base::Result<void> insert_entry(base::store::Transaction& tx, const StoredEntry& stored,
                                const Sealing& sealing);
base::Result<void> update_entry(base::store::Transaction& tx, const StoredEntry& stored,
                                const Sealing& sealing);
/// The state with `stored`'s version among those it had before, in place.
base::Result<void> update_version(base::store::Transaction& tx, const StoredEntry& stored,
                                  const Sealing& sealing);

/// The 16-bit numbers of an embedding as they are kept beside an entry with `key`.
base::Result<void> write_vector(base::store::Transaction& tx, std::int64_t embedding_key,
                                std::int64_t tenant, KeyId key, std::string_view half,
                                const Sealing& sealing);
/// "": its key was erased.
base::Result<std::string> read_vector(std::int64_t embedding_key, KeyId key, std::string_view kept,
                                      const Sealing& sealing);

/// Embeddings have one number for row and model.
inline constexpr std::int64_t kModelsMax = 256;
constexpr std::int64_t embedding_key(RowId row, std::int64_t model) {
    return row * kModelsMax + model;
}

}  // namespace memory::truth
