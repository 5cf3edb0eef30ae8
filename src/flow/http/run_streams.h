#pragma once
// Live events of runs as server-sent events. A stream begins with the past from where the client
// says (Last-Event-ID or ?after=) and goes on with what becomes durable; it ends with the run.

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/http/server.h"
#include "flow/flow.h"
#include "flow/observe/token_streams.h"

namespace flow {

class RunStreams : public std::enable_shared_from_this<RunStreams> {
public:
    /// All outlive the streams' use: detach() comes before their end.
    RunStreams(Runtime& runtime, RunLog& log, TokenStreams& tokens)
        : runtime_(runtime), log_(log), tokens_(tokens) {}
    /// Begins to listen; once, before the first open().
    void attach();
    void detach();
    /// On a thread that may block. `before_live` is called when the past is told: from then on
    /// events come from threads that may not.
    void open(RunId run, std::uint64_t after, const base::http::ResponderPtr& responder,
              const std::function<void()>& before_live = {});

private:
    struct Stream {
        base::http::ResponderPtr responder;
        std::uint64_t next = 0;  ///< place of the next event to send
    };
    void publish(RunId run, const std::vector<Event>& events, std::uint64_t first);
    void follow(RunId run, std::uint64_t from, bool on);

    Runtime& runtime_;
    RunLog& log_;
    TokenStreams& tokens_;
    std::uint64_t watcher_ = 0;
    std::mutex mutex_;  // guards streams_
    std::unordered_map<RunId, std::vector<Stream>> streams_;
};

}  // namespace flow
