#pragma once
// /v1/workers: how programs outside take the calls of `worker` steps and answer them.

#include "base/core/clock.h"
#include "base/http/router.h"
#include "flow/worker/worker_tasks.h"

namespace flow {

/// Both outlive the router's use.
void register_worker_routes(base::http::Router& router, WorkerTasks& tasks,
                            const base::Clock& clock);

}  // namespace flow
