#pragma once
// /v1/schedules and /v1/queues: when runs start by themselves, and what waits for a place.

#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "flow/queue/queued_runner.h"
#include "flow/schedule/scheduler.h"

namespace flow {

class ScheduleApi {
public:
    /// All outlive it.
    ScheduleApi(Scheduler& scheduler, QueuedRunner& queues, const base::Clock& clock);
    ~ScheduleApi();  ///< stop()
    void register_routes(base::http::Router& router);
    /// After the server's stop. Idempotent.
    void stop() { pool_.stop(); }

private:
    Scheduler& scheduler_;
    QueuedRunner& queues_;
    const base::Clock& clock_;
    base::api::CallPool pool_;
};

}  // namespace flow
