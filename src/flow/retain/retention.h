#pragma once
// Which finished runs go, and how: archived durably first, then removed from the log in one
// commit. A crash between the two leaves a run in both places; it is archived again under the same
// id, which the archive gives once.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "flow/retain/run_archive.h"
#include "flow/retiring_log.h"
#include "flow/run_log.h"
#include "flow/step_runner.h"

namespace flow {

struct RetentionParts {
    RunLog& log;
    RetiringLog& retiring;  ///< the same one
    DefinitionSource& definitions;
    RunArchive* archive = nullptr;  ///< null: what goes is gone
    /// RetiringLog::remove on the thread that writes runs; durable when it returns.
    std::function<base::Result<void>(std::span<const RunHead>)> remove;
};

struct PurgeRequest {
    std::int64_t finished_before_ms = 0;
    std::string tenant = {}, workflow = {};  ///< workflow empty: any
    bool any_tenant = false;
    bool dry_run = false;
    std::uint32_t batch = 200;  ///< runs in one commit
};

struct Purged {
    std::uint64_t removed = 0, archived = 0;
    std::uint64_t held = 0;                   ///< past their time, and needed by an open run
    std::uint64_t unreadable = 0;             ///< could not be archived, so they stay
    std::string why = {};                     ///< of the first of these
    std::vector<RunId> runs = {};             ///< that were removed
    Purged& operator+=(const Purged& other);  ///< of `runs` no more than 1,000
};

/// One batch of what is past its time, the oldest first, behind `after`, which becomes the last
/// that was looked at. Errors: the log's, the archive's; nothing is removed that was not archived.
base::Result<Purged> purge_batch(const RetentionParts& parts, const PurgeRequest& request,
                                 std::int64_t now_ms, RunId& after, bool& more);

/// A run as GET /v1/runs/{id}/export gives it, read from the log alone.
/// Errors: not_found, data_loss.
base::Result<std::string> export_line(RunLog& log, DefinitionSource& definitions, RunId run);

}  // namespace flow
