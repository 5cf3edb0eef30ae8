#include "app/remote_terminal.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>

#include "app/terminal/interrupt.h"
#include "app/terminal/raw_terminal.h"
#include "app/terminal/terminal.h"
#include "base/http/web_socket_client.h"

namespace app {
namespace {

using base::Code;
using base::Result;
using base::http::MessageKind;
namespace json = base::json;

constexpr char kEndOfFile = '\x04';

/// What the server sends, on the client's thread.
class Screen final : public base::http::WebSocketEvents {
public:
    explicit Screen(const Terminal& terminal)
        : terminal_(terminal), over_fd_(::eventfd(0, EFD_CLOEXEC)) {}

    void on_open(const base::http::WebSocketPtr& socket) override {
        const std::lock_guard lock(mutex_);
        socket_ = socket;
        changed_.notify_all();
    }
    void on_message(MessageKind kind, std::string_view message) override {
        if (kind == MessageKind::binary) {
            terminal_.out(message);
            return;
        }
        const auto parsed = base::parse_json(message);
        if (!parsed || !parsed->is_object()) return;
        const json::object& told = parsed->get_object();
        const std::string type = json_text(told, "type");
        if (type == "end") {
            const std::lock_guard lock(mutex_);
            end_ = told;
        } else if (type == "dropped") {
            terminal_.err(fmt::format("\r\n[{} bytes of output were left out]\r\n",
                                      json_count(told, "bytes")));
        } else if (type == "error") {
            terminal_.err(fmt::format("\r\n[{}]\r\n", json_text(told, "message")));
        }
    }
    void on_drained() override {
        const std::lock_guard lock(mutex_);
        changed_.notify_all();
    }
    void on_close(std::uint16_t code, std::string_view reason) override {
        const std::lock_guard lock(mutex_);
        socket_.reset();
        closed_ = fmt::format("{}{}{}", code, reason.empty() ? "" : ": ", reason);
        changed_.notify_all();
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(over_fd_.get(), &one, sizeof(one));
    }

    /// Waits while the server does not read. False: the connection is closed.
    bool send(MessageKind kind, std::string_view message) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return socket_ != nullptr || !closed_.empty(); });
        while (socket_ != nullptr && !socket_->send(kind, message)) {
            changed_.wait_for(lock, std::chrono::milliseconds(200));
        }
        return socket_ != nullptr;
    }
    int over_fd() const { return over_fd_.get(); }
    Result<json::object> end() const {
        const std::lock_guard lock(mutex_);
        if (!end_.empty()) return end_;
        return base::fail(Code::unavailable, "the terminal's connection broke ({})", closed_);
    }

private:
    const Terminal& terminal_;
    base::UniqueFd over_fd_;
    mutable std::mutex mutex_;  // guards the rest
    std::condition_variable changed_;
    base::http::WebSocketPtr socket_;
    json::object end_;
    std::string closed_;
};

bool send_size(Screen& screen) {
    const auto [columns, rows] = RawTerminal::size();
    return screen.send(
        MessageKind::text,
        base::to_text(json::object{{"type", "resize"}, {"columns", columns}, {"rows", rows}}));
}

/// Keys and sizes go out until the server closes. False: a signal asked us to end.
bool pass_on(Screen& screen, const RawTerminal& raw, const Interrupt& interrupt) {
    std::string keys(32 * 1024, '\0');
    bool open = true;
    for (;;) {
        pollfd waits[] = {{screen.over_fd(), POLLIN, 0},
                          {raw.resized_fd(), POLLIN, 0},
                          {open ? STDIN_FILENO : -1, POLLIN, 0}};
        constexpr int kLookForSignalsMs = 200;
        const int ready = ::poll(waits, 3, kLookForSignalsMs);
        if (interrupt.raised()) return false;
        if (ready < 0 && errno != EINTR) return false;
        if (ready <= 0) continue;
        if (waits[0].revents != 0) return true;
        if (waits[1].revents != 0) {
            raw.clear_resized();
            send_size(screen);
        }
        if (waits[2].revents == 0) continue;
        const ssize_t got = ::read(STDIN_FILENO, keys.data(), keys.size());
        if (got < 0 && errno == EINTR) continue;
        open = got > 0;
        const std::string_view typed =
            open ? std::string_view(keys.data(), static_cast<std::size_t>(got))
                 : std::string_view(&kEndOfFile, 1);
        screen.send(MessageKind::binary, typed);
    }
}

}  // namespace

Result<json::object> run_remote_terminal(const ServerClient& client, const std::string& path,
                                         const Terminal& terminal) {
    const auto [columns, rows] = RawTerminal::size();
    const auto screen = std::make_shared<Screen>(terminal);
    base::http::WebSocketClient::Options options;
    options.url = fmt::format("{}{}{}columns={}&rows={}", client.url(), path,
                              path.find('?') == std::string::npos ? '?' : '&', columns, rows);
    options.headers = client.headers();
    const Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    const auto socket = DG_TRY(base::http::WebSocketClient::connect(options, screen));
    const RawTerminal raw;
    if (!pass_on(*screen, raw, interrupt))
        return base::fail(Code::cancelled, "stopped by a signal");
    return screen->end();
}

}  // namespace app
