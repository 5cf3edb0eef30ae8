#pragma once
// Short-term entries in Redis, for all nodes that share it. A tenant's are few and soon over: each
// is a field of one hash, found by its row, and a write is one transaction that fails when another
// one of the tenant came between, and is planned again.
//
//   PREFIX:{TENANT}:meta      row, sequence: the last given; versions: how many are kept
//   PREFIX:{TENANT}:entries   row -> entry, also of those removed
//   PREFIX:{TENANT}:order     rows by their last change
//   PREFIX:{TENANT}:expires, :gone        rows by when they are over, or to be forgotten
//   PREFIX:{TENANT}:marks, :keys          what the same event, or a repeated request, is told by
//   PREFIX:{TENANT}:vectors:MODEL, :bare  embeddings; rows that wait for one
//   PREFIX:{TENANT}:versions:ROW, :touched, :touched_at

#include <memory>
#include <string>

#include "memory/truth/forgotten.h"
#include "memory/truth/truth.h"

namespace memory::truth {

/// Rows of short-term entries that are kept apart begin here.
inline constexpr RowId kSessionRow = RowId{1} << 39;

/// Truth of entries of type short_term. `store_of` and `each_store` have no store. Errors:
/// unavailable while Redis is.
class SessionTruth : public Truth {
public:
    /// Everything of the tenant: each entry in whatever state, and the states it had before.
    using EachState = std::function<base::Result<void>(StoredEntry&& now, bool former)>;
    virtual base::Result<void> each_state(std::string_view tenant, const EachState& each) = 0;
    /// Leaves nothing but numbers of these rows, which indexes of all nodes hear with their next
    /// search. One transaction; doing it again does nothing.
    virtual base::Result<Erased> erase(std::string_view tenant, std::span<const RowId> rows) = 0;
    /// Of these, those with anything left.
    virtual base::Result<std::uint64_t> rows_left(std::string_view tenant,
                                                  std::span<const RowId> rows) = 0;
};

base::Result<std::unique_ptr<SessionTruth>> open_session_truth(const StoreOptions& options,
                                                               const base::Clock& clock);

}  // namespace memory::truth
