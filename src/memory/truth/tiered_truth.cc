#include "memory/truth/tiered_truth.h"

#include <algorithm>
#include <map>
#include <set>

#include "memory/truth/list_cursor.h"
#include "memory/truth/memory_id.h"
#include "memory/truth/session_truth.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail_on;
using base::Result;

bool of_sessions(const MemoryId& id) {
    return row_of(id).value_or(0) >= kSessionRow;
}

class TieredTruth final : public Truth {
public:
    TieredTruth(Truth& lasting, Truth& sessions) : lasting_(lasting), sessions_(sessions) {}

    Result<Written> add(std::span<const NewEntry> entries, std::string_view by,
                        std::string_view model, const Also& also) override {
        const auto brief = std::ranges::count_if(
            entries, [](const NewEntry& one) { return one.type == MemoryType::short_term; });
        if (brief == 0) return lasting_.add(entries, by, model, also);
        if (static_cast<std::size_t>(brief) == entries.size()) {
            return sessions_.add(entries, by, model, also);
        }
        return fail_on("type", Code::invalid_argument,
                       "{} of {} entries are short_term, which are kept apart: "
                       "write them in a batch of their own",
                       brief, entries.size());
    }
    Result<Written> exchange(std::string_view tenant, std::span<const MemoryId> gone,
                             std::span<const NewEntry> entries, std::string_view by,
                             std::string_view model, const Also& also) override {
        return lasting_.exchange(tenant, gone, entries, by, model, also);
    }
    Result<Change> update(std::string_view tenant, const MemoryId& id, const EntryPatch& patch,
                          std::string_view by) override {
        const bool brief = patch.type == MemoryType::short_term;
        if (patch.type && brief != of_sessions(id)) {
            return fail_on("type", Code::failed_precondition,
                           "short_term entries are kept apart: add {} as the new "
                           "type and remove this one",
                           id);
        }
        return of(id).update(tenant, id, patch, by);
    }
    Result<Change> remove(std::string_view tenant, const MemoryId& id,
                          std::string_view by) override {
        return of(id).remove(tenant, id, by);
    }
    Result<Change> restore(std::string_view tenant, const MemoryId& id, std::uint32_t version,
                           std::string_view by) override {
        return of(id).restore(tenant, id, version, by);
    }
    Result<Entry> get(std::string_view tenant, const MemoryId& id) override {
        return of(id).get(tenant, id);
    }
    Result<std::vector<EntryVersion>> history(std::string_view tenant,
                                              const MemoryId& id) override {
        return of(id).history(tenant, id);
    }

    Result<void> each_row(std::string_view tenant, std::span<const RowId> rows,
                          const std::function<void(RowId, Entry&&)>& each) override {
        std::vector<RowId> lasting, brief;
        for (const RowId row : rows) (row < kSessionRow ? lasting : brief).push_back(row);
        if (brief.empty()) return lasting_.each_row(tenant, rows, each);
        std::map<RowId, Entry> found;
        const auto keep = [&](RowId row, Entry&& entry) { found.emplace(row, std::move(entry)); };
        DG_TRY(lasting_.each_row(tenant, lasting, keep));
        const auto asked = sessions_.each_row(tenant, brief, keep);
        if (!asked && asked.error().code != Code::unavailable) return asked;
        for (const RowId row : rows) {
            if (const auto one = found.find(row); one != found.end()) {
                each(row, std::move(one->second));
            }
        }
        return {};
    }

    Result<Page> list(const Filter& filter, Order order, std::uint32_t limit,
                      std::string_view cursor) override {
        const bool only_brief =
            filter.types.size() == 1 && *filter.types.begin() == MemoryType::short_term;
        if (only_brief) return sessions_.list(filter, order, limit, cursor);
        const bool none_brief =
            !filter.types.empty() &&
            std::ranges::find(filter.types, MemoryType::short_term) == filter.types.end();
        Page page = DG_TRY(lasting_.list(filter, order, limit, cursor));
        if (none_brief) return page;
        Page brief = DG_TRY(sessions_.list(filter, order, limit, cursor));
        const bool more = !page.next.empty() || !brief.next.empty();
        std::ranges::move(brief.entries, std::back_inserter(page.entries));
        const auto place = [](const Entry& one) {
            return std::pair(one.created_unix_ms, row_of(one.id).value_or(0));
        };
        std::ranges::sort(page.entries, [&](const Entry& a, const Entry& b) {
            return order == Order::created_ascending ? place(a) < place(b) : place(a) > place(b);
        });
        page.next.clear();
        if (page.entries.size() > limit || more) {
            if (page.entries.size() > limit) page.entries.resize(limit);
            const auto [created, row] = place(page.entries.back());
            page.next = cursor_text({created, row}, order);
        }
        return page;
    }

    Result<void> changes(std::string_view tenant, Sequence after, std::string_view model,
                         const std::function<bool(Change&&)>& each) override {
        return lasting_.changes(tenant, after, model, each);
    }
    bool shared() const override { return true; }
    Result<Sequence> last_change(std::string_view tenant) override {
        return lasting_.last_change(tenant);
    }

    void touch(std::string_view tenant, std::span<const MemoryId> ids, UnixMs at) override {
        std::vector<MemoryId> lasting, brief;
        for (const MemoryId& id : ids) (of_sessions(id) ? brief : lasting).push_back(id);
        if (!lasting.empty()) lasting_.touch(tenant, lasting, at);
        if (!brief.empty()) sessions_.touch(tenant, brief, at);
    }
    Result<void> flush_touches() override {
        static_cast<void>(sessions_.flush_touches());  // counts of what is soon over
        return lasting_.flush_touches();
    }

    Result<std::vector<Unembedded>> unembedded(std::string_view model,
                                               std::uint32_t limit) override {
        auto rows = DG_TRY(lasting_.unembedded(model, limit));
        if (rows.size() >= limit) return rows;
        auto brief = sessions_.unembedded(model, limit - static_cast<std::uint32_t>(rows.size()));
        if (!brief && rows.empty()) return brief;
        if (brief) std::ranges::move(*brief, std::back_inserter(rows));
        return rows;
    }
    Result<std::uint64_t> embeddings_pending() override {
        return DG_TRY(lasting_.embeddings_pending()) + DG_TRY(sessions_.embeddings_pending());
    }
    Result<std::vector<Change>> set_embeddings(std::string_view model,
                                               std::span<const Unembedded> rows,
                                               std::span<const float> vectors,
                                               std::uint32_t dims) override {
        // Those of sessions come last.
        const auto brief = std::ranges::find_if(
            rows, [](const Unembedded& one) { return one.row >= kSessionRow; });
        const auto first = static_cast<std::size_t>(brief - rows.begin());
        std::vector<Change> changes;
        if (first > 0) {
            changes = DG_TRY(lasting_.set_embeddings(model, rows.first(first),
                                                     vectors.first(first * dims), dims));
        }
        if (first == rows.size()) return changes;
        auto kept = sessions_.set_embeddings(model, rows.subspan(first),
                                             vectors.subspan(first * dims), dims);
        if (!kept && first == 0) return kept;
        if (kept) std::ranges::move(*kept, std::back_inserter(changes));
        return changes;
    }

    Result<std::vector<Change>> sweep(UnixMs now) override {
        auto brief = sessions_.sweep(now);  // again at the next one, if it is away
        auto changes = DG_TRY(lasting_.sweep(now));
        if (brief) std::ranges::move(*brief, std::back_inserter(changes));
        return changes;
    }
    Result<Sequence> take_sequences(base::store::Transaction& tx, std::string_view tenant,
                                    std::int64_t count) override {
        return lasting_.take_sequences(tx, tenant, count);
    }
    void doubt_marks(std::string_view tenant, std::span<const RowId> rows) override {
        lasting_.doubt_marks(tenant, rows);
    }
    const Sealing& sealing_of(std::string_view tenant) override {
        return lasting_.sealing_of(tenant);
    }
    const Sealing& sealing_in(const base::store::Store& store) override {
        return lasting_.sealing_in(store);
    }
    std::vector<std::string> files_of(std::string_view tenant) override {
        return lasting_.files_of(tenant);
    }
    base::store::Store& store_of(std::string_view tenant) override {
        return lasting_.store_of(tenant);
    }
    Result<void> each_store(const std::function<Result<void>(base::store::Store&)>& each) override {
        return lasting_.each_store(each);
    }
    Result<std::vector<std::string>> tenants() override {
        const auto lasting = DG_TRY(lasting_.tenants()), brief = DG_TRY(sessions_.tenants());
        std::set<std::string> names(lasting.begin(), lasting.end());
        names.insert(brief.begin(), brief.end());
        return std::vector<std::string>(names.begin(), names.end());
    }
    Result<StoreStats> stats(std::string_view passages) override {
        StoreStats stats = DG_TRY(lasting_.stats(passages));
        const auto brief = sessions_.stats();
        if (!brief) return stats;
        if (const auto names = tenants()) stats.tenants = names->size();
        stats.entries += brief->entries;
        stats.versions += brief->versions;
        stats.removed += brief->removed;
        stats.embeddings_pending += brief->embeddings_pending;
        return stats;
    }
    Result<void> check() override {
        DG_TRY(lasting_.check());
        return sessions_.check();
    }

private:
    Truth& of(const MemoryId& id) { return of_sessions(id) ? sessions_ : lasting_; }

    Truth& lasting_;
    Truth& sessions_;
};

}  // namespace

std::unique_ptr<Truth> make_tiered(Truth& lasting, Truth& sessions) {
    return std::make_unique<TieredTruth>(lasting, sessions);
}

}  // namespace memory::truth
