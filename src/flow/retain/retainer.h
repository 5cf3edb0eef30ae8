#pragma once
// Lets finished runs go when their time is over, in small commits beside everything else.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>

#include "base/core/clock.h"
#include "base/exec/batch_job.h"
#include "base/metrics/metrics.h"
#include "flow/flow.h"
#include "flow/retain/retention.h"

namespace flow {

class Retainer {
public:
    struct Parts {
        Runtime& runtime;
        RunLog& log;
        RetiringLog& retiring;
        DefinitionSource& definitions;
        const base::Clock& clock;
        std::unique_ptr<RunArchive> archive = nullptr;  ///< null: what goes is gone
        /// Removes what else was kept for runs that are no more; may be empty.
        std::function<base::Result<void>(const std::set<RunId>&)> forget = {};
        base::metrics::Registry* metrics = nullptr;
    };
    /// `keep_ms`: how long after its end a run stays; 0: for ever, but for purge.
    Retainer(Parts parts, std::int64_t keep_ms);
    /// Before the runtime's end.
    ~Retainer();

    /// Up to `batches` batches behind `after`; `more`: there is more to look at. Thread-safe, one
    /// at a time. Errors: purge_batch's.
    base::Result<Purged> purge(const PurgeRequest& request, std::uint32_t batches, RunId& after,
                               bool& more);
    /// Null: nothing is archived.
    RunArchive* archive() { return parts_.archive.get(); }

private:
    base::Result<void> remove(std::span<const RunHead> heads);
    base::Result<std::size_t> let_go();

    Parts parts_;
    const std::int64_t keep_ms_;
    base::metrics::Counter *removed_ = nullptr, *archived_ = nullptr, *failures_ = nullptr;
    std::mutex one_;  ///< held while runs go
    std::unique_ptr<base::BatchJob> job_;
};

}  // namespace flow
