#pragma once
// A blocking HTTP(S) client: one call, one exchange. Connections are kept and reused by the client.
// The environment's proxy settings are ignored: what a request uses is in its options.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/result.h"

namespace base {

/// Any thread may call send(); calls run at the same time, each on its own connection.
class HttpClient {
public:
    struct Options {
        std::string proxy;             ///< http://host:port or socks5://...; empty: none
        std::string ca_file;           ///< PEM bundle; empty: the system's
        std::string unix_socket = {};  ///< a path to connect to, whatever the URL's host is
        std::string user_agent = "dougong";
        std::chrono::milliseconds connect_timeout{15'000};
        std::chrono::milliseconds stall_timeout{60'000};  ///< no byte received; 0: none
    };

    using Headers = std::vector<std::pair<std::string, std::string>>;

    struct Request {
        std::string method = "GET";  ///< GET, HEAD, POST, PUT, PATCH, DELETE
        std::string url;             ///< http or https
        Headers headers;
        std::string body;  ///< sent when not empty or the method is POST, PUT or PATCH
        /// Instead of `body`, for what is too large for memory: fills the span and says how much;
        /// 0 ends the body, nothing stops the exchange with `cancelled`. For POST, PUT and PATCH,
        /// without redirects.
        std::function<std::optional<std::size_t>(std::span<char>)> body_source;
        bool follow_redirects = true;  ///< at most 10; credentials stay with the first host
        std::optional<std::pair<std::uint64_t, std::uint64_t>> range;  ///< first and last byte
        std::chrono::milliseconds timeout{0};      ///< of the whole exchange; 0: none
        std::uint64_t body_bytes_max = 64u << 20;  ///< of a response kept in memory
        std::function<bool()> cancelled;  ///< asked at least once a second; true stops the exchange
    };

    struct Response {
        int status = 0;
        Headers headers;   ///< of the last response, names as sent
        std::string body;  ///< empty when a sink took it
        std::string url;   ///< after redirects
        /// First value of a header, any case of the name.
        std::optional<std::string_view> header(std::string_view name) const;
    };

    /// Takes the body of a response as it arrives; false stops with `cancelled`. Gets the status
    /// and headers too, so that it can refuse early.
    using BodySink = std::function<bool(const Response& head, std::span<const std::byte> bytes)>;

    HttpClient();
    explicit HttpClient(Options options);
    ~HttpClient();
    HttpClient(HttpClient&&) noexcept;
    HttpClient& operator=(HttpClient&&) noexcept;

    /// Any status is a success here; the caller decides. Errors: invalid_argument (URL),
    /// unavailable (no connection, cut in mid-body: says after how many bytes), deadline_exceeded,
    /// cancelled, payload_too_large. The message names the host, never credentials or the query.
    Result<Response> send(const Request& request, const BodySink& sink = {}) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace base
