#pragma once
// GET /v1/sandboxes/{id}/terminal?columns=&rows=&argv=&argv=: a command with a terminal, over a
// WebSocket. Binary messages are its bytes, both ways. Text messages are JSON:
//   to the server   {"type":"resize","columns","rows"}   {"type":"signal","signal"}
//   to the client   {"type":"start","exec"}   {"type":"dropped","bytes"}   {"type":"error",...}
//                   {"type":"end", the result}, and the socket closes.

#include "base/api/call_pool.h"
#include "sphere/http/log_book.h"

namespace sphere {

class TerminalRoutes {
public:
    /// All three outlive it.
    TerminalRoutes(Sphere& sphere, base::api::CallPool& calls, LogBook& book)
        : sphere_(sphere), calls_(calls), book_(book), inputs_(2, 1024) {}
    void register_routes(base::http::Router& router);
    /// After the server's stop. Idempotent.
    void stop() { inputs_.stop(); }

private:
    Sphere& sphere_;
    base::api::CallPool& calls_;
    LogBook& book_;
    base::api::CallPool inputs_;  ///< keystrokes do not wait behind boxes being made
};

}  // namespace sphere
