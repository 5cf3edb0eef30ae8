#pragma once
// The truth of short-term entries over Redis, as session_truth.h lays them out. Inside: redis_*.cc.

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/check.h"
#include "base/core/clock.h"
#include "base/core/rng.h"
#include "memory/truth/list_cursor.h"
#include "memory/truth/session_codec.h"
#include "memory/truth/session_draft.h"
#include "memory/truth/session_truth.h"
#include "memory/truth/similar.h"

namespace memory::truth {

/// 0 for what is none.
std::int64_t number(std::string_view text);
std::unexpected<base::Error> no_such(std::string_view tenant, std::string_view id);

class RedisTruth final : public SessionTruth {
public:
    RedisTruth(std::unique_ptr<base::redis::Redis> redis, const StoreOptions& options,
               const base::Clock& clock)
        : redis_(std::move(redis)),
          content_bytes_max_(options.content_bytes_max),
          versions_keep_ms_(options.versions_keep_ms),
          clock_(clock),
          chance_(base::entropy64()),
          claimer_(std::to_string(chance_.next())) {}
    ~RedisTruth() override;
    base::Result<Written> add(std::span<const NewEntry> entries, std::string_view by,
                              std::string_view model, const Also& also) override;
    base::Result<Change> update(std::string_view tenant, const MemoryId& id,
                                const EntryPatch& patch, std::string_view by) override;
    base::Result<Change> remove(std::string_view tenant, const MemoryId& id,
                                std::string_view by) override;
    base::Result<Change> restore(std::string_view tenant, const MemoryId& id, std::uint32_t version,
                                 std::string_view by) override;
    base::Result<Entry> get(std::string_view tenant, const MemoryId& id) override;
    base::Result<void> each_row(std::string_view tenant, std::span<const RowId> rows,
                                const std::function<void(RowId, Entry&&)>& each) override;
    base::Result<std::vector<EntryVersion>> history(std::string_view tenant,
                                                    const MemoryId& id) override;
    base::Result<Page> list(const Filter& filter, Order order, std::uint32_t limit,
                            std::string_view cursor) override;
    base::Result<void> changes(std::string_view tenant, Sequence after, std::string_view model,
                               const std::function<bool(Change&&)>& each) override;
    bool shared() const override { return true; }
    base::Result<Sequence> last_change(std::string_view tenant) override;
    void touch(std::string_view tenant, std::span<const MemoryId> ids, UnixMs at) override;
    base::Result<void> flush_touches() override;
    base::Result<std::vector<Unembedded>> unembedded(std::string_view model,
                                                     std::uint32_t limit) override;
    base::Result<std::uint64_t> embeddings_pending() override;
    base::Result<std::vector<Change>> set_embeddings(std::string_view model,
                                                     std::span<const Unembedded> rows,
                                                     std::span<const float> vectors,
                                                     std::uint32_t dims) override;
    base::Result<std::vector<Change>> sweep(UnixMs at) override;
    base::Result<void> each_state(std::string_view tenant, const EachState& each) override;
    base::Result<Erased> erase(std::string_view tenant, std::span<const RowId> rows) override;
    base::Result<std::uint64_t> rows_left(std::string_view tenant,
                                          std::span<const RowId> rows) override;
    // What other parts write in one transaction with entries is never short-term.
    base::Result<Written> exchange(std::string_view, std::span<const MemoryId>,
                                   std::span<const NewEntry>, std::string_view, std::string_view,
                                   const Also&) override {
        DG_CHECK(false, "short-term entries are changed one by one");
        std::abort();
    }
    base::Result<Sequence> take_sequences(base::store::Transaction&, std::string_view,
                                          std::int64_t) override {
        DG_CHECK(false, "short-term entries are in no store");
        std::abort();
    }
    void doubt_marks(std::string_view, std::span<const RowId>) override {}
    const Sealing& sealing_of(std::string_view) override { return Sealing::none(); }
    const Sealing& sealing_in(const base::store::Store&) override { return Sealing::none(); }
    std::vector<std::string> files_of(std::string_view) override { return {}; }
    base::store::Store& store_of(std::string_view) override {
        DG_CHECK(false, "short-term entries are in no store");
        std::abort();
    }
    base::Result<void> each_store(
        const std::function<base::Result<void>(base::store::Store&)>&) override {
        return {};
    }
    base::Result<std::vector<std::string>> tenants() override;
    base::Result<StoreStats> stats(std::string_view) override;
    base::Result<void> check() override {
        return redis_->read([](base::redis::Session&) { return base::Result<void>(); });
    }

private:
    using Make = std::function<base::Result<void>(SessionDraft&, const SessionKeys&)>;
    UnixMs now() const { return clock_.unix_ns() / 1'000'000; }
    SessionKeys keys_of(std::string_view tenant) const {
        return SessionKeys(redis_->prefix(), tenant);
    }
    static bool after_other(const Cursor& a, const Cursor& b) {
        return std::pair(a.created, a.row) > std::pair(b.created, b.row);
    }
    static std::int64_t mark_of(const Entry& entry) {
        return marks_of(entry.scope, entry.type, entry.content, entry.speaker,
                        entry.created_unix_ms)[0];
    }
    static Change change_of(const StoredEntry& stored) {
        return {.row = stored.row,
                .sequence = stored.sequence,
                .gone = stored.state != RowState::live,
                .entry = stored.entry};
    }

    /// One transaction; `make` runs again when another of the tenant came between.
    base::Result<void> change(std::string_view tenant, const Make& make);

    /// The tenant is in the list before its first entry is.
    base::Result<void> know(const std::string& tenant);
    base::Result<Added> add_one(SessionDraft& draft, const SessionKeys& keys, const NewEntry& entry,
                                std::string_view by, std::string_view model,
                                std::map<std::string, Added>& asked, std::vector<Change>& changes);
    static base::Result<std::optional<StoredEntry>> find_same(SessionDraft& draft,
                                                              const NewEntry& entry,
                                                              std::int64_t mark, UnixMs at);
    Added merge(SessionDraft& draft, StoredEntry kept, const NewEntry& entry, std::string_view by,
                std::vector<Change>& changes);

    /// Requests that these rows answered: what a caller named them is the caller's own words.
    base::Result<void> forget_requests(std::string_view tenant, const std::set<RowId>& rows);
    base::Result<void> erase_one(SessionDraft& draft, const SessionKeys& keys, RowId row,
                                 Erased& erased);

    Change take_out(SessionDraft& draft, const StoredEntry& before, RowState state,
                    std::string_view by);
    static base::Result<StoredEntry> any(SessionDraft& draft, std::string_view tenant,
                                         const MemoryId& id);
    base::Result<StoredEntry> live(SessionDraft& draft, std::string_view tenant,
                                   const MemoryId& id);
    static base::Result<std::vector<StoredEntry>> versions(SessionDraft& draft,
                                                           const SessionKeys& keys,
                                                           std::string_view tenant, RowId row);

    /// Those that are there, removed ones too, in the order of `rows`, with their accesses.
    static base::Result<std::vector<StoredEntry>> load_rows(base::redis::Session& session,
                                                            const SessionKeys& keys,
                                                            std::string_view tenant,
                                                            std::span<const RowId> rows);
    base::Result<void> read_changes(base::redis::Session& session, std::string_view tenant,
                                    Sequence after, std::string_view model,
                                    std::vector<Change>& out);
    base::Result<void> count(base::redis::Session& session, const std::string& tenant,
                             const std::map<MemoryId, std::pair<std::uint64_t, UnixMs>>& ids);

    /// From now on vectors of `model` are wanted: those that have none of it wait for one.
    base::Result<void> want(const std::string& tenant, std::string_view model);
    base::Result<void> take_bare(base::redis::Session& session, const std::string& tenant,
                                 std::uint32_t limit, std::vector<Unembedded>& out);
    static base::Result<void> forget_vectors(SessionDraft& draft, const SessionKeys& keys,
                                             RowId row);
    static base::Result<std::vector<RowId>> due(SessionDraft& draft, const std::string& key,
                                                UnixMs at);

    /// An index that slept so long still drops what is gone: nothing is there to show.
    static base::Result<void> wipe(SessionDraft& draft, const SessionKeys& keys, UnixMs before);

    const std::unique_ptr<base::redis::Redis> redis_;
    const std::size_t content_bytes_max_;
    const std::int64_t versions_keep_ms_;
    const base::Clock& clock_;
    std::mutex mutex_;  // guards what follows
    base::Rng chance_;  // of ids
    const std::string claimer_;
    std::set<std::string> claims_;               ///< of the batch taken last
    std::set<std::string> known_;                ///< tenants in the list
    std::map<std::string, std::string> wanted_;  ///< model of each tenant
    std::map<std::string, std::map<MemoryId, std::pair<std::uint64_t, UnixMs>>> touched_;
};

}  // namespace memory::truth
