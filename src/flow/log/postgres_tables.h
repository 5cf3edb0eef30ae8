#pragma once
// Tables of runs in PostgreSQL, and heads of runs as rows of them.

#include <string>
#include <string_view>
#include <vector>

#include "base/store/postgres_pipe.h"
#include "base/store/store.h"
#include "flow/run_log.h"

namespace flow {

/// Steps of base::store::migrate for part "flow_runs".
std::vector<std::string> run_tables();

/// For SELECT; `postgres_head_of` reads them from the row's first column on.
inline constexpr std::string_view kHeadColumns =
    "r.id, r.tenant, r.workflow, r.version, r.hash, r.key, r.status, r.started, r.updated, "
    "r.finished, r.due, r.calls, r.parent, r.labels, r.error, r.waiting, r.totals";
inline constexpr int kHeadColumnCount = 17;
RunHead postgres_head_of(const base::store::Row& row);
base::store::PipeValue uuid_of(RunId id);

/// What waits of a run are called in its row, one a line.
std::string waiting_text(std::vector<std::string> waiting);
/// One of them, without what would end the line.
std::string waiting_word(std::string_view wait);
/// Names of the events it waits for, as the index of them knows them, with commas; "": none.
std::string event_keys(const RunHead& head);
std::string event_key(std::string_view tenant, std::string_view event);

/// PostgreSQL's texts hold no U+0000.
std::string storable(std::string_view text);

}  // namespace flow
