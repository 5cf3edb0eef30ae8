#pragma once
// GET /v1/sandboxes/{id}/logs: what the commands of a box printed lately, of everybody in the
// tenant; `follow=1` goes on as server-sent events, from `after` or Last-Event-ID on.

#include "sphere/http/call_pool.h"
#include "sphere/http/log_book.h"

namespace sphere {

class LogRoutes {
public:
    /// All three outlive it.
    LogRoutes(Sphere& sphere, CallPool& calls, LogBook& book)
        : sphere_(sphere), calls_(calls), book_(book) {}
    void register_routes(base::http::Router& router);

private:
    base::Result<void> answer(const base::http::Request& request,
                              const base::http::ResponderPtr& responder);

    Sphere& sphere_;
    CallPool& calls_;
    LogBook& book_;
};

}  // namespace sphere
