#include "support/http_stub.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/core/check.h"

namespace test {
namespace {

std::string lower(std::string text) {
    for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return text;
}

StubRequest parse_head(std::string_view head) {
    StubRequest request;
    std::size_t line_end = head.find("\r\n");
    const std::string_view first = head.substr(0, line_end);
    const std::size_t space = first.find(' ');
    request.method = first.substr(0, space);
    request.target = first.substr(space + 1, first.rfind(' ') - space - 1);
    while (line_end != std::string_view::npos && line_end + 2 < head.size()) {
        const std::size_t start = line_end + 2;
        line_end = head.find("\r\n", start);
        const std::string_view line = head.substr(start, line_end - start);
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos) continue;
        std::string_view value = line.substr(colon + 1);
        while (value.starts_with(' ')) value.remove_prefix(1);
        request.headers[lower(std::string(line.substr(0, colon)))] = value;
    }
    return request;
}

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

}  // namespace

std::optional<std::pair<std::uint64_t, std::uint64_t>> StubRequest::range() const {
    const auto found = headers.find("range");
    if (found == headers.end() || !found->second.starts_with("bytes=")) return std::nullopt;
    const std::string_view text = std::string_view(found->second).substr(6);
    const std::size_t dash = text.find('-');
    return std::pair(number(text.substr(0, dash)), number(text.substr(dash + 1)));
}

HttpStub::HttpStub(Handler handler) : handler_(std::move(handler)) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    DG_CHECK(listener_ >= 0, "no socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    DG_CHECK(::bind(listener_, generic, size) == 0, "cannot bind to loopback");
    DG_CHECK(::listen(listener_, 64) == 0, "cannot listen");
    DG_CHECK(::getsockname(listener_, generic, &size) == 0, "no port");
    port_ = ntohs(address.sin_port);
    acceptor_ = std::thread([this] { accept_loop(); });
}

HttpStub::~HttpStub() {
    stopping_ = true;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(listener_);
    std::vector<std::thread> workers;
    {
        const std::lock_guard lock(mutex_);
        for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
        workers.swap(workers_);
    }
    for (std::thread& worker : workers) worker.join();
}

std::string HttpStub::url() const {
    return fmt::format("http://127.0.0.1:{}", port_);
}

std::vector<StubRequest> HttpStub::requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
}

void HttpStub::accept_loop() {
    while (!stopping_) {
        const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) continue;
        const int on = 1;  // head and body go out apart; Nagle would hold the second back
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        const std::lock_guard lock(mutex_);
        if (stopping_) {
            ::close(fd);
            return;
        }
        open_.push_back(fd);
        workers_.emplace_back([this, fd] { serve(fd); });
    }
}

void HttpStub::serve(int fd) {
    std::string buffer;
    while (!stopping_ && serve_one(fd, buffer)) {
    }
    const std::lock_guard lock(mutex_);
    std::erase(open_, fd);
    ::close(fd);
}

bool HttpStub::send_all(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
}

/// One request and its answer; false when the connection is over.
bool HttpStub::serve_one(int fd, std::string& buffer) {
    char chunk[4096];
    const auto more = [&] {
        const ssize_t n = ::recv(fd, chunk, sizeof(chunk), 0);
        if (n > 0) buffer.append(chunk, static_cast<std::size_t>(n));
        return n > 0;
    };
    std::size_t head_end;
    while ((head_end = buffer.find("\r\n\r\n")) == std::string::npos) {
        if (!more()) return false;
    }
    StubRequest request = parse_head(std::string_view(buffer).substr(0, head_end + 2));
    const std::size_t body_bytes = number(request.headers["content-length"]);
    while (buffer.size() < head_end + 4 + body_bytes) {
        if (!more()) return false;
    }
    request.body = buffer.substr(head_end + 4, body_bytes);
    buffer.erase(0, head_end + 4 + body_bytes);
    {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
    }
    const StubResponse response = handler_(request);
    std::string head = fmt::format("HTTP/1.1 {} Scripted\r\nContent-Length: {}\r\n",
                                   response.status, response.body.size());
    for (const auto& [name, value] : response.headers)
        head += fmt::format("{}: {}\r\n", name, value);
    if (!send_all(fd, head + "\r\n")) return false;
    if (response.stall) {
        while (more()) {
        }
        return false;
    }
    if (request.method == "HEAD") return true;
    const std::size_t wanted = response.cut_after.value_or(response.body.size());
    const std::string_view part = std::string_view(response.body).substr(0, wanted);
    bytes_sent_ += part.size();
    return send_all(fd, part) && !response.cut_after;
}

StubResponse serve_content(const StubRequest& request, const std::string& content) {
    StubResponse response;
    response.headers = {{"Accept-Ranges", "bytes"}};
    const auto range = request.range();
    if (!range) {
        response.body = content;
        return response;
    }
    if (range->first >= content.size()) {
        response.status = 416;
        return response;
    }
    const std::uint64_t last = std::min<std::uint64_t>(range->second, content.size() - 1);
    response.status = 206;
    response.headers.emplace_back(
        "Content-Range", fmt::format("bytes {}-{}/{}", range->first, last, content.size()));
    response.body = content.substr(range->first, last - range->first + 1);
    return response;
}

}  // namespace test
