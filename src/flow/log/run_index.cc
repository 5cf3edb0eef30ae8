#include "flow/log/run_index.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fstream>

#include "base/files/files.h"
#include "base/files/unique_fd.h"
#include "base/json/json.h"
#include "flow/log/head_row.h"
#include "flow/log/status_number.h"

namespace flow {

using base::Code;
using base::Result;
using base::store::Blob;
using base::store::Parameter;
using base::store::Row;
using base::store::Transaction;
namespace json = base::json;

namespace {

constexpr std::string_view kColumns =
    "id, tenant, workflow, version, hash, key, status, started, updated, finished, due, calls, "
    "parent, labels, error, waiting, totals, last";

IndexRow row_of(const Row& row) {
    return {.head = head_of(row),
            .last = static_cast<std::uint64_t>(row.integer(17)),
            .whole_head = true};
}

Result<void> run(Transaction& tx, std::string_view sql,
                 std::initializer_list<Parameter> parameters) {
    DG_TRY(tx.run(sql, parameters));
    return {};
}

Result<void> put(Transaction& tx, const IndexRow& row) {
    const RunHead& head = row.head;
    const std::string id = id_bytes(head.id);
    const std::string waiting = joined(head.waiting), totals = totals_text(head);
    if (!row.whole_head) {
        return run(
            tx,
            "UPDATE runs SET status = $2, updated = $3, finished = $4, due = $5, calls = $6, "
            "error = $7, waiting = $8, totals = CASE totals WHEN '' THEN $9 ELSE "
            "json_patch(totals, $9) END, last = $10 WHERE id = $1",
            {Blob{id}, static_cast<std::int64_t>(head.status), head.updated_ms, head.finished_ms,
             head.due_ms, std::int64_t{head.calls_out}, head.error, waiting, totals,
             static_cast<std::int64_t>(row.last)});
    }
    const std::string parent = head.parent ? id_bytes(*head.parent) : std::string();
    const std::string labels = head.labels.is_null() ? std::string() : json::serialize(head.labels);
    const Parameter parent_value = head.parent ? Parameter(Blob{parent}) : Parameter(nullptr);
    return run(
        tx,
        "INSERT OR REPLACE INTO runs(" + std::string(kColumns) +
            ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, "
            "$17, $18)",
        {Blob{id}, head.tenant, head.workflow, std::int64_t{head.version}, head.hash,
         head.idempotency_key, static_cast<std::int64_t>(head.status), head.started_ms,
         head.updated_ms, head.finished_ms, head.due_ms, std::int64_t{head.calls_out}, parent_value,
         labels, head.error, waiting, totals, static_cast<std::int64_t>(row.last)});
}

const std::vector<std::string>& tables() {
    static const std::vector<std::string> kSteps = {
        "CREATE TABLE runs(id BLOB PRIMARY KEY, tenant TEXT NOT NULL, workflow TEXT NOT NULL, "
        "version INTEGER NOT NULL, hash TEXT NOT NULL, key TEXT NOT NULL, status INTEGER NOT NULL, "
        "started INTEGER NOT NULL, updated INTEGER NOT NULL, finished INTEGER NOT NULL, "
        "due INTEGER NOT NULL, calls INTEGER NOT NULL, parent BLOB, labels TEXT NOT NULL, "
        "error TEXT NOT NULL, waiting TEXT NOT NULL, last INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE INDEX runs_open ON runs(status) WHERE status < 3",
        "CREATE INDEX runs_key ON runs(tenant, key) WHERE key <> ''",
        "CREATE INDEX runs_workflow ON runs(tenant, workflow, id)",
        "CREATE TABLE progress(one INTEGER PRIMARY KEY, position INTEGER NOT NULL)",
        "ALTER TABLE runs ADD COLUMN totals TEXT NOT NULL DEFAULT ''",
        "CREATE TABLE marks(run BLOB NOT NULL, first INTEGER NOT NULL, address INTEGER NOT NULL, "
        "PRIMARY KEY(run, first)) WITHOUT ROWID",
        "DELETE FROM progress",  // what was indexed before has neither: from the journal again
        // Lists of what is open or went wrong do not look at what went well, which is the most.
        "DROP INDEX runs_open",
        "CREATE INDEX runs_open ON runs(tenant, id) WHERE status < 3",
        "CREATE INDEX runs_failed ON runs(tenant, id) WHERE status = 4",
        "CREATE INDEX runs_cancelled ON runs(tenant, id) WHERE status = 5",
        "CREATE INDEX runs_tenant ON runs(tenant, id)",
    };
    return kSteps;
}

// The index is not synced while it is written. Beside it stands in which life of the machine that
// happened: after another it is not trusted, unless it was closed and synced.
const std::string kStamp = ".boot";
constexpr std::string_view kClosed = "closed";

/// Empty where there is none: then only what was closed is trusted.
std::string boot_id() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(file, id);
    return id;
}

bool can_be_trusted(const std::string& path) {
    const auto stamp = base::read_file(path + kStamp, 4096);
    return stamp && !stamp->empty() && (*stamp == kClosed || *stamp == boot_id());
}

void remove_files(const std::string& path) {
    for (const char* end : {"", "-wal", "-shm"}) std::remove((path + end).c_str());
}

/// One that is not there is as good as synced.
bool sync_file(const std::string& path) {
    const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    return file.get() < 0 ? errno == ENOENT : ::fsync(file.get()) == 0;
}

}  // namespace

Result<std::unique_ptr<RunIndex>> RunIndex::open(const std::string& path) {
    constexpr base::store::StoreOptions kOptions{.readers = 2, .durable = false};
    if (!can_be_trusted(path)) remove_files(path);
    auto store = base::store::Store::open(path, kOptions);
    if (!store && store.error().code == Code::data_loss) {
        remove_files(path);
        store = base::store::Store::open(path, kOptions);
    }
    if (!store) return std::unexpected(std::move(store).error());
    DG_TRY(base::write_file_atomically(path + kStamp, boot_id()));
    DG_TRY(base::store::migrate(**store, "flow_runs", tables()));
    return std::unique_ptr<RunIndex>(new RunIndex(path, *std::move(store)));
}

RunIndex::~RunIndex() {
    store_.reset();
    if (sync_file(path_) && sync_file(path_ + "-wal")) {
        (void)base::write_file_atomically(path_ + kStamp, kClosed);
    }
}

Result<void> RunIndex::apply(std::span<const IndexRow> rows, std::span<const PageMark> marks,
                             std::uint64_t position) {
    return store_->write([&](Transaction& tx) -> Result<void> {
        for (const IndexRow& row : rows) DG_TRY(put(tx, row));
        for (const PageMark& mark : marks) {
            DG_TRY(run(tx, "INSERT OR REPLACE INTO marks(run, first, address) VALUES ($1, $2, $3)",
                       {Blob{id_bytes(mark.run)}, static_cast<std::int64_t>(mark.first),
                        static_cast<std::int64_t>(mark.address)}));
        }
        return run(tx, "INSERT OR REPLACE INTO progress(one, position) VALUES (1, $1)",
                   {static_cast<std::int64_t>(position)});
    });
}

Result<std::uint64_t> RunIndex::position() {
    std::uint64_t position = 0;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query("SELECT position FROM progress", {}, [&](const Row& row) {
            position = static_cast<std::uint64_t>(row.integer(0));
            return false;
        });
    }));
    return position;
}

Result<std::uint64_t> RunIndex::mark_from(RunId run, std::uint64_t place) {
    std::uint64_t address = 0;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query(
            "SELECT address FROM marks WHERE run = $1 AND first >= $2 ORDER BY first LIMIT 1",
            {Blob{id_bytes(run)}, static_cast<std::int64_t>(place)}, [&](const Row& row) {
                address = static_cast<std::uint64_t>(row.integer(0));
                return false;
            });
    }));
    return address;
}

Result<std::optional<IndexRow>> RunIndex::find(RunId id) {
    std::optional<IndexRow> found;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query("SELECT " + std::string(kColumns) + " FROM runs WHERE id = $1",
                        {Blob{id_bytes(id)}}, [&](const Row& row) {
                            found = row_of(row);
                            return false;
                        });
    }));
    return found;
}

Result<std::optional<RunId>> RunIndex::by_key(std::string_view tenant, std::string_view key) {
    std::optional<RunId> found;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query("SELECT id FROM runs WHERE tenant = $1 AND key = $2 AND key <> ''",
                        {tenant, key}, [&](const Row& row) {
                            found = id_of(row.text(0));
                            return false;
                        });
    }));
    return found;
}

Result<void> RunIndex::open_runs(const std::function<void(const RunHead&)>& each) {
    return store_->read([&](Transaction& tx) {
        RunHead head;
        return tx.query("SELECT id, tenant, due, calls, waiting FROM runs WHERE status < 3", {},
                        [&](const Row& row) {
                            head.id = id_of(row.text(0));
                            head.tenant = row.text(1);
                            head.due_ms = row.integer(2);
                            head.calls_out = row.integer(3) != 0;
                            head.waiting = split(row.text(4));
                            each(head);
                            return true;
                        });
    });
}

namespace {

/// What a filter asks for, as SQL.
struct Where {
    std::string sql = "1 = 1";
    std::vector<Parameter> parameters;
    std::deque<std::string> held;  // what parameters look at

    void add(std::string_view condition, Parameter value, std::string_view behind = "") {
        parameters.push_back(value);
        sql += " AND ";
        sql += condition;
        sql += " $" + std::to_string(parameters.size());
        sql += behind;
    }
    std::string_view hold(std::string text) { return held.emplace_back(std::move(text)); }
};

/// Into `where`, which stays where it is: its parameters look at it.
Result<void> put(const RunFilter& filter, Where& where) {
    where.add("tenant =", filter.tenant);
    if (!filter.workflow.empty()) where.add("workflow =", filter.workflow);
    if (filter.status == "open") {
        where.sql += " AND status < 3";
    } else if (!filter.status.empty()) {
        // As numbers in the text: only so the partial indexes are seen to hold what is asked for.
        const std::int64_t status = DG_TRY(status_number(filter.status));
        where.sql += " AND status = " + std::to_string(status);
        if (status < 3) where.sql += " AND status < 3";
    }
    if (!filter.waiting.empty()) {
        where.sql += " AND status < 3";
        where.add("instr(waiting, char(10) ||", where.hold(filter.waiting), ") > 0");
    }
    if (filter.parent) where.add("parent =", Blob{where.hold(id_bytes(*filter.parent))});
    if (filter.started_from_ms != 0) where.add("started >=", filter.started_from_ms);
    if (filter.started_to_ms != 0) where.add("started <", filter.started_to_ms);
    if (!filter.label_name.empty()) {
        where.add("labels <> '' AND json_extract(labels,",
                  where.hold("$.\"" + filter.label_name + "\""), ")");
        where.parameters.push_back(filter.label_value);
        where.sql += " = $" + std::to_string(where.parameters.size());
    }
    if (const auto run = run_id_from(filter.text)) {
        where.add("id =", Blob{where.hold(id_bytes(*run))});
    } else if (!filter.text.empty()) {
        where.add("instr(lower(error), lower(", where.hold(filter.text), ")) > 0");
    }
    return {};
}

}  // namespace

Result<RunCounts> RunIndex::count(const RunFilter& filter) {
    Where where;
    DG_TRY(put(filter, where));
    RunCounts out;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query("SELECT status, count(*), sum(waiting <> '') FROM runs WHERE " + where.sql +
                            " GROUP BY status",
                        std::span<const Parameter>(where.parameters), [&](const Row& row) {
                            const auto status = static_cast<std::size_t>(row.integer(0));
                            if (status < out.by_status.size()) {
                                out.by_status[status] = static_cast<std::uint64_t>(row.integer(1));
                            }
                            out.waiting += static_cast<std::uint64_t>(row.integer(2));
                            return true;
                        });
    }));
    return out;
}

Result<std::vector<RunHead>> RunIndex::list(const RunFilter& filter) {
    Where where;
    DG_TRY(put(filter, where));
    if (filter.after) where.add("id <", Blob{where.hold(id_bytes(*filter.after))});
    where.add("1 = 1 ORDER BY id DESC LIMIT",
              static_cast<std::int64_t>(std::min(filter.limit, 1000u)));
    std::vector<RunHead> out;
    DG_TRY(store_->read([&](Transaction& tx) {
        return tx.query("SELECT " + std::string(kColumns) + " FROM runs WHERE " + where.sql,
                        std::span<const Parameter>(where.parameters), [&](const Row& row) {
                            out.push_back(row_of(row).head);
                            return true;
                        });
    }));
    return out;
}

}  // namespace flow
