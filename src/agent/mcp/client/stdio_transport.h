#pragma once
// A server that is a child process: one JSON message a line on its standard input and output. Its
// standard error is for people. It is ended with patience: its input is closed, then it is asked
// (SIGTERM), then it is killed, with all it started.

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agent/mcp/client/transport.h"
#include "base/files/unique_fd.h"

namespace agent::mcp {

struct StdioTransportOptions {
    std::vector<std::string> command;      ///< the program, found by PATH, and its arguments
    std::vector<std::string> environment;  ///< NAME=VALUE, all of it
    std::string folder;                    ///< where it runs; empty: here
    /// Takes what it says on standard error, in pieces; empty: it is only kept.
    std::function<void(std::string_view)> say_error;
    std::size_t message_bytes_max = 16u << 20;
    unsigned bad_lines_max = 100;  ///< lines that are no message, before it is given up
    std::chrono::milliseconds patience{2'000};  ///< after its input closes, and after SIGTERM
};

class StdioTransport final : public Transport {
public:
    /// Errors: not_found (no such program), permission_denied, resource_exhausted.
    static base::Result<std::unique_ptr<StdioTransport>> start(StdioTransportOptions options);
    ~StdioTransport() override;

    void set_hear(std::function<void(const Message&)> hear) override;
    void set_warn(std::function<void(const std::string&)> warn) override;
    base::Result<Answer> ask(const Outgoing& request, const Stop& stop) override;
    base::Result<void> tell(const Outgoing& message) override;
    void open_standing(const Outgoing&) override {}
    bool over_http() const override { return false; }
    void close() override;

private:
    explicit StdioTransport(StdioTransportOptions options) : options_(std::move(options)) {}
    void read_lines();
    void read_errors();
    void take_line(std::string_view line);
    base::Result<void> write(const json::object& message);
    void broke(base::Error why);
    /// Waits at most options_.patience for the process to end.
    bool ended();

    const StdioTransportOptions options_;
    pid_t pid_ = -1;
    base::UniqueFd in_, out_, err_, waker_;
    std::thread reader_, error_reader_;
    std::mutex write_mutex_;  // guards in_; never taken inside mutex_
    std::mutex mutex_;        // guards the rest
    std::condition_variable changed_;
    std::map<std::string, std::optional<json::object>> waiting_;  ///< by id; empty: no answer yet
    std::optional<base::Error> broken_;
    std::string last_errors_;  ///< the end of standard error
    unsigned bad_lines_ = 0;
    bool closed_ = false, errors_over_ = false;
    std::function<void(const Message&)> hear_ = [](const Message&) {};
    std::function<void(const std::string&)> warn_ = [](const std::string&) {};
};

}  // namespace agent::mcp
