// What runs in the background: counters, embeddings, expiry.
#include <algorithm>

#include "memory/truth/half.h"
#include "memory/truth/memory_id.h"
#include "memory/truth/shard.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::store::Row;

constexpr std::int64_t kSweepAtOnce = 1'000;  // rows of one transaction: others write in between
constexpr std::int64_t kClaimMs = 60'000;     // then whoever took a batch is thought gone
constexpr std::int64_t kDayMs = 24ll * 3600 * 1000;

}  // namespace

Result<void> Shard::flush(
    const std::map<std::string, std::unordered_map<MemoryId, Touches>>& touches) {
    return store_->write([&](Tx& tx) -> Result<void> {
        for (const auto& [name, entries] : touches) {
            const std::int64_t tenant = DG_TRY(tenant_number(tx, name));
            for (const auto& [id, touched] : entries) {
                const std::optional<RowId> row = row_of(id);
                if (tenant == 0 || !row) continue;
                DG_TRY(tx.run(
                    "INSERT INTO access(row_id, tenant_id, access_count, accessed) SELECT row_id, "
                    "tenant_id, $4, $5 FROM entry WHERE row_id = $1 AND tenant_id = $2 AND id = $3 "
                    "AND state = 0 ON CONFLICT (row_id) DO UPDATE SET access_count = "
                    "access.access_count + excluded.access_count, accessed = CASE WHEN "
                    "access.accessed > excluded.accessed THEN access.accessed ELSE "
                    "excluded.accessed END",
                    {*row, tenant, std::string_view(id), static_cast<std::int64_t>(touched.count),
                     touched.at}));
            }
        }
        return {};
    });
}

// --- embeddings ----------------------------------------------------------------------------------

Result<std::int64_t> Shard::model_number_or_new(Tx& tx, std::string_view name) {
    std::int64_t number = 0;
    const auto look = [&] {
        return tx.query("SELECT model_id FROM model WHERE name = $1", {name}, [&](const Row& row) {
            number = row.integer(0);
            return true;
        });
    };
    DG_TRY(look());
    if (number == 0) {
        DG_TRY(tx.run("INSERT INTO model(name) VALUES ($1)", {name}));
        DG_TRY(look());
    }
    if (number < kModelsMax) return number;
    return fail(Code::resource_exhausted, "{} embedding models were used; no more are kept apart",
                kModelsMax - 1);
}

Result<std::int64_t> Shard::wanted_model(Tx& tx) {
    std::int64_t number = 0;
    DG_TRY(
        tx.query("SELECT m.model_id FROM meta k JOIN model m ON m.name = k.value WHERE k.name = "
                 "'model'",
                 {}, [&](const Row& row) {
                     number = row.integer(0);
                     return true;
                 }));
    return number;
}

Result<std::int64_t> Shard::want_model(Tx& tx, std::string_view model) {
    if (model.empty()) return 0;
    {
        std::lock_guard lock(mutex_);
        if (model_.first == model) return model_.second;
    }
    std::int64_t number = 0;
    bool wanted = false;
    DG_TRY(
        tx.query("SELECT m.model_id, k.value = m.name FROM model m LEFT JOIN meta k ON k.name = "
                 "'model' AND k.value = m.name WHERE m.name = $1",
                 {model}, [&](const Row& row) {
                     number = row.integer(0);
                     wanted = !row.null(1);
                     return true;
                 }));
    if (wanted) return number;
    // Another one from now on: what has none of it is to be embedded; the old ones stay.
    {
        std::lock_guard lock(mutex_);
        model_ = {};
        ++model_changes_;
    }
    number = DG_TRY(model_number_or_new(tx, model));
    DG_TRY(
        tx.run("INSERT INTO meta(name, value) VALUES ('model', $1) ON CONFLICT (name) DO UPDATE "
               "SET value = excluded.value",
               {model}));
    DG_TRY(tx.run("DELETE FROM unembedded"));
    DG_TRY(
        tx.run("INSERT INTO unembedded(row_id, tenant_id) SELECT e.row_id, e.tenant_id FROM "
               "entry e WHERE e.state = 0 AND NOT EXISTS (SELECT 1 FROM embedding v WHERE "
               "v.embedding_key = e.row_id * 256 + $1 AND v.tenant_id = e.tenant_id)",
               {number}));
    return number;
}

Result<void> Shard::forget_embeddings(Tx& tx, std::int64_t tenant, RowId row) {
    DG_TRY(
        tx.run("DELETE FROM embedding WHERE embedding_key >= $1 AND embedding_key < $2 AND "
               "tenant_id = $3",
               {embedding_key(row, 0), embedding_key(row + 1, 0), tenant}));
    return {};
}

Result<void> Shard::want_embedding(Tx& tx, std::int64_t tenant, RowId row) {
    DG_TRY(
        tx.run("INSERT INTO unembedded(row_id, tenant_id) VALUES ($1, $2) ON CONFLICT (row_id) "
               "DO NOTHING",
               {row, tenant}));
    return {};
}

Result<void> Shard::want_model_now(std::string_view model) {
    bool wanted = false;
    DG_TRY(store_->read([&](Tx& tx) {
        return tx.query("SELECT 1 FROM meta WHERE name = 'model' AND value = $1", {model},
                        [&](const Row&) { return wanted = true; });
    }));
    if (wanted) return {};
    return store_->write([&](Tx& tx) -> Result<void> {
        DG_TRY(want_model(tx, model));
        return {};
    });
}

namespace {

/// Without those that somebody claims, where that may be.
std::string unembedded_sql(bool claims) {
    return fmt::format(
        "{}, t.name FROM unembedded u JOIN entry e ON e.row_id = u.row_id AND e.tenant_id = "
        "u.tenant_id JOIN tenant t ON t.tenant_id = e.tenant_id LEFT JOIN access a ON a.row_id = "
        "e.row_id AND a.tenant_id = e.tenant_id WHERE e.state = 0{} ORDER BY u.row_id LIMIT $1",
        kSelectColumns,
        claims ? " AND NOT EXISTS (SELECT 1 FROM embedding_claim c WHERE c.row_id = u.row_id)"
               : "");
}

Result<void> read_unembedded(base::store::Transaction& tx, std::string_view sql,
                             std::uint32_t limit, const Sealing& sealing,
                             std::vector<Truth::Unembedded>& out) {
    Result<void> done;
    DG_TRY(tx.query(sql, {std::int64_t{limit}}, [&](const Row& row) {
        auto stored = read_entry(row, row.text(kColumns + 2), sealing);
        if (!stored) {
            done = std::unexpected(stored.error());
            return false;
        }
        if (stored->state != RowState::live) return true;  // its key was erased
        const Entry& entry = stored->entry;
        out.push_back(
            {.tenant = entry.scope.tenant,
             .row = stored->row,
             .version = entry.version,
             .text = entry.speaker.empty() ? entry.content : entry.speaker + ": " + entry.content});
        return true;
    }));
    return done;
}

}  // namespace

Result<void> Shard::unembedded(std::string_view model, std::uint32_t limit,
                               std::vector<Truth::Unembedded>& out) {
    DG_TRY(want_model_now(model));
    if (!store_->shared()) {
        static const std::string kAll = unembedded_sql(false);
        return store_->read(
            [&](Tx& tx) { return read_unembedded(tx, kAll, limit, *sealing_, out); });
    }
    if (DG_TRY(embeddings_pending()) == 0) return {};
    claimed_ = true;
    std::vector<Truth::Unembedded> claimed;
    DG_TRY(store_->write([&](Tx& tx) {
        claimed.clear();
        return claim(tx, limit, claimed);
    }));
    out.insert(out.end(), std::make_move_iterator(claimed.begin()),
               std::make_move_iterator(claimed.end()));
    return {};
}

Shard::~Shard() {
    if (!claimed_) return;
    // Where that fails, others wait for a minute.
    static_cast<void>(store_->write([&](Tx& tx) -> Result<void> {
        DG_TRY(tx.run("DELETE FROM embedding_claim WHERE claimer = $1", {claimer_}));
        return {};
    }));
}

Result<void> Shard::claim(Tx& tx, std::uint32_t limit, std::vector<Truth::Unembedded>& out) {
    static const std::string kFree = unembedded_sql(true);
    DG_TRY(tx.run("DELETE FROM embedding_claim WHERE claimer = $1 OR claimed_until <= $2",
                  {claimer_, now()}));
    DG_TRY(read_unembedded(tx, kFree, limit, *sealing_, out));
    for (const Truth::Unembedded& one : out) {
        DG_TRY(
            tx.run("INSERT INTO embedding_claim(row_id, claimer, claimed_until) VALUES ($1, $2, "
                   "$3)",
                   {one.row, claimer_, now() + kClaimMs}));
    }
    return {};
}

Result<std::uint64_t> Shard::embeddings_pending() {
    std::int64_t pending = 0;
    DG_TRY(store_->read([&](Tx& tx) {
        return tx.query("SELECT count(*) FROM unembedded", {}, [&](const Row& row) {
            pending = row.integer(0);
            return true;
        });
    }));
    return static_cast<std::uint64_t>(pending);
}

Result<void> Shard::set_embeddings(std::string_view model,
                                   std::span<const Truth::Unembedded* const> rows,
                                   std::span<const std::span<const float>> vectors,
                                   std::vector<Change>& out) {
    std::vector<Change> changes;
    DG_TRY(store_->write([&](Tx& tx) -> Result<void> {
        changes.clear();
        const std::int64_t number = DG_TRY(want_model(tx, model));
        Numbers numbers = DG_TRY(take_numbers(tx, 0, static_cast<std::int64_t>(rows.size())));
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const Truth::Unembedded& one = *rows[i];
            const std::int64_t tenant = DG_TRY(tenant_number(tx, one.tenant));
            const std::int64_t found = DG_TRY(
                tx.run("UPDATE entry SET sequence = $4 WHERE row_id = $1 AND tenant_id = $2 AND "
                       "version = $3 AND state = 0",
                       {one.row, tenant, std::int64_t{one.version}, ++numbers.sequence}));
            if (found == 0) continue;
            const std::string half = to_half(vectors[i]);
            DG_TRY(tx.run("DELETE FROM unembedded WHERE row_id = $1 AND tenant_id = $2",
                          {one.row, tenant}));
            auto stored = DG_TRY(load(tx, one.tenant, tenant, one.row));
            if (stored->state != RowState::live) continue;  // its key was erased meanwhile
            DG_TRY(write_vector(tx, embedding_key(one.row, number), tenant, stored->key, half,
                                *sealing_));
            changes.push_back({.row = one.row,
                               .sequence = numbers.sequence,
                               .entry = std::move(stored->entry),
                               .embedding = from_half(half)});
        }
        return {};
    }));
    std::move(changes.begin(), changes.end(), std::back_inserter(out));
    return {};
}

// --- expiry --------------------------------------------------------------------------------------

Result<void> Shard::sweep(UnixMs now, std::vector<Change>& out) {
    for (bool more = true; more;) {
        std::vector<Change> some;
        DG_TRY(store_->write([&](Tx& tx) {
            some.clear();
            return expire(tx, now, some, more);
        }));
        std::move(some.begin(), some.end(), std::back_inserter(out));
    }
    const UnixMs before = now - limits_.versions_keep_ms;
    for (bool more = true; more;) {
        DG_TRY(store_->write([&](Tx& tx) { return wipe(tx, before, more); }));
    }
    return store_->write([&](Tx& tx) -> Result<void> {
        DG_TRY(tx.run("DELETE FROM idempotency WHERE written <= $1", {now - kDayMs}));
        DG_TRY(tx.run("DELETE FROM version WHERE superseded < $1", {before}));
        return {};
    });
}

Result<void> Shard::expire(Tx& tx, UnixMs now, std::vector<Change>& out, bool& more) {
    struct Due {
        RowId row;
        std::int64_t tenant;
        std::string name;
    };
    std::vector<Due> due;
    DG_TRY(
        tx.query("SELECT e.row_id, e.tenant_id, t.name FROM entry e JOIN tenant t ON t.tenant_id "
                 "= e.tenant_id WHERE e.state = 0 AND e.expires > 0 AND e.expires <= $1 AND "
                 "e.pinned = 0 ORDER BY e.expires, e.row_id LIMIT $2",
                 {now, kSweepAtOnce}, [&](const Row& row) {
                     due.push_back({row.integer(0), row.integer(1), std::string(row.text(2))});
                     return true;
                 }));
    more = static_cast<std::int64_t>(due.size()) == kSweepAtOnce;
    if (due.empty()) return {};
    Numbers numbers = DG_TRY(take_numbers(tx, 0, static_cast<std::int64_t>(due.size())));
    for (const Due& one : due) {
        auto stored = DG_TRY(load(tx, one.name, one.tenant, one.row));
        if (stored->state != RowState::live) {  // its key was erased: it is gone already
            DG_TRY(tx.run("UPDATE entry SET expires = 0 WHERE row_id = $1 AND tenant_id = $2",
                          {one.row, one.tenant}));
            continue;
        }
        DG_TRY(erase_marks(tx, *stored));
        DG_TRY(tx.run("DELETE FROM unembedded WHERE row_id = $1 AND tenant_id = $2",
                      {one.row, one.tenant}));
        stored->state = RowState::expired;
        ++numbers.sequence;
        DG_TRY(replace(tx, *stored, "removed", "expiry", numbers));
        out.push_back({.row = one.row,
                       .sequence = stored->sequence,
                       .gone = true,
                       .entry = std::move(stored->entry)});
    }
    return {};
}

Result<void> Shard::wipe(Tx& tx, UnixMs before, bool& more) {
    std::vector<std::pair<RowId, std::int64_t>> gone;
    DG_TRY(
        tx.query("SELECT row_id, tenant_id FROM entry WHERE (state = 1 OR state = 2) AND "
                 "recorded < $1 ORDER BY recorded LIMIT $2",
                 {before, kSweepAtOnce}, [&](const Row& row) {
                     gone.emplace_back(row.integer(0), row.integer(1));
                     return true;
                 }));
    more = static_cast<std::int64_t>(gone.size()) == kSweepAtOnce;
    for (const auto& [row, tenant] : gone) {
        DG_TRY(tx.run(
            "UPDATE entry SET state = 3, user_name = '', agent = '', session = '', run = "
            "'', content = '', speaker = '', media_uri = '', metadata = '', sources = '', "
            "changed_by = '', key_id = 0, sealed = NULL WHERE row_id = $1 AND tenant_id = $2",
            {row, tenant}));
        DG_TRY(tx.run("DELETE FROM version WHERE row_id = $1 AND tenant_id = $2", {row, tenant}));
        DG_TRY(tx.run("DELETE FROM access WHERE row_id = $1 AND tenant_id = $2", {row, tenant}));
        DG_TRY(forget_embeddings(tx, tenant, row));
    }
    return {};
}

}  // namespace memory::truth
