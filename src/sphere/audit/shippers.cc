#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>

#include "base/files/file_error.h"
#include "base/files/unique_fd.h"
#include "sphere/audit/shipper.h"

namespace sphere::audit {
namespace {

using base::Code;
using base::Result;

class NamedShipper : public Shipper {
public:
    explicit NamedShipper(std::string name) : name_(std::move(name)) {}
    std::string_view name() const override { return name_; }

private:
    std::string name_;
};

std::string joined(std::span<const ShippedLine> lines) {
    std::string text;
    for (const ShippedLine& line : lines) {
        text += line.text;
        text += '\n';
    }
    return text;
}

class FileShipper final : public NamedShipper {
public:
    FileShipper(std::string name, std::string path)
        : NamedShipper(std::move(name)), path_(std::move(path)) {}

    Result<void> ship(std::span<const ShippedLine> lines) override {
        // Opened each time: whoever rotates the file by renaming it gets a new one.
        const base::UniqueFd file(
            ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
        if (!file) return base::fail_errno(errno, "open", path_);
        const std::string text = joined(lines);
        std::string_view rest = text;
        while (!rest.empty()) {
            const ssize_t n = ::write(file.get(), rest.data(), rest.size());
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) return base::fail_errno(errno, "append to", path_);
            rest.remove_prefix(static_cast<std::size_t>(n));
        }
        if (::fdatasync(file.get()) != 0 && errno != EINVAL) {  // EINVAL: a pipe or a terminal
            return base::fail_errno(errno, "sync", path_);
        }
        return {};
    }

private:
    std::string path_;
};

class SyslogShipper final : public NamedShipper {
public:
    SyslogShipper(std::string name, std::string path)
        : NamedShipper(std::move(name)), path_(std::move(path)) {}

    Result<void> ship(std::span<const ShippedLine> lines) override {
        if (!socket_) DG_TRY(connect());
        for (const ShippedLine& line : lines) {
            if (auto sent = send_line(line.text); !sent) {
                socket_.reset();  // syslogd may have been started anew
                return sent;
            }
        }
        return {};
    }

private:
    static constexpr int kPriority = 10 * 8 + 5, kWaitMs = 1000;
    static constexpr std::size_t kShortBytes = 900;  // below the 1,024 every receiver takes

    Result<void> connect() {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (path_.size() >= sizeof(address.sun_path)) {
            return base::fail_on(path_, Code::invalid_argument, "{}: longer than {} bytes", path_,
                                 sizeof(address.sun_path) - 1);
        }
        std::memcpy(address.sun_path, path_.data(), path_.size());
        base::UniqueFd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (!socket) return base::fail_errno(errno, "make a socket for", path_);
        if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) !=
            0) {
            return base::fail_errno(errno, "connect to", path_);
        }
        socket_ = std::move(socket);
        return {};
    }

    Result<void> send_line(std::string_view line) {
        const std::time_t now = std::time(nullptr);
        std::tm local{};
        ::localtime_r(&now, &local);
        char stamp[32];
        std::strftime(stamp, sizeof(stamp), "%b %e %H:%M:%S", &local);
        const std::string head = fmt::format("<{}>{} dougong-audit: ", kPriority, stamp);
        const int error_number = send_datagram(head + std::string(line));
        if (error_number != EMSGSIZE) return outcome(error_number);
        const std::size_t half = kShortBytes / 2;
        return outcome(
            send_datagram(fmt::format("{}{} [{} bytes left out] {}", head, line.substr(0, half),
                                      line.size() - 2 * half, line.substr(line.size() - half))));
    }

    Result<void> outcome(int error_number) const {
        if (error_number != 0) return base::fail_errno(error_number, "send to", path_);
        return {};
    }

    /// errno of the failure, or 0.
    int send_datagram(const std::string& text) const {
        while (::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) {
            if (errno == EINTR) continue;
            if (errno != EAGAIN && errno != ENOBUFS) return errno;
            pollfd wait{socket_.get(), POLLOUT, 0};
            if (::poll(&wait, 1, kWaitMs) <= 0) return EAGAIN;
        }
        return 0;
    }

    std::string path_;
    base::UniqueFd socket_;
};

class HttpShipper final : public NamedShipper {
public:
    HttpShipper(std::string name, HttpShipperOptions options)
        : NamedShipper(std::move(name)), options_(std::move(options)), client_(options_.client) {}

    Result<void> ship(std::span<const ShippedLine> lines) override {
        base::HttpClient::Request request;
        request.method = "POST";
        request.url = options_.url;
        request.headers = options_.headers;
        request.headers.emplace_back("Content-Type", "application/x-ndjson");
        request.body = joined(lines);
        request.follow_redirects = false;
        request.timeout = options_.timeout;
        request.body_bytes_max = 1u << 16;
        const auto response = DG_TRY(client_.send(request));
        if (response.status >= 200 && response.status < 300) return {};
        return base::fail(Code::unavailable,
                          "the audit endpoint answered {} to events {} to {}; they are sent again",
                          response.status, lines.front().seq, lines.back().seq);
    }

private:
    HttpShipperOptions options_;
    base::HttpClient client_;
};

}  // namespace

std::unique_ptr<Shipper> make_file_shipper(std::string name, std::string path) {
    return std::make_unique<FileShipper>(std::move(name), std::move(path));
}
std::unique_ptr<Shipper> make_syslog_shipper(std::string name, std::string socket) {
    return std::make_unique<SyslogShipper>(std::move(name), std::move(socket));
}
std::unique_ptr<Shipper> make_http_shipper(std::string name, HttpShipperOptions options) {
    return std::make_unique<HttpShipper>(std::move(name), std::move(options));
}

}  // namespace sphere::audit
