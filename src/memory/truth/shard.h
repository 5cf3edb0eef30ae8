#pragma once
// One store's part of the truth: everything of the tenants that fall to it.

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/core/rng.h"
#include "base/store/store.h"
#include "memory/truth/mark_tail.h"
#include "memory/truth/rows.h"
#include "memory/truth/truth.h"

namespace memory::truth {

/// Accesses of one entry since the last flush.
struct Touches {
    std::uint64_t count = 0;
    UnixMs at = 0;
};

class Shard {
public:
    struct Limits {
        std::size_t content_bytes_max = 0;
        std::int64_t versions_keep_ms = 0;
        bool seals = false;         ///< what is new, with keys by subject
        std::string key_file = {};  ///< of the key that wraps those
    };
    static base::Result<std::unique_ptr<Shard>> open(const std::string& location,
                                                     const Limits& limits,
                                                     const base::Clock& clock);
    ~Shard();  ///< gives up what it took to embed

    // As in Truth, of one tenant of this shard.
    base::Result<Written> exchange(std::string_view tenant, std::span<const MemoryId> gone,
                                   std::span<const NewEntry> entries, std::string_view by,
                                   std::string_view model, const Truth::Also& also);
    base::Result<Change> update(std::string_view tenant, const MemoryId& id,
                                const EntryPatch& patch, std::string_view by);
    base::Result<Change> remove(std::string_view tenant, const MemoryId& id, std::string_view by);
    base::Result<Change> restore(std::string_view tenant, const MemoryId& id, std::uint32_t version,
                                 std::string_view by);
    base::Result<Entry> get(std::string_view tenant, const MemoryId& id);
    base::Result<void> each_row(std::string_view tenant, std::span<const RowId> rows,
                                const std::function<void(RowId, Entry&&)>& each);
    base::Result<std::vector<EntryVersion>> history(std::string_view tenant, const MemoryId& id);
    base::Result<Page> list(const Filter& filter, Order order, std::uint32_t limit,
                            std::string_view cursor);
    base::Result<void> changes(std::string_view tenant, Sequence after, std::string_view model,
                               const std::function<bool(Change&&)>& each);

    base::Result<Sequence> last_change(std::string_view tenant);

    base::Result<void> flush(
        const std::map<std::string, std::unordered_map<MemoryId, Touches>>& touches);
    base::Result<void> unembedded(std::string_view model, std::uint32_t limit,
                                  std::vector<Truth::Unembedded>& out);
    base::Result<std::uint64_t> embeddings_pending();
    /// `vectors` has a row for each of `rows`.
    base::Result<void> set_embeddings(std::string_view model,
                                      std::span<const Truth::Unembedded* const> rows,
                                      std::span<const std::span<const float>> vectors,
                                      std::vector<Change>& out);
    base::Result<void> sweep(UnixMs now, std::vector<Change>& out);
    base::Result<Sequence> take_sequences(base::store::Transaction& tx, std::int64_t count) {
        return DG_TRY(take_numbers(tx, 0, count)).sequence;
    }
    void doubt_marks(std::span<const RowId> rows) {
        for (const RowId row : rows) tail_.doubt(row);
    }
    /// Rows whose marks are in memory alone. Some thousands are well; more make the next start
    /// slow.
    std::size_t marks_behind() const { return tail_.rows(); }
    /// Writes those marks, in transactions between those of others.
    base::Result<void> settle_marks();
    const Sealing& sealing() const { return *sealing_; }
    /// Seals some of what was written before there were keys; false: that was all.
    base::Result<bool> seal_some();
    base::Result<void> tenants(std::vector<std::string>& out);
    base::Result<void> stats(StoreStats& out, std::string_view passages);
    base::store::Store& store() { return *store_; }

    base::Result<std::string> meta(std::string_view name);  ///< "": none
    base::Result<void> set_meta(std::string_view name, std::string_view value);

private:
    using Tx = base::store::Transaction;
    struct Numbers {
        RowId row = 0;  ///< the last given
        Sequence sequence = 0;
        UnixMs id_time = 0;
    };
    struct Prepared;

    Shard(std::unique_ptr<base::store::Store> store, bool alone, const Limits& limits,
          const base::Clock& clock);
    /// Keys where they are wanted, or something was sealed with them. `location` of the shard.
    base::Result<void> open_keys(const std::string& location);
    base::Result<void> seal_row(Tx& tx, StoredEntry&& stored);
    /// As they are kept beside the entry.
    base::Result<std::vector<std::int64_t>> kept_marks(const StoredEntry& stored) const;

    UnixMs now() const { return clock_.unix_ns() / 1'000'000; }
    /// Takes numbers for `rows` new rows and `changes` changes.
    base::Result<Numbers> take_numbers(Tx& tx, std::int64_t rows, std::int64_t changes);
    /// 0: no such tenant.
    base::Result<std::int64_t> tenant_number(Tx& tx, std::string_view name);
    base::Result<std::int64_t> tenant_number_or_new(Tx& tx, std::string_view name);
    base::Result<std::int64_t> model_number_or_new(Tx& tx, std::string_view name);
    /// Makes `model` the one that embeddings are wanted of; 0 for "".
    base::Result<std::int64_t> want_model(Tx& tx, std::string_view model);
    base::Result<std::int64_t> wanted_model(Tx& tx);
    /// Numbers that are committed now.
    void remember(std::string_view tenant, std::int64_t number);
    /// Unless another was wanted since there were `changes` of it.
    void remember_model(std::string_view name, std::int64_t number, std::uint64_t changes);

    base::Result<std::optional<StoredEntry>> load(Tx& tx, std::string_view tenant_name,
                                                  std::int64_t tenant, RowId row);
    /// Live, and with that id. Errors: not_found.
    base::Result<StoredEntry> load_live(Tx& tx, std::string_view tenant_name, const MemoryId& id);
    base::Result<StoredEntry> load_any(Tx& tx, std::string_view tenant_name, const MemoryId& id);
    base::Result<std::vector<float>> embedding_of(Tx& tx, std::int64_t tenant, RowId row,
                                                  std::int64_t model);

    base::Result<Change> remove_one(Tx& tx, std::string_view tenant, const MemoryId& id,
                                    std::string_view by);
    base::Result<Added> add_one(Tx& tx, const NewEntry& entry, const Prepared& prepared,
                                std::int64_t tenant, std::int64_t model, std::string_view by,
                                Numbers& numbers, std::vector<Change>& changes);
    base::Result<std::optional<StoredEntry>> find_same(Tx& tx, const NewEntry& entry,
                                                       const Prepared& prepared,
                                                       std::span<const std::int64_t> marks,
                                                       std::int64_t tenant);
    base::Result<Added> merge(Tx& tx, StoredEntry kept, const NewEntry& entry, std::string_view by,
                              Numbers& numbers, std::vector<Change>& changes);
    /// Rows that may say the same, oldest first.
    base::Result<std::vector<RowId>> candidates(Tx& tx, std::int64_t tenant,
                                                std::span<const std::int64_t> marks);
    base::Result<void> write_marks(Tx& tx, std::int64_t tenant, RowId row,
                                   std::span<const std::int64_t> marks);
    base::Result<void> erase_marks(Tx& tx, const StoredEntry& stored);
    /// Makes the tail from the rows after the last whose marks were written, once.
    base::Result<void> need_tail();
    /// Marks of the live ones of rows `from` to `to`, from their texts.
    base::Result<void> each_marks(Tx& tx, RowId from, RowId to,
                                  const std::function<void(std::int64_t tenant, RowId row,
                                                           std::span<const std::int64_t>)>& each);
    /// Keeps the state before as a version and writes `stored` in its place.
    base::Result<void> replace(Tx& tx, StoredEntry& stored, std::string_view change,
                               std::string_view by, const Numbers& numbers);
    base::Result<void> forget_embeddings(Tx& tx, std::int64_t tenant, RowId row);
    base::Result<void> want_embedding(Tx& tx, std::int64_t tenant, RowId row);
    base::Result<Change> change_of(Tx& tx, const StoredEntry& stored);
    base::Result<void> want_model_now(std::string_view model);
    /// Takes some of those that no other process has; `taken` are left out of what others take.
    base::Result<void> claim(Tx& tx, std::uint32_t limit, std::vector<Truth::Unembedded>& out);
    base::Result<void> expire(Tx& tx, UnixMs now, std::vector<Change>& out, bool& more);
    base::Result<void> wipe(Tx& tx, UnixMs before, bool& more);

    std::unique_ptr<base::store::Store> store_;
    const bool alone_;  // no other process writes here: what was read once stays true
    const Limits limits_;
    std::unique_ptr<Sealing> sealing_ = std::make_unique<Sealing>();
    RowId sealed_to_ = 0;         // of the one thread that seals what is old
    const std::int64_t claimer_;  // this process among those that embed
    std::atomic<bool> claimed_ = false;
    const base::Clock& clock_;
    MarkTail tail_;        // empty where not alone
    std::mutex settling_;  // who makes it, or writes it down
    std::atomic<bool> tail_made_ = false;
    std::mutex mutex_;                                       // guards what follows
    std::unordered_map<std::string, std::int64_t> tenants_;  // committed ones
    std::pair<std::string, std::int64_t> model_;             // wanted, and committed; "": unknown
    std::uint64_t model_changes_ = 0;
    base::Rng chance_;                // of ids
    std::optional<Numbers> numbers_;  // where alone, of the works alone; not below the store's
};

}  // namespace memory::truth
