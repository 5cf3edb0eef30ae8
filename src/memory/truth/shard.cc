// Opening, numbers and reading. Writes are in shard_add.cc and shard_change.cc, what runs in the
// background in shard_upkeep.cc.
#include "memory/truth/shard.h"

#include <algorithm>
#include <charconv>

#include "memory/truth/half.h"
#include "memory/truth/list_cursor.h"
#include "memory/truth/memory_id.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::store::Row;

constexpr std::uint32_t kChangesAtOnce = 2'048;  // read together, so that no read lasts long

std::unexpected<base::Error> no_such(std::string_view tenant, std::string_view id) {
    return fail(Code::not_found, "tenant {} has no memory {}", tenant, id);
}

std::unexpected<base::Error> no_row_left() {
    return fail(Code::resource_exhausted, "no row number is left in this shard");
}

}  // namespace

Shard::Shard(std::unique_ptr<base::store::Store> store, bool alone, const Limits& limits,
             const base::Clock& clock)
    : store_(std::move(store)),
      alone_(alone),
      limits_(limits),
      claimer_(static_cast<std::int64_t>(base::entropy64())),
      clock_(clock),
      chance_(base::entropy64()) {}

Result<std::unique_ptr<Shard>> Shard::open(const std::string& location, const Limits& limits,
                                           const base::Clock& clock) {
    auto store = DG_TRY(base::store::Store::open(location, {}));
    const std::vector<std::string> steps = schema_steps(store->dialect());
    DG_TRY(base::store::migrate(*store, "memory", steps));
    if (store->shared()) DG_TRY(base::store::migrate(*store, "memory claims", claim_steps()));
    const bool alone = !store->shared();
    std::unique_ptr<Shard> shard(new Shard(std::move(store), alone, limits, clock));
    DG_TRY(shard->open_keys(location));
    const std::string marked = DG_TRY(shard->meta("marked"));
    RowId written = -1;
    std::from_chars(marked.data(), marked.data() + marked.size(), written);
    if (written < 0) {
        return base::fail_on(location, Code::data_loss,
                             "{} says \"{}\" of how far marks are written; restore it from a "
                             "backup",
                             location, marked);
    }
    shard->tail_.start(written);
    return shard;
}

Result<std::string> Shard::meta(std::string_view name) {
    std::string value;
    DG_TRY(store_->read([&](Tx& tx) {
        return tx.query("SELECT value FROM meta WHERE name = $1", {name}, [&](const Row& row) {
            value = row.text(0);
            return true;
        });
    }));
    return value;
}

Result<void> Shard::set_meta(std::string_view name, std::string_view value) {
    return store_->write([&](Tx& tx) -> Result<void> {
        DG_TRY(
            tx.run("INSERT INTO meta(name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE "
                   "SET value = excluded.value",
                   {name, value}));
        return {};
    });
}

// --- numbers -------------------------------------------------------------------------------------

Result<Shard::Numbers> Shard::take_numbers(Tx& tx, std::int64_t rows, std::int64_t changes) {
    Numbers numbers;
    if (alone_) {
        if (!numbers_) {
            DG_TRY(tx.query("SELECT row_id, sequence, id_time FROM counter WHERE only_row = 1", {},
                            [&](const Row& row) {
                                numbers_ = {row.integer(0), row.integer(1), row.integer(2)};
                                return true;
                            }));
            if (!numbers_) return fail(Code::data_loss, "the store has lost its counter");
        }
        // A transaction that fails leaves a gap.
        numbers_->id_time = std::max(numbers_->id_time, now());
        numbers = *numbers_;
        if (numbers.row + rows > kRowMax) return no_row_left();
        numbers_->row += rows;
        numbers_->sequence += changes;
        DG_TRY(
            tx.run("UPDATE counter SET row_id = $1, sequence = $2, id_time = $3 WHERE "
                   "only_row = 1",
                   {numbers_->row, numbers_->sequence, numbers_->id_time}));
        return numbers;
    }
    DG_TRY(
        tx.query("UPDATE counter SET row_id = row_id + $1, sequence = sequence + $2, id_time = "
                 "CASE WHEN id_time > $3 THEN id_time ELSE $3 END WHERE only_row = 1 "
                 "RETURNING row_id, sequence, id_time",
                 {rows, changes, now()}, [&](const Row& row) {
                     numbers = {row.integer(0) - rows, row.integer(1) - changes, row.integer(2)};
                     return true;
                 }));
    if (numbers.row + rows > kRowMax) return no_row_left();
    return numbers;
}

Result<std::int64_t> Shard::tenant_number(Tx& tx, std::string_view name) {
    {
        std::lock_guard lock(mutex_);
        if (const auto found = tenants_.find(std::string(name)); found != tenants_.end()) {
            return found->second;
        }
    }
    std::int64_t number = 0;
    DG_TRY(tx.query("SELECT tenant_id FROM tenant WHERE name = $1", {name}, [&](const Row& row) {
        number = row.integer(0);
        return true;
    }));
    return number;
}

Result<std::int64_t> Shard::tenant_number_or_new(Tx& tx, std::string_view name) {
    if (const std::int64_t known = DG_TRY(tenant_number(tx, name)); known != 0) return known;
    DG_TRY(tx.run("INSERT INTO tenant(name) VALUES ($1)", {name}));
    return tenant_number(tx, name);
}

void Shard::remember(std::string_view tenant, std::int64_t number) {
    constexpr std::size_t kTenantsMax = 100'000;
    std::lock_guard lock(mutex_);
    if (number == 0 || tenants_.size() >= kTenantsMax) return;
    tenants_.emplace(tenant, number);
}

void Shard::remember_model(std::string_view name, std::int64_t number, std::uint64_t changes) {
    std::lock_guard lock(mutex_);
    if (alone_ && number != 0 && changes == model_changes_) {
        model_ = {std::string(name), number};
    }
}

// --- reading -------------------------------------------------------------------------------------

Result<std::optional<StoredEntry>> Shard::load(Tx& tx, std::string_view tenant_name,
                                               std::int64_t tenant, RowId row) {
    static const std::string kSql =
        kSelectColumns + kFromEntry + " WHERE e.row_id = $1 AND e.tenant_id = $2";
    std::optional<Result<StoredEntry>> found;
    DG_TRY(tx.query(kSql, {row, tenant}, [&](const Row& columns) {
        found = read_entry(columns, tenant_name, *sealing_);
        return true;
    }));
    if (!found) return std::nullopt;
    return DG_TRY(std::move(*found));
}

Result<StoredEntry> Shard::load_any(Tx& tx, std::string_view tenant_name, const MemoryId& id) {
    const std::int64_t tenant = DG_TRY(tenant_number(tx, tenant_name));
    const std::optional<RowId> row = row_of(id);
    if (tenant == 0 || !row) return no_such(tenant_name, id);
    auto stored = DG_TRY(load(tx, tenant_name, tenant, *row));
    if (!stored || stored->entry.id != id || stored->state == RowState::wiped) {
        return no_such(tenant_name, id);
    }
    return std::move(*stored);
}

Result<StoredEntry> Shard::load_live(Tx& tx, std::string_view tenant_name, const MemoryId& id) {
    StoredEntry stored = DG_TRY(load_any(tx, tenant_name, id));
    if (stored.state != RowState::live || expired(stored.entry, now())) {
        return no_such(tenant_name, id);
    }
    return stored;
}

Result<Entry> Shard::get(std::string_view tenant, const MemoryId& id) {
    Entry entry;
    DG_TRY(store_->read([&](Tx& tx) -> Result<void> {
        entry = DG_TRY(load_live(tx, tenant, id)).entry;
        return {};
    }));
    return entry;
}

Result<void> Shard::each_row(std::string_view tenant, std::span<const RowId> rows,
                             const std::function<void(RowId, Entry&&)>& each) {
    return store_->read([&](Tx& tx) -> Result<void> {
        const std::int64_t number = DG_TRY(tenant_number(tx, tenant));
        for (const RowId row : rows) {
            auto stored = DG_TRY(load(tx, tenant, number, row));
            if (!stored || stored->state != RowState::live || expired(stored->entry, now())) {
                continue;
            }
            each(row, std::move(stored->entry));
        }
        return {};
    });
}

Result<std::vector<EntryVersion>> Shard::history(std::string_view tenant, const MemoryId& id) {
    static const std::string kSql =
        kSelectColumns +
        " FROM version e LEFT JOIN access a ON a.row_id = e.row_id AND a.tenant_id = e.tenant_id "
        "WHERE e.row_id = $1 AND e.tenant_id = $2 ORDER BY e.version DESC";
    std::vector<EntryVersion> versions;
    const auto keep = [&](StoredEntry&& stored) {
        const UnixMs recorded = stored.entry.recorded_unix_ms;
        versions.push_back(
            {std::move(stored.entry), std::move(stored.change), std::move(stored.by), recorded});
    };
    DG_TRY(store_->read([&](Tx& tx) -> Result<void> {
        StoredEntry present = DG_TRY(load_any(tx, tenant, id));
        const RowId row = present.row;
        const std::int64_t number = present.tenant;
        keep(std::move(present));
        Result<void> read;
        DG_TRY(tx.query(kSql, {row, number}, [&](const Row& columns) {
            auto stored = read_entry(columns, tenant, *sealing_);
            if (stored)
                keep(std::move(*stored));
            else
                read = std::unexpected(stored.error());
            return read.has_value();
        }));
        return read;
    }));
    return versions;
}

namespace {

constexpr std::int64_t kListAtOnce = 256;  // rows that a filter may still leave out

std::string list_sql(bool up) {
    const std::string_view beyond = up ? ">" : "<", way = up ? "ASC" : "DESC";
    return kSelectColumns + kFromEntry +
           fmt::format(
               " WHERE e.tenant_id = $1 AND e.state = 0 AND e.created >= $2 AND e.created "
               "< $3 AND (e.created, e.row_id) {} ($4, $5) AND ($6 = '' OR e.session = $6) "
               "AND ($7 = '' OR e.user_name = $7) ORDER BY e.created {}, e.row_id {} LIMIT $8",
               beyond, way, way);
}

}  // namespace

Result<Page> Shard::list(const Filter& filter, Order order, std::uint32_t limit,
                         std::string_view cursor) {
    static const std::string kUp = list_sql(true), kDown = list_sql(false);
    const Cursor after = DG_TRY(parse_cursor(cursor, order));
    const bool up = order == Order::created_ascending;
    const TimeRange& created = filter.created;
    const UnixMs from = created.from_unix_ms != 0 ? created.from_unix_ms : INT64_MIN;
    const UnixMs to = created.to_unix_ms != 0 ? created.to_unix_ms : INT64_MAX;
    Page page;
    Cursor at = after;
    const std::int64_t some = std::max(std::int64_t{limit} + 1, kListAtOnce);
    DG_TRY(store_->read([&](Tx& tx) -> Result<void> {
        const std::int64_t tenant = DG_TRY(tenant_number(tx, filter.scope.tenant));
        for (std::int64_t rows = some; rows == some && page.next.empty();) {
            rows = 0;
            Result<void> read;
            const Cursor from_here = at;
            DG_TRY(tx.query(
                up ? kUp : kDown,
                {tenant, from, to, from_here.created, from_here.row,
                 std::string_view(filter.scope.session), std::string_view(filter.scope.user), some},
                [&](const Row& columns) {
                    ++rows;
                    auto stored = read_entry(columns, filter.scope.tenant, *sealing_);
                    if (!stored) {
                        read = std::unexpected(stored.error());
                        return false;
                    }
                    const Cursor here{stored->entry.created_unix_ms, stored->row};
                    if (stored->state == RowState::live && matches(filter, stored->entry, now())) {
                        if (page.entries.size() >= limit) {
                            page.next = cursor_text(at, order);
                            return false;
                        }
                        page.entries.push_back(std::move(stored->entry));
                    }
                    at = here;
                    return true;
                }));
            DG_TRY(std::move(read));
        }
        return {};
    }));
    return page;
}

Result<Sequence> Shard::last_change(std::string_view tenant) {
    Sequence last = 0;
    DG_TRY(store_->read([&](Tx& tx) {
        return tx.query(
            "SELECT sequence FROM entry WHERE tenant_id = (SELECT tenant_id FROM tenant WHERE name "
            "= $1) ORDER BY sequence DESC LIMIT 1",
            {tenant}, [&](const Row& row) {
                last = row.integer(0);
                return true;
            });
    }));
    return last;
}

Result<void> Shard::changes(std::string_view tenant, Sequence after, std::string_view model,
                            const std::function<bool(Change&&)>& each) {
    static const std::string kSql =
        kSelectColumns + ", v.vector, v.key_id" + kFromEntry +
        " LEFT JOIN embedding v ON v.embedding_key = e.row_id * 256 + $3 AND v.tenant_id = "
        "e.tenant_id WHERE e.tenant_id = $1 AND e.sequence > $2 ORDER BY e.sequence LIMIT $4";
    static_assert(kModelsMax == 256);
    std::vector<Change> some;
    do {
        some.clear();
        DG_TRY(store_->read([&](Tx& tx) -> Result<void> {
            const std::int64_t number = DG_TRY(tenant_number(tx, tenant));
            std::int64_t model_number = 0;
            DG_TRY(tx.query("SELECT model_id FROM model WHERE name = $1", {model},
                            [&](const Row& row) {
                                model_number = row.integer(0);
                                return true;
                            }));
            Result<void> read;
            DG_TRY(tx.query(kSql, {number, after, model_number, std::int64_t{kChangesAtOnce}},
                            [&](const Row& columns) {
                                auto stored = read_entry(columns, tenant, *sealing_);
                                if (!stored) {
                                    read = std::unexpected(stored.error());
                                    return false;
                                }
                                Change change{.row = stored->row, .sequence = stored->sequence};
                                change.gone = stored->state != RowState::live ||
                                              expired(stored->entry, now());
                                change.entry = std::move(stored->entry);
                                if (!change.gone) {
                                    auto half =
                                        read_vector(embedding_key(stored->row, model_number),
                                                    columns.integer(kColumns + 3),
                                                    columns.text(kColumns + 2), *sealing_);
                                    if (!half) {
                                        read = std::unexpected(half.error());
                                        return false;
                                    }
                                    change.embedding = from_half(*half);
                                }
                                some.push_back(std::move(change));
                                return true;
                            }));
            return read;
        }));
        for (Change& change : some) {
            after = change.sequence;
            if (!each(std::move(change))) return {};
        }
    } while (some.size() == kChangesAtOnce);
    return {};
}

Result<std::vector<float>> Shard::embedding_of(Tx& tx, std::int64_t tenant, RowId row,
                                               std::int64_t model) {
    std::string kept;
    KeyId key = 0;
    DG_TRY(
        tx.query("SELECT vector, key_id FROM embedding WHERE embedding_key = $1 AND tenant_id = $2",
                 {embedding_key(row, model), tenant}, [&](const Row& columns) {
                     kept = columns.text(0);
                     key = columns.integer(1);
                     return true;
                 }));
    return from_half(DG_TRY(read_vector(embedding_key(row, model), key, kept, *sealing_)));
}

Result<void> Shard::tenants(std::vector<std::string>& out) {
    return store_->read([&](Tx& tx) {
        return tx.query("SELECT name FROM tenant ORDER BY name", {}, [&](const Row& row) {
            out.emplace_back(row.text(0));
            return true;
        });
    });
}

Result<void> Shard::stats(StoreStats& out, std::string_view passages) {
    std::uint64_t tenants_apart = 0, entries_apart = 0;
    DG_TRY(store_->read([&](Tx& tx) -> Result<void> {
        const auto count = [&](std::string_view sql, std::uint64_t& to) {
            return tx.query(sql, {}, [&](const Row& row) {
                to += static_cast<std::uint64_t>(row.integer(0));
                return true;
            });
        };
        if (!passages.empty()) {
            // All of those tenants, by their entries in order.
            const std::string ending = fmt::format("%{}", passages);
            DG_TRY(tx.query(
                "SELECT count(*), CAST(COALESCE(sum((SELECT count(*) FROM entry e WHERE "
                "e.tenant_id = "
                "t.tenant_id AND e.state = 0)), 0) AS BIGINT) FROM tenant t WHERE t.name LIKE $1",
                {std::string_view(ending)}, [&](const Row& row) {
                    tenants_apart = static_cast<std::uint64_t>(row.integer(0));
                    entries_apart = static_cast<std::uint64_t>(row.integer(1));
                    return true;
                }));
        }
        if (sealing_->seals() && !sealing_->all()) {
            std::uint64_t plain = 0;
            DG_TRY(count("SELECT count(*) FROM entry WHERE key_id = 0 AND state <> 3", plain));
            out.plain += std::max<std::uint64_t>(plain, 1);
        }
        DG_TRY(count("SELECT count(*) FROM tenant", out.tenants));
        DG_TRY(count("SELECT count(*) FROM entry WHERE state = 0", out.entries));
        DG_TRY(count("SELECT count(*) FROM entry WHERE state = 1 OR state = 2", out.removed));
        DG_TRY(count("SELECT count(*) FROM version", out.versions));
        return count("SELECT count(*) FROM unembedded", out.embeddings_pending);
    }));
    out.tenants -= tenants_apart;
    out.entries -= entries_apart;
    out.passages += entries_apart;
    if (sealing_->keys() != nullptr) out.keys += DG_TRY(sealing_->keys()->count());
    out.truth_bytes += store_->bytes();
    return {};
}

}  // namespace memory::truth
