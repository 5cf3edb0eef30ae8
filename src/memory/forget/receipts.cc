#include "memory/forget/receipts.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/json/json.h"
#include "memory/facts/fact_rows.h"

namespace memory::forget {
namespace {

namespace json = base::json;
using base::Result;
using base::store::Row;
using base::store::Transaction;

constexpr std::string_view kColumns =
    "tenant, id, asked_by, kind, asked, salt, requested, hidden, deadline, done, counts, ids_hash, "
    "scan, error, unreadable";

std::string counts_text(const Counts& counts) {
    json::object out;
    for (const auto& [kind, count] : counts) out[kind] = count;
    return base::to_text(out);
}
std::string scan_text(const Scan& scan) {
    return base::to_text(json::array{scan.files, scan.bytes, scan.needles, scan.hits, scan.shared,
                                     scan.rows_left, scan.unscanned});
}

Receipt read_receipt(const Row& row) {
    Receipt out;
    const auto text = [&](int column) { return std::string(row.text(column)); };
    out.id = text(1);
    out.by = text(2);
    out.kind = text(3);
    out.asked_sha256 = text(4);
    out.salt = text(5);
    out.requested_unix_ms = row.integer(6);
    out.hidden_unix_ms = row.integer(7);
    out.deadline_unix_ms = row.integer(8);
    out.done_unix_ms = row.integer(9);
    if (const auto counts = base::parse_json(row.text(10)); counts && counts->is_object()) {
        for (const auto& field : counts->get_object()) {
            out.counts[std::string(field.key())] = field.value().to_number<std::uint64_t>();
        }
    }
    out.ids_sha256 = text(11);
    if (const auto scan = base::parse_json(row.text(12)); scan && scan->is_array()) {
        std::uint64_t* const fields[] = {&out.scan.files,    &out.scan.bytes,  &out.scan.needles,
                                         &out.scan.hits,     &out.scan.shared, &out.scan.rows_left,
                                         &out.scan.unscanned};
        for (std::size_t i = 0; i < std::size(fields) && i < scan->get_array().size(); ++i) {
            *fields[i] = scan->get_array()[i].to_number<std::uint64_t>();
        }
    }
    out.error = text(13);
    out.unreadable_unix_ms = row.integer(14);
    out.progress = out.done_unix_ms != 0 ? 1 : 0;
    return out;
}

/// What names the ids of `rows`, while the rows still have them. Gives the number of idempotency
/// keys.
Result<std::uint64_t> erase_links(Transaction& tx, std::string_view tenant, std::int64_t number,
                                  const truth::RowSet& rows) {
    const std::string ids =
        fmt::format("(SELECT e.id FROM ({}) f JOIN entry e ON e.row_id = f.row_id)", rows.select);
    const auto of_key = static_cast<std::uint64_t>(
        DG_TRY(tx.run(fmt::format("DELETE FROM idempotency WHERE tenant_id = $2 AND id IN {}", ids),
                      {rows.key, number})));
    for (const char* table_and_column :
         {"fact_source WHERE tenant = $2 AND source", "fact_reading WHERE tenant = $2 AND source",
          "compression_entry WHERE tenant = $2 AND memory",
          // Checkpoints of memories that came after they were looked for.
          "task_checkpoint WHERE tenant = $2 AND memory"}) {
        DG_TRY(
            tx.run(fmt::format("DELETE FROM {} IN {}", table_and_column, ids), {rows.key, tenant}));
    }
    DG_TRY(
        tx.run("DELETE FROM compression WHERE tenant = $1 AND NOT EXISTS (SELECT 1 FROM "
               "compression_entry e WHERE e.tenant = compression.tenant AND e.compression = "
               "compression.id)",
               {tenant}));
    return of_key;
}

}  // namespace

std::vector<std::string> schema_steps(const base::store::Dialect& dialect) {
    const std::string keyed(dialect.keyed_table);
    return {
        "CREATE TABLE forget_receipt (tenant TEXT NOT NULL, id TEXT NOT NULL, asked_by TEXT NOT "
        "NULL, kind TEXT NOT NULL, asked TEXT NOT NULL, salt TEXT NOT NULL, requested BIGINT NOT "
        "NULL, hidden BIGINT NOT NULL, deadline BIGINT NOT NULL, done BIGINT NOT NULL, counts TEXT "
        "NOT NULL, ids_hash TEXT NOT NULL, scan TEXT NOT NULL, error TEXT NOT NULL, PRIMARY KEY "
        "(tenant, id))",
        "CREATE INDEX forget_receipt_open ON forget_receipt(requested) WHERE done = 0",
        "CREATE TABLE forget_row (forget TEXT NOT NULL, row_id BIGINT NOT NULL, tenant_id BIGINT "
        "NOT NULL, PRIMARY KEY (forget, row_id))" +
            keyed,
        "CREATE TABLE forget_needle (forget TEXT NOT NULL, needle BIGINT NOT NULL, PRIMARY KEY "
        "(forget, needle))" +
            keyed,
        "ALTER TABLE forget_receipt ADD COLUMN unreadable BIGINT NOT NULL DEFAULT 0",
        "CREATE TABLE forget_key (forget TEXT NOT NULL, key_id BIGINT NOT NULL, tenant_id BIGINT "
        "NOT NULL, PRIMARY KEY (forget, key_id))" +
            keyed};
}

Result<void> write_receipt(Transaction& tx, std::string_view tenant, const Receipt& receipt) {
    const std::string counts = counts_text(receipt.counts), scan = scan_text(receipt.scan);
    DG_TRY(
        tx.run("DELETE FROM forget_receipt WHERE tenant = $1 AND id = $2", {tenant, receipt.id}));
    DG_TRY(tx.run("INSERT INTO forget_receipt(" + std::string(kColumns) +
                      ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
                  {tenant, receipt.id, receipt.by, receipt.kind, receipt.asked_sha256, receipt.salt,
                   receipt.requested_unix_ms, receipt.hidden_unix_ms, receipt.deadline_unix_ms,
                   receipt.done_unix_ms, counts, receipt.ids_sha256, scan, receipt.error,
                   receipt.unreadable_unix_ms}));
    return {};
}

Result<std::vector<Receipt>> read_receipts(Transaction& tx, std::string_view tenant,
                                           std::string_view id, std::uint32_t limit) {
    std::vector<Receipt> out;
    DG_TRY(tx.query("SELECT " + std::string(kColumns) +
                        " FROM forget_receipt WHERE tenant = $1 AND ($2 = '' OR id = $2) ORDER BY "
                        "id DESC LIMIT $3",
                    {tenant, id, std::int64_t{limit}}, [&](const Row& row) {
                        out.push_back(read_receipt(row));
                        return true;
                    }));
    return out;
}

Result<void> read_rows(Transaction& tx, Open& open) {
    open.rows.clear();
    return tx.query("SELECT row_id, tenant_id FROM forget_row WHERE forget = $1 ORDER BY row_id",
                    {open.receipt.id}, [&](const Row& row) {
                        open.rows.push_back(row.integer(0));
                        open.tenant_number = row.integer(1);
                        return true;
                    });
}

Result<std::vector<Open>> read_open(Transaction& tx) {
    std::vector<Open> out;
    DG_TRY(tx.query("SELECT " + std::string(kColumns) +
                        " FROM forget_receipt WHERE done = 0 ORDER BY requested, id",
                    {}, [&](const Row& row) {
                        out.push_back({std::string(row.text(0)), read_receipt(row), 0, {}, {}, {}});
                        return true;
                    }));
    for (Open& open : out) {
        DG_TRY(tx.query("SELECT key_id, tenant_id FROM forget_key WHERE forget = $1",
                        {open.receipt.id}, [&](const Row& row) {
                            open.keys.push_back(row.integer(0));
                            open.tenant_number = row.integer(1);
                            return true;
                        }));
        DG_TRY(read_rows(tx, open));
        DG_TRY(tx.query("SELECT needle FROM forget_needle WHERE forget = $1", {open.receipt.id},
                        [&](const Row& row) {
                            open.needles.push_back(row.integer(0));
                            return true;
                        }));
    }
    return out;
}

Result<void> hide(truth::Truth& truth, Transaction& tx, std::string_view tenant,
                  const Belongings& belongings, Receipt& receipt,
                  std::vector<truth::Change>& changes) {
    std::vector<truth::Gone> gone;
    std::vector<Needle> needles = belongings.needles();
    std::uint64_t marks = 0;
    for (const auto& [row, kept] : belongings.rows()) {
        DG_TRY(tx.run("INSERT INTO forget_row(forget, row_id, tenant_id) VALUES ($1, $2, $3)",
                      {receipt.id, row, belongings.tenant()}));
        needles.insert(needles.end(), kept.needles.begin(), kept.needles.end());
        if (row >= truth::kSessionRow) continue;  // in another truth
        gone.push_back({row, kept.marks});
        marks += kept.marks.size();
    }
    std::ranges::sort(needles);  // as they lie on the disk
    const auto same = std::ranges::unique(needles);
    needles.erase(same.begin(), same.end());
    for (const Needle needle : needles) {
        DG_TRY(tx.run("INSERT INTO forget_needle(forget, needle) VALUES ($1, $2)",
                      {receipt.id, needle}));
    }
    if (!gone.empty()) {
        receipt.counts["idempotency_keys"] =
            DG_TRY(erase_links(tx, tenant, belongings.tenant(), rows_of(receipt.id)));
    }
    for (const std::string& source : belongings.sources()) {
        DG_TRY(
            tx.run("DELETE FROM fact_source WHERE tenant = $1 AND source = $2", {tenant, source}));
    }
    for (const auto& checkpoint : belongings.checkpoints()) {
        DG_TRY(tx.run("DELETE FROM task_checkpoint WHERE tenant = $1 AND task = $2 AND number = $3",
                      {tenant, checkpoint.task, checkpoint.number}));
    }
    for (const auto& block : belongings.blocks()) {
        for (const char* table : {"profile_block", "profile_version"}) {
            DG_TRY(tx.run(fmt::format("DELETE FROM {} WHERE tenant = $1 AND user_name = $2 AND "
                                      "agent = $3 AND name = $4",
                                      table),
                          {tenant, block.user, block.agent, block.name}));
        }
    }
    for (const std::string& id : belongings.facts()) DG_TRY(facts::erase_fact(tx, tenant, id));
    for (const std::string& alias : belongings.aliases()) {
        DG_TRY(facts::erase_alias(tx, tenant, alias));
    }
    std::vector<truth::RowId> rows;
    for (const truth::Gone& one : gone) rows.push_back(one.row);
    truth.doubt_marks(tenant, rows);
    const truth::Sequence sequence =
        DG_TRY(truth.take_sequences(tx, tenant, static_cast<std::int64_t>(rows.size())));
    DG_TRY(truth::blank_rows(tx, tenant, belongings.tenant(), sequence, rows_of(receipt.id), gone,
                             changes));
    for (const auto& [kind, count] : belongings.counts()) receipt.counts[kind] = count;
    receipt.counts["marks"] = marks;
    receipt.ids_sha256 = belongings.ids_sha256();
    return write_receipt(tx, tenant, receipt);
}

Result<void> write_keys(Transaction& tx, const ForgetId& id, std::int64_t tenant,
                        std::span<const truth::SubjectKeys::Wrapped> keys) {
    for (const auto& key : keys) {
        DG_TRY(
            tx.run("INSERT INTO forget_key(forget, key_id, tenant_id) VALUES ($1, $2, $3) "
                   "ON CONFLICT (forget, key_id) DO NOTHING",
                   {id, key.id, tenant}));
        if (const auto needle = needle_of(key.bytes)) {
            DG_TRY(
                tx.run("INSERT INTO forget_needle(forget, needle) VALUES ($1, $2) ON CONFLICT "
                       "(forget, needle) DO NOTHING",
                       {id, *needle}));
        }
    }
    return {};
}

Result<std::uint64_t> blank_keyed(truth::Truth& truth, Transaction& tx, const Open& open,
                                  std::uint32_t count, std::vector<truth::Change>& changes) {
    std::vector<truth::Gone> gone;
    std::vector<truth::RowId> rows;
    for (const truth::KeyId key : open.keys) {
        if (rows.size() >= count) break;
        DG_TRY(
            tx.query("SELECT row_id FROM entry WHERE key_id = $1 AND key_id <> 0 AND tenant_id = "
                     "$2 ORDER BY row_id LIMIT $3",
                     {key, open.tenant_number, static_cast<std::int64_t>(count - rows.size())},
                     [&](const Row& row) {
                         rows.push_back(row.integer(0));
                         return true;
                     }));
    }
    if (rows.empty()) return 0;
    std::ranges::sort(rows);
    for (const truth::RowId row : rows) {
        DG_TRY(tx.run("INSERT INTO forget_row(forget, row_id, tenant_id) VALUES ($1, $2, $3)",
                      {open.receipt.id, row, open.tenant_number}));
        gone.push_back({row, {}});
    }
    const std::string select = fmt::format(
        "SELECT f.row_id FROM forget_row f JOIN entry k ON k.row_id = f.row_id AND k.key_id <> 0 "
        "WHERE f.forget = $1 AND f.row_id >= {} AND f.row_id <= {}",
        rows.front(), rows.back());
    const truth::RowSet these{select, open.receipt.id};
    DG_TRY(erase_links(tx, open.tenant, open.tenant_number, these));
    truth.doubt_marks(open.tenant, rows);
    const truth::Sequence sequence =
        DG_TRY(truth.take_sequences(tx, open.tenant, static_cast<std::int64_t>(rows.size())));
    DG_TRY(truth::blank_rows(tx, open.tenant, open.tenant_number, sequence, these, gone, changes));
    return rows.size();
}

truth::RowSet rows_of(const ForgetId& id) {
    return {"SELECT row_id FROM forget_row WHERE forget = $1", id};
}

Result<void> clear_work(Transaction& tx, std::string_view id) {
    DG_TRY(tx.run("DELETE FROM forget_row WHERE forget = $1", {id}));
    DG_TRY(tx.run("DELETE FROM forget_needle WHERE forget = $1", {id}));
    DG_TRY(tx.run("DELETE FROM forget_key WHERE forget = $1", {id}));
    return {};
}

}  // namespace memory::forget
