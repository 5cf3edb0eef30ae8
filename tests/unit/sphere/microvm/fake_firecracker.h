#pragma once
// A monitor's API without a monitor: real HTTP over a unix socket, one exchange a connection. Keeps
// what was asked and answers as it is told.

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/files/unique_fd.h"

namespace test {

struct Asked {
    std::string line;  ///< "PUT /machine-config"
    std::string body;
};

class FakeFirecracker {
public:
    /// What it answers to the n-th request: the text of a whole response; empty: it hangs up.
    using Answer = std::function<std::string(std::size_t n, const Asked& asked)>;

    FakeFirecracker(const std::string& path, Answer answer) : answer_(std::move(answer)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof(address.sun_path) - 1);
        listener_ = base::UniqueFd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        ok_ =
            ::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 &&
            ::listen(listener_.get(), 8) == 0;
        thread_ = std::thread([this] { serve(); });
    }
    ~FakeFirecracker() {
        ends_ = true;
        ::shutdown(listener_.get(), SHUT_RDWR);
        thread_.join();
    }
    bool ok() const { return ok_; }
    std::vector<Asked> asked() const {
        const std::lock_guard lock(mutex_);
        return asked_;
    }
    static std::string no_content() {
        return "HTTP/1.1 204 \r\nServer: Firecracker API\r\nConnection: keep-alive\r\n\r\n";
    }
    static std::string refusal(const std::string& fault) {
        const std::string body = "{\"fault_message\":\"" + fault + "\"}";
        return "HTTP/1.1 400 \r\nContent-Type: application/json\r\nContent-Length: " +
               std::to_string(body.size()) + "\r\n\r\n" + body;
    }

private:
    void serve() {
        while (!ends_) {
            const base::UniqueFd client(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
            if (!client) continue;
            while (exchange(client.get())) {
            }
        }
    }
    bool exchange(int client) {
        std::string text;
        std::size_t head_end = 0, length = 0;
        char piece[4096];
        for (;;) {
            pollfd waits{client, POLLIN, 0};
            if (ends_ || ::poll(&waits, 1, 50) < 0) return false;
            if (waits.revents == 0) continue;
            const ssize_t got = ::read(client, piece, sizeof(piece));
            if (got <= 0) return false;
            text.append(piece, static_cast<std::size_t>(got));
            head_end = text.find("\r\n\r\n");
            if (head_end == text.npos) continue;
            const std::size_t at = text.find("Content-Length: ");
            length = at == text.npos ? 0 : std::stoul(text.substr(at + 16));
            if (text.size() >= head_end + 4 + length) break;
        }
        const std::string line = text.substr(0, text.find(" HTTP/1.1"));
        std::string answer;
        {
            const std::lock_guard lock(mutex_);
            asked_.push_back({line, text.substr(head_end + 4, length)});
            answer = answer_(asked_.size() - 1, asked_.back());
        }
        if (answer.empty()) return false;
        return ::send(client, answer.data(), answer.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(answer.size());
    }

    const Answer answer_;
    base::UniqueFd listener_;
    bool ok_ = false;
    std::atomic<bool> ends_ = false;
    mutable std::mutex mutex_;
    std::vector<Asked> asked_;
    std::thread thread_;
};

}  // namespace test
