#pragma once
// Streamable HTTP: each message is a POST; the answer is JSON or a stream of events that ends with
// it. With sessions (2025-11-25 and before) a stream that breaks off is gone on with, and a
// standing GET brings what belongs to no request.

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "agent/mcp/client/authorizer.h"
#include "agent/mcp/client/transport.h"
#include "base/http/client.h"

namespace agent::mcp {

struct HttpTransportOptions {
    std::string url;                    ///< http or https
    base::HttpClient::Headers headers;  ///< in every request, for keys of one's own
    base::HttpClient::Options http;     ///< its stall_timeout is not used: streams are silent
    std::size_t message_bytes_max = 16u << 20;
    unsigned reconnects_max = 5;                  ///< in a row without an event in between
    unsigned authorizations_max = 3;              ///< for one request
    std::chrono::milliseconds retry_max{60'000};  ///< however long a server wants us to wait
};

class HttpTransport final : public Transport {
public:
    /// `authorizer` outlives it; null: a refusal is an error.
    HttpTransport(HttpTransportOptions options, Authorizer* authorizer);
    ~HttpTransport() override;

    void set_hear(std::function<void(const Message&)> hear) override { hear_ = std::move(hear); }
    void set_warn(std::function<void(const std::string&)> warn) override {
        warn_ = std::move(warn);
    }
    base::Result<Answer> ask(const Outgoing& request, const Stop& stop) override;
    base::Result<void> tell(const Outgoing& message) override;
    void open_standing(const Outgoing& headers_of) override;
    bool over_http() const override { return true; }
    void close() override;

private:
    class Reading;
    struct Sent {
        base::HttpClient::Response head;
        std::string authorization;
    };
    base::Result<Sent> send(const std::string& method, const Outgoing& out, Reading& reading,
                            const Stop& stop);
    /// The answer, or nothing: the stream broke off before it.
    base::Result<std::optional<Answer>> answer_of(const Sent& sent, Reading& reading);
    base::Result<Sent> send_authorized(const std::string& method, const Outgoing& out,
                                       Reading& reading, const Stop& stop);
    base::Result<Answer> resume(const Outgoing& request, Reading& reading, const Stop& stop);
    base::Result<void> pause(std::chrono::milliseconds time, const Stop& stop);
    void stand(const Outgoing& headers_of);
    std::string session();

    const HttpTransportOptions options_;
    Authorizer* const authorizer_;
    const base::HttpClient http_;
    std::function<void(const Message&)> hear_ = [](const Message&) {};
    std::function<void(const std::string&)> warn_ = [](const std::string&) {};
    std::mutex mutex_;  // guards the rest
    std::condition_variable closing_;
    bool closed_ = false;
    std::string session_;
    Outgoing last_headers_;  ///< for the DELETE that ends a session
    std::thread standing_;
};

}  // namespace agent::mcp
