#pragma once
// One answer over HTTP: JSON when nothing comes before it, server-sent events otherwise. A stream
// with a name keeps what it said, so that a client that lost its connection reads the rest.

#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

#include "agent/mcp/out.h"
#include "base/http/server.h"

namespace agent::mcp {

class EventStream final : public Out {
public:
    /// `name`: what its events are found by later; empty: they are not kept. `primed`: the first
    /// event is an empty one, so that there is a place to come back to from the start.
    explicit EventStream(base::http::ResponderPtr responder, std::string name = "",
                         bool primed = false)
        : responder_(std::move(responder)), name_(std::move(name)), primed_(primed) {}

    void send(const base::json::object& message) override;
    void finish(const base::json::object& message, int status) override;
    void let_go() override;
    /// Begins at once, before there is anything to say.
    void open();
    /// Goes on with the event after `after`. False: nothing of it is kept.
    bool resume(std::uint64_t after, base::http::ResponderPtr responder);
    /// Ends without an answer.
    void close();

private:
    void begin(const base::http::ResponderPtr& responder);  // under mutex_
    void say(const std::string& data);                      // under mutex_

    std::mutex mutex_;  // guards the rest
    base::http::ResponderPtr responder_;
    const std::string name_;
    const bool primed_;
    bool begun_ = false, finished_ = false;
    std::vector<std::string> kept_;  ///< data of event 1, 2, ...
};

}  // namespace agent::mcp
