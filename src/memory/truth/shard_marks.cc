// Marks in the store, and those that follow later (mark_tail.h).
#include <algorithm>
#include <functional>
#include <set>

#include "memory/truth/memory_id.h"
#include "memory/truth/shard.h"
#include "memory/truth/similar.h"

namespace memory::truth {
namespace {

using base::Result;
using base::store::Row;

constexpr std::size_t kCandidatesMax = 8;    // with all words in common, and again with a band
constexpr std::size_t kMarksAtOnce = 2'048;  // of one transaction: others write in between

}  // namespace

Result<std::vector<RowId>> Shard::candidates(Tx& tx, std::int64_t tenant,
                                             std::span<const std::int64_t> marks) {
    std::vector<RowId> rows;
    const auto keep = [&](const Row& row) {
        const RowId found = row.integer(0);
        if (std::find(rows.begin(), rows.end(), found) == rows.end()) rows.push_back(found);
        return true;
    };
    // A statement for each: of a list of marks the database would make a table first.
    for (std::size_t i = 0; i < marks.size(); ++i) {
        const std::size_t most = i == 0 ? kCandidatesMax : 2 * kCandidatesMax;
        if (rows.size() >= most) continue;
        DG_TRY(tx.query(
            "SELECT row_id FROM mark WHERE tenant_id = $1 AND mark = $2 ORDER BY row_id LIMIT $3",
            {tenant, marks[i], static_cast<std::int64_t>(most - rows.size())}, keep));
        tail_.find(marks[i], most, rows);
    }
    return rows;
}

Result<void> Shard::write_marks(Tx& tx, std::int64_t tenant, RowId row,
                                std::span<const std::int64_t> marks) {
    for (const std::int64_t mark : marks) {
        DG_TRY(
            tx.run("INSERT INTO mark(tenant_id, mark, row_id) VALUES ($1, $2, $3) ON CONFLICT "
                   "(tenant_id, mark, row_id) DO NOTHING",
                   {tenant, mark, row}));
    }
    return {};
}

Result<void> Shard::erase_marks(Tx& tx, const StoredEntry& stored) {
    tail_.doubt(stored.row);
    for (const std::int64_t mark : DG_TRY(kept_marks(stored))) {
        DG_TRY(tx.run("DELETE FROM mark WHERE tenant_id = $1 AND mark = $2 AND row_id = $3",
                      {stored.tenant, mark, stored.row}));
    }
    return {};
}

Result<std::vector<std::int64_t>> Shard::kept_marks(const StoredEntry& stored) const {
    const Entry& entry = stored.entry;
    return sealing_->marks(stored.key, marks_of(entry.scope, entry.type, entry.content,
                                                entry.speaker, entry.created_unix_ms));
}

Result<void> Shard::each_marks(
    Tx& tx, RowId from, RowId to,
    const std::function<void(std::int64_t, RowId, std::span<const std::int64_t>)>& each) {
    static const std::string kSql =
        kSelectColumns + ", t.name" + kFromEntry +
        " JOIN tenant t ON t.tenant_id = e.tenant_id WHERE e.row_id >= $1 AND e.row_id <= $2 AND "
        "e.state = 0 ORDER BY e.row_id";
    Result<void> done;
    DG_TRY(tx.query(kSql, {from, to}, [&](const Row& row) {
        const auto read_one = [&]() -> Result<void> {
            const StoredEntry stored = DG_TRY(read_entry(row, row.text(kColumns + 2), *sealing_));
            if (stored.state == RowState::live) {
                each(stored.tenant, stored.row, DG_TRY(kept_marks(stored)));
            }
            return {};
        };
        done = read_one();
        return done.has_value();
    }));
    return done;
}

Result<void> Shard::need_tail() {
    if (!alone_ || tail_made_.load(std::memory_order_acquire)) return {};
    std::lock_guard lock(settling_);
    if (tail_made_) return {};
    DG_TRY(store_->read([&](Tx& tx) {
        return each_marks(tx, tail_.written() + 1, kRowMax,
                          [&](std::int64_t tenant, RowId row, auto marks) {
                              tail_.add(tenant, row, marks);
                              tail_.confirm(row);
                          });
    }));
    tail_made_.store(true, std::memory_order_release);
    return {};
}

Result<void> Shard::settle_marks() {
    std::lock_guard lock(settling_);
    const MarkTail::Batch batch = tail_.batch();
    for (std::size_t begin = 0; begin < batch.marks.size(); begin += kMarksAtOnce) {
        const std::size_t end = std::min(batch.marks.size(), begin + kMarksAtOnce);
        DG_TRY(store_->write([&](Tx& tx) -> Result<void> {
            std::set<RowId> doubted;
            for (std::size_t i = begin; i < end; ++i) {
                const MarkTail::Mark& mark = batch.marks[i];
                if (tail_.doubted(mark.row)) {
                    doubted.insert(mark.row);
                } else {
                    DG_TRY(write_marks(tx, mark.tenant, mark.row, {&mark.mark, 1}));
                }
            }
            for (const RowId row : doubted) {
                Result<void> wrote;
                DG_TRY(each_marks(tx, row, row, [&](std::int64_t tenant, RowId, auto marks) {
                    wrote = write_marks(tx, tenant, row, marks);
                }));
                DG_TRY(wrote);
            }
            if (end < batch.marks.size()) return {};
            const std::string through = std::to_string(batch.through);
            DG_TRY(tx.run("UPDATE meta SET value = $1 WHERE name = 'marked'",
                          {std::string_view(through)}));
            return {};
        }));
    }
    if (!batch.marks.empty()) tail_.drop(batch.through);
    return {};
}

}  // namespace memory::truth
