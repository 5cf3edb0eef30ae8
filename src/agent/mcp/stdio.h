#pragma once
// The protocol over a pair of streams, one message a line: how a client talks to a server it has
// started itself.

#include <condition_variable>
#include <functional>
#include <istream>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "agent/mcp/listeners.h"
#include "agent/mcp/server.h"
#include "agent/mcp/session.h"
#include "base/exec/worker.h"

namespace agent::mcp {

class StdioServer {
public:
    /// `write` takes whole lines, one call at a time. Both outlive it.
    StdioServer(const Server& server, std::function<void(std::string_view)> write);
    ~StdioServer();

    /// Reads until the end of `in`. What still runs then has a while to be answered, and is
    /// cancelled after it. Blocks.
    void run(std::istream& in);
    void changed(const Change& change);

private:
    class Line;
    void take(std::string_view line);
    bool post(std::function<void()> call);
    void answer_stateless(const Message& message);
    void write(const json::object& message);

    const Server& server_;
    const std::function<void(std::string_view)> write_;
    std::mutex write_mutex_;  // held while a line is written
    Listeners listeners_;
    std::mutex mutex_;  // guards the rest
    std::condition_variable idle_;
    std::size_t busy_ = 0;              ///< calls posted and not done
    std::shared_ptr<Session> session_;  ///< replaced by the thread that reads only
    std::map<std::string, std::shared_ptr<Call>> running_;  ///< by their ids as JSON
    std::map<std::string, Listeners::Id> listening_;
    base::Worker workers_;  // stopped first
};

}  // namespace agent::mcp
