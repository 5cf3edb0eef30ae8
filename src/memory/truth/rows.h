#pragma once
// Tables of one shard, and entries as their rows. Every statement names the tenant, so that no
// mistake in a row number reaches over the wall.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/store/store.h"
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
    wiped = 3,  ///< nothing but its numbers is left: indexes that sleep long still hear of it
};

/// A row of `entry`, or of `version`, which has the same columns.
struct StoredEntry {
    RowId row = 0;
    std::int64_t tenant = 0;
    RowState state = RowState::live;
    Sequence sequence = 0;
    Entry entry;
    std::string change, by;
};

inline constexpr std::size_t kColumns = 26;
/// `e.row_id, ...`: the columns of a StoredEntry, then access_count and accessed.
extern const std::string kSelectColumns;
/// ` FROM entry e LEFT JOIN access a ON ...`
extern const std::string kFromEntry;
extern const std::string kInsertEntry;
extern const std::string kUpdateEntry;
/// $1 row, $2 tenant, $3: when it was superseded.
extern const std::string kCopyVersion;

/// Errors: data_loss (JSON that cannot be read).
base::Result<StoredEntry> read_entry(const base::store::Row& row, std::string_view tenant_name);

/// Parameters of kInsertEntry and kUpdateEntry; views into `stored` and itself.
class EntryParameters {
public:
    explicit EntryParameters(const StoredEntry& stored);
    EntryParameters(const EntryParameters&) = delete;
    std::span<const base::store::Parameter> all() const { return parameters_; }

private:
    std::string metadata_, sources_;
    std::array<base::store::Parameter, kColumns> parameters_;
};

/// Embeddings have one number for row and model.
inline constexpr std::int64_t kModelsMax = 256;
constexpr std::int64_t embedding_key(RowId row, std::int64_t model) {
    return row * kModelsMax + model;
}

}  // namespace memory::truth
