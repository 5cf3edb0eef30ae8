#pragma once
// GET /v1/sandboxes/{id}/logs: what the commands of a box printed lately, of everybody in the
// tenant; `follow=1` goes on as server-sent events, from `after` or Last-Event-ID on, until the box
// ends, which event `gone` says.

#include <condition_variable>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "base/api/call_pool.h"
#include "sphere/http/log_book.h"

namespace sphere {

class LogRoutes {
public:
    /// All three outlive it.
    LogRoutes(Sphere& sphere, base::api::CallPool& calls, LogBook& book)
        : sphere_(sphere), calls_(calls), book_(book) {}
    ~LogRoutes() { stop(); }
    void register_routes(base::http::Router& router);
    /// After the server's stop. Idempotent.
    void stop();

private:
    struct Reader;

    base::Result<void> answer(const base::http::Request& request,
                              const base::http::ResponderPtr& responder);
    void add(const std::shared_ptr<Reader>& reader);
    /// Boxes end by themselves, too: a thread looks after those that somebody follows.
    void look_after_boxes();

    Sphere& sphere_;
    base::api::CallPool& calls_;
    LogBook& book_;

    std::mutex mutex_;  // guards the rest
    std::condition_variable changed_;
    std::list<std::shared_ptr<Reader>> readers_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace sphere
