#pragma once
// Heads of runs as rows of a database, which both stores keep in the same columns.

#include <string>
#include <string_view>
#include <vector>

#include "base/store/store.h"
#include "flow/run_log.h"

namespace flow {

/// 16 bytes, big-endian, so that keys sort as the ids do.
std::string id_bytes(RunId id);
RunId id_of(std::string_view bytes);

/// Lines between line ends, as waits are kept; "" for none.
std::string joined(const std::vector<std::string>& waiting);
std::vector<std::string> split(std::string_view waiting);

/// What a head says of the run's use, and where it comes from, as JSON; "" for none.
std::string totals_text(const RunHead& head);
void read_totals(std::string_view text, RunHead& head);

/// From the row's first column on: id, tenant, workflow, version, hash, key, status, started,
/// updated, finished, due, calls, parent, labels, error, waiting, totals.
RunHead head_of(const base::store::Row& row);

}  // namespace flow
