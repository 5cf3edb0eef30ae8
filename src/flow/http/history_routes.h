#pragma once
// What happened to a run, in pages from either end, and the values that are too large for a page.

#include <functional>

#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "flow/run_log.h"

namespace flow {

class HistoryRoutes {
public:
    using RunOf = std::function<base::Result<RunId>(const base::http::Request&)>;
    /// The log outlives it. `run_of` finds the run that a request's tenant means.
    HistoryRoutes(RunLog& log, RunOf run_of) : log_(log), run_of_(std::move(run_of)) {}
    void register_routes(base::http::Router& router, base::api::CallPool& pool);

private:
    using Request = base::http::Request;
    using Response = base::http::Response;
    base::Result<Response> events(const Request& request);
    base::Result<Response> blob(const Request& request);

    RunLog& log_;
    const RunOf run_of_;
};

/// The first and last byte of `text`, "bytes=0-99", "bytes=100-" or "bytes=-100", within `size`
/// bytes; none: it asks for no such range, or for several. Errors: invalid_argument (all of it is
/// behind the end).
base::Result<std::optional<std::pair<std::uint64_t, std::uint64_t>>> byte_range(
    std::string_view text, std::uint64_t size);

}  // namespace flow
