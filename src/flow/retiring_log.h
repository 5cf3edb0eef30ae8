#pragma once
// What a log offers besides, so that finished runs can leave it.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "flow/run_log.h"

namespace flow {

struct FinishedFilter {
    std::int64_t before_ms = 0;  ///< they were over by then
    bool any_tenant = false;
    std::string tenant = {}, workflow = {};  ///< workflow empty: any
    std::optional<RunId> after = {};         ///< of the last page; the oldest come first
    std::uint32_t limit = 200;
};

class RetiringLog {
public:
    virtual ~RetiringLog() = default;
    /// Whole heads of runs that are over. Errors: unavailable.
    virtual base::Result<std::vector<RunHead>> finished(const FinishedFilter& filter) = 0;
    /// They are in the log no more, durably when `done` is called, as with RunLog::append. One
    /// that went on since `finished` gave it stays. Pre: nothing is being appended to them.
    /// Errors: unavailable, of all of them.
    virtual void remove(std::span<const RunHead> heads, RunLog::Done done) = 0;
    /// Gives back space that only removed runs took; how many segments. Errors: the disk's.
    virtual base::Result<std::size_t> reclaim() = 0;
};

}  // namespace flow
