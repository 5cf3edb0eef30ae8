#pragma once
// Which runs a request asks for.

#include "base/http/message.h"
#include "flow/run_log.h"

namespace flow {

/// From the query of GET /v1/runs. Errors: invalid_argument.
base::Result<RunFilter> run_filter_of(const base::http::Request& request);

}  // namespace flow
