#pragma once
// A scripted HTTP server for client tests: one thread per connection on a free loopback port, each
// request answered by the test's function and recorded. It can misbehave: cut a body, ignore a
// range, stall.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace test {

struct StubRequest {
    std::string method;
    std::string target;                          ///< path and query
    std::map<std::string, std::string> headers;  ///< names in lower case
    std::string body;

    /// First and last byte of a `bytes=a-b` range.
    std::optional<std::pair<std::uint64_t, std::uint64_t>> range() const;
};

struct StubResponse {
    int status = 200;
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    /// Sends only this many bytes of the body although Content-Length promises all, then closes.
    std::optional<std::size_t> cut_after;
    /// After the head, sends nothing until the client leaves.
    bool stall = false;
};

class HttpStub {
public:
    using Handler = std::function<StubResponse(const StubRequest&)>;

    /// Called from many threads at a time.
    explicit HttpStub(Handler handler);
    ~HttpStub();  ///< closes every connection and waits for the threads

    std::string url() const;  ///< http://127.0.0.1:port
    std::vector<StubRequest> requests() const;
    /// Body bytes sent in all.
    std::uint64_t bytes_sent() const { return bytes_sent_; }

private:
    void accept_loop();
    void serve(int fd);
    bool serve_one(int fd, std::string& buffer);
    bool send_all(int fd, std::string_view bytes);

    Handler handler_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> bytes_sent_{0};
    mutable std::mutex mutex_;
    std::vector<StubRequest> requests_;  // guarded by mutex_
    std::vector<int> open_;              // guarded by mutex_
    std::vector<std::thread> workers_;   // guarded by mutex_
    std::thread acceptor_;
};

/// Answers a GET or HEAD of `content`, honouring a range.
StubResponse serve_content(const StubRequest& request, const std::string& content);

}  // namespace test
