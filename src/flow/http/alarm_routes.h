#pragma once
// /v1/alarms: rules, what fires, who took it; what was told and whether it arrived.

#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "flow/alarm/alarms.h"

namespace flow {

class AlarmApi {
public:
    /// It outlives the API.
    explicit AlarmApi(Alarms& alarms);
    ~AlarmApi();  ///< stop()
    void register_routes(base::http::Router& router);
    /// After the server's stop. Idempotent.
    void stop() { pool_.stop(); }

private:
    Alarms& alarms_;
    base::api::CallPool pool_;
};

}  // namespace flow
