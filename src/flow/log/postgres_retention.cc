// How runs leave the shared database.

#include <algorithm>

#include "flow/log/postgres_run_log.h"
#include "flow/log/postgres_tables.h"

namespace flow {

using base::Result;
using base::store::pipe_value;
using base::store::PipeColumn;
using base::store::PipeType;
using base::store::Row;

Result<std::vector<RunHead>> PostgresRunLog::finished(const FinishedFilter& filter) {
    // Ids begin with the moment of the start: what began later is not looked at.
    static const std::string kFinished =
        "SELECT " + std::string(kHeadColumns) +
        " FROM flow_runs r WHERE r.owner = 0 AND r.status >= 3 AND r.finished < $1 AND r.id < $2 "
        "AND r.id "
        "> $3 AND ($4::int8 = 1 OR r.tenant = $5) AND ($6 = '' OR r.workflow = $6) ORDER BY r.id "
        "LIMIT $7";
    const auto high = static_cast<std::uint64_t>(std::max<std::int64_t>(filter.before_ms, 0));
    const auto answer = DG_TRY(read(
        {kFinished,
         {pipe_value(filter.before_ms), uuid_of({high << 16, 0}),
          uuid_of(filter.after.value_or(RunId{})), pipe_value(std::int64_t{filter.any_tenant}),
          pipe_value(std::string_view(filter.tenant)),
          pipe_value(std::string_view(filter.workflow)), pipe_value(std::int64_t{filter.limit})}}));
    std::vector<RunHead> out;
    answer.each([&](const Row& row) { out.push_back(postgres_head_of(row)); });
    return out;
}

/// A run that somebody took up again since is somebody's, or was written, and stays.
void PostgresRunLog::remove(std::span<const RunHead> heads, Done done) {
    static const std::string kRemove =
        "WITH gone AS (DELETE FROM flow_runs r USING unnest($1::uuid[], $2::int8[]) u(id, updated) "
        "WHERE r.id = u.id AND r.updated = u.updated AND r.owner = 0 AND r.status >= 3 RETURNING "
        "r.id), records AS (DELETE FROM flow_records f USING gone WHERE f.run = "
        "gone.id), snapshots AS (DELETE FROM flow_snapshots f USING gone WHERE f.run = gone.id), "
        "watches AS (DELETE FROM flow_watches f USING gone WHERE f.run = gone.id), blobs AS "
        "(DELETE "
        "FROM flow_blobs f USING gone WHERE f.run = gone.id) DELETE FROM flow_inbox f USING gone "
        "WHERE f.run = gone.id";
    PipeColumn ids(PipeType::uuid), updated(PipeType::integer);
    for (const RunHead& head : heads) {
        ids.add(uuid_of(head.id));
        updated.add(head.updated_ms);
    }
    const auto removed = pool_.run({kRemove, {ids.take(), updated.take()}});
    if (removed) {
        done({});
    } else {
        done(std::unexpected(removed.error()));
    }
}

}  // namespace flow
