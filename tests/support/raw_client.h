#pragma once
// A blocking socket that speaks exactly what a test writes: broken requests, half requests, slow
// readers. Every wait ends after ten seconds, so that a hanging server fails a test instead of it.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace test {

struct RawResponse {
    int status = 0;
    std::string head;  ///< without the empty line
    std::string body;  ///< chunks joined
    bool complete = false;

    /// A header's value, "" when absent.
    std::string header(std::string_view name) const {
        const auto lower = [](char c) {
            return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        };
        std::string_view rest = head;
        while (!rest.empty()) {
            const std::string_view line = rest.substr(0, rest.find("\r\n"));
            rest.remove_prefix(std::min(rest.size(), line.size() + 2));
            const auto colon = line.find(": ");
            if (colon != name.size()) continue;
            if (std::ranges::equal(line.substr(0, colon), name, {}, lower, lower)) {
                return std::string(line.substr(colon + 2));
            }
        }
        return {};
    }
};

class RawClient {
public:
    explicit RawClient(std::uint16_t port, int receive_buffer_bytes = 0) {
        fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (receive_buffer_bytes > 0) {
            ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof(int));
        }
        const int yes = 1;
        ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    }
    ~RawClient() { close(); }
    RawClient(const RawClient&) = delete;
    RawClient& operator=(const RawClient&) = delete;

    bool connected() const { return connected_; }
    void close() {
        if (fd_ >= 0) ::close(std::exchange(fd_, -1));
    }
    /// False when the peer has closed.
    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }

    /// One response, whatever its framing. `complete` is false when the peer closed in the middle.
    RawResponse read_response(bool head_request = false) {
        RawResponse response = read_head();
        if (response.head.empty()) return response;
        const std::string length = response.header("Content-Length");
        if (head_request || response.status == 204 || response.status == 304 ||
            response.status < 200) {
            response.complete = true;
        } else if (!length.empty()) {
            response.complete = take(std::strtoul(length.c_str(), nullptr, 10), response.body);
        } else if (response.header("Transfer-Encoding") == "chunked") {
            while (auto chunk = read_chunk()) {
                if (chunk->empty()) {
                    response.complete = true;
                    break;
                }
                response.body += *chunk;
            }
        } else {
            while (read_more()) {
            }
            response.body = std::exchange(buffer_, {});
            response.complete = true;
        }
        return response;
    }

    /// The next chunk of a stream whose head was read with read_head(); "" is the last one, nothing
    /// means that the peer closed.
    std::optional<std::string> read_chunk() {
        while (buffer_.find("\r\n") == std::string::npos) {
            if (!read_more()) return std::nullopt;
        }
        const std::size_t line = buffer_.find("\r\n");
        std::size_t size = 0;
        std::from_chars(buffer_.data(), buffer_.data() + line, size, 16);
        buffer_.erase(0, line + 2);
        std::string chunk;
        if (!take(size + 2, chunk)) return std::nullopt;
        chunk.resize(size);
        return chunk;
    }

    RawResponse read_head() {
        RawResponse response;
        while (buffer_.find("\r\n\r\n") == std::string::npos) {
            if (!read_more()) return response;
        }
        const std::size_t end = buffer_.find("\r\n\r\n");
        response.head = buffer_.substr(0, end);
        buffer_.erase(0, end + 4);
        if (response.head.size() > 12) response.status = std::atoi(response.head.c_str() + 9);
        return response;
    }

    /// Reads and forgets until the peer closes; false when it did not within ten seconds.
    bool wait_closed() {
        while (read_more()) buffer_.clear();
        return closed_;
    }

    /// What has come, at least a byte; nothing when the peer closed.
    std::optional<std::string> read_some() {
        if (buffer_.empty() && !read_more()) return std::nullopt;
        return std::exchange(buffer_, {});
    }
    /// The peer reads the end of our side; we go on reading.
    void finish_sending() { ::shutdown(fd_, SHUT_WR); }

    RawResponse request(std::string_view method, std::string_view target,
                        std::string_view body = {}, std::string_view headers = {}) {
        std::string text = std::string(method) + " " + std::string(target) +
                           " HTTP/1.1\r\nHost: localhost\r\n" + std::string(headers);
        if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
        send(text + "\r\n" + std::string(body));
        return read_response(method == "HEAD");
    }

private:
    bool take(std::size_t count, std::string& out) {
        while (buffer_.size() < count) {
            if (!read_more()) return false;
        }
        out = buffer_.substr(0, count);
        buffer_.erase(0, count);
        return true;
    }

    bool read_more() {
        pollfd poll_fd{fd_, POLLIN, 0};
        if (::poll(&poll_fd, 1, 60'000) <= 0) {
            ADD_FAILURE() << "the server sent nothing for ten seconds; have: " << buffer_;
            return false;
        }
        char bytes[16 * 1024];
        const ssize_t got = ::recv(fd_, bytes, sizeof(bytes), 0);
        if (got <= 0) {
            closed_ = true;
            return false;
        }
        buffer_.append(bytes, static_cast<std::size_t>(got));
        return true;
    }

    int fd_ = -1;
    bool connected_ = false, closed_ = false;
    std::string buffer_;
};

}  // namespace test
