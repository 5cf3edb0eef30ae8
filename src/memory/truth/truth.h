#pragma once
// What was written, and every state it had: the only copy of anything. Everything else in this
// plane can be rebuilt from here. Tenants are spread over shards; each shard is one base::Store.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "base/store/store.h"
#include "memory/entry.h"
#include "memory/memory.h"

namespace memory::truth {

/// Of an entry, for life: small, dense within a shard, never used again.
using RowId = std::int64_t;
/// Of a change, ascending within a shard.
using Sequence = std::int64_t;

/// One entry as indexes need it. `gone`: removed, expired or forgotten; then only row, sequence and
/// the entry's tenant are meant. Embeddings are rounded to 16 bits, as they are kept.
struct Change {
    RowId row = 0;
    Sequence sequence = 0;
    bool gone = false;
    Entry entry = {};
    std::vector<float> embedding = {};  ///< of `model`; empty: none yet
};

class Sealing;

struct Written {
    std::vector<Added> added;
    std::vector<Change> changes;  ///< what indexes must hear, in order
};

class Truth {
public:
    static base::Result<std::unique_ptr<Truth>> open(const StoreOptions& options,
                                                     const base::Clock& clock);
    virtual ~Truth() = default;

    /// What another part writes together with entries; its failure undoes all.
    using Also = std::function<base::Result<void>(base::store::Transaction& tx,
                                                  const std::vector<Added>& added)>;
    /// Entries checked already, of one tenant; one transaction. `model` names their embeddings.
    virtual base::Result<Written> add(std::span<const NewEntry> entries, std::string_view by,
                                      std::string_view model, const Also& also = {}) = 0;
    /// Removes `gone` (those that are there), then adds, in the same way and in one transaction.
    virtual base::Result<Written> exchange(std::string_view tenant, std::span<const MemoryId> gone,
                                           std::span<const NewEntry> entries, std::string_view by,
                                           std::string_view model, const Also& also = {}) = 0;
    virtual base::Result<Change> update(std::string_view tenant, const MemoryId& id,
                                        const EntryPatch& patch, std::string_view by) = 0;
    virtual base::Result<Change> remove(std::string_view tenant, const MemoryId& id,
                                        std::string_view by) = 0;
    virtual base::Result<Change> restore(std::string_view tenant, const MemoryId& id,
                                         std::uint32_t version, std::string_view by) = 0;

    virtual base::Result<Entry> get(std::string_view tenant, const MemoryId& id) = 0;
    /// In the order of `rows`; those gone are left out.
    virtual base::Result<void> each_row(std::string_view tenant, std::span<const RowId> rows,
                                        const std::function<void(RowId, Entry&&)>& each) = 0;
    virtual base::Result<std::vector<EntryVersion>> history(std::string_view tenant,
                                                            const MemoryId& id) = 0;
    /// A page by (created, row). The filter's metadata expression is evaluated on each row.
    virtual base::Result<Page> list(const Filter& filter, Order order, std::uint32_t limit,
                                    std::string_view cursor) = 0;

    /// Every change of a tenant after `after`, oldest first, one per entry (its present state).
    virtual base::Result<void> changes(std::string_view tenant, Sequence after,
                                       std::string_view model,
                                       const std::function<bool(Change&&)>& each) = 0;

    /// Others write, too: last_change tells whether there is more than this process wrote.
    virtual bool shared() const = 0;
    /// Of the tenant, whoever wrote it; 0: none. One look into an index.
    virtual base::Result<Sequence> last_change(std::string_view tenant) = 0;

    /// Gathered in memory; one transaction per shard and flush. `at` is the access's time.
    virtual void touch(std::string_view tenant, std::span<const MemoryId> ids, UnixMs at) = 0;
    virtual base::Result<void> flush_touches() = 0;

    /// Rows of all tenants without an embedding of `model`, some of them. Of a shared one those
    /// that nobody else took within the last minute; what this took before is free again.
    struct Unembedded {
        std::string tenant;
        RowId row = 0;
        std::uint32_t version = 0;
        std::string text;  ///< "speaker: content"
    };
    virtual base::Result<std::vector<Unembedded>> unembedded(std::string_view model,
                                                             std::uint32_t limit) = 0;
    /// How many there are, taken or not.
    virtual base::Result<std::uint64_t> embeddings_pending() = 0;
    /// Kept where the row still has that version; gives the changes that came of it.
    virtual base::Result<std::vector<Change>> set_embeddings(std::string_view model,
                                                             std::span<const Unembedded> rows,
                                                             std::span<const float> vectors,
                                                             std::uint32_t dims) = 0;

    /// Marks what expired by `now` as gone, and drops versions older than they are kept.
    virtual base::Result<std::vector<Change>> sweep(UnixMs now) = 0;
    // For parts that change entries in transactions of their own (forgotten.h, rewrite.h).
    /// Takes `count` numbers of changes; gives the one before the first.
    virtual base::Result<Sequence> take_sequences(base::store::Transaction& tx,
                                                  std::string_view tenant, std::int64_t count) = 0;
    /// Within the transaction that changes what these rows say: what is known of their marks beside
    /// the tables is not to be trusted any more.
    virtual void doubt_marks(std::string_view tenant, std::span<const RowId> rows) = 0;
    /// The store that holds a tenant, for parts with tables of their own.
    virtual base::store::Store& store_of(std::string_view tenant) = 0;
    /// How it keeps what its entries say. Lives as long as this.
    virtual const Sealing& sealing_of(std::string_view tenant) = 0;
    /// The same of one of each_store.
    virtual const Sealing& sealing_in(const base::store::Store& store) = 0;
    /// Every file in which its rows may leave bytes; none on a database server.
    virtual std::vector<std::string> files_of(std::string_view tenant) = 0;
    virtual base::Result<void> each_store(
        const std::function<base::Result<void>(base::store::Store&)>& each) = 0;
    virtual base::Result<std::vector<std::string>> tenants() = 0;
    /// Entries of tenants whose names end in `passages` are counted as such.
    virtual base::Result<StoreStats> stats(std::string_view passages = {}) = 0;
    /// Whole-file checks of every shard. Errors: data_loss, naming the file and what to do.
    virtual base::Result<void> check() = 0;
};

}  // namespace memory::truth
