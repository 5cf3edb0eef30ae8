#include "sphere/http/terminal.h"

#include <csignal>
#include <cstdlib>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "base/api/error_answer.h"
#include "base/json/object_reader.h"
#include "sphere/http/request_parts.h"
#include "sphere/http/spec_json.h"

namespace sphere {
namespace {

namespace json = base::json;
namespace close_code = base::http::close_code;
using base::Code;
using base::Result;
using base::http::MessageKind;
using base::http::Request;
using base::http::ResponderPtr;
using base::http::WebSocketPtr;

constexpr std::size_t kEarlyBytesMax = 256 * 1024;   // output before the socket is open
constexpr std::size_t kInboxBytesMax = 256 * 1024;   // input before the client is held up
constexpr std::size_t kMessageBytesMax = 64 * 1024;  // of input

/// One terminal. Keeps itself alive until its command has ended; the socket keeps it, too.
class Terminal final : public ExecSink,
                       public base::http::WebSocketEvents,
                       public std::enable_shared_from_this<Terminal> {
public:
    Terminal(Sphere& sphere, base::api::CallPool& inputs, LogBook& book, SandboxId box)
        : sphere_(sphere), inputs_(inputs), book_(book), box_(std::move(box)) {}

    /// Starts the command, then opens the socket; an error answers the request.
    void begin(const ExecSpec& spec, const ResponderPtr& responder) {
        self_ = shared_from_this();
        const std::shared_ptr<Terminal> keep = self_;
        log_.emplace(book_, box_, spec.argv, true);
        const auto started = sphere_.start(box_, spec, *this);
        if (!started) {
            self_.reset();
            responder->send(base::api::error_response(started.error()));
            return;
        }
        {
            const std::lock_guard lock(mutex_);
            exec_ = *started;
        }
        log_->started(*started);
        responder->accept_web_socket({.message_bytes_max = kMessageBytesMax}, keep);
    }

    // The sphere's thread.
    void on_output(Stream stream, std::string_view bytes) override {
        log_->append(stream, bytes);
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        if (!socket_) {
            const std::size_t room = kEarlyBytesMax - std::min(kEarlyBytesMax, early_.size());
            early_ += bytes.substr(0, room);
            dropped_ += bytes.size() - std::min(bytes.size(), room);
            return;
        }
        // A reader slower than the command loses output and is told how much: to wait for it
        // would hold up the other boxes.
        if (!tell_dropped_locked() || !socket_->send(MessageKind::binary, bytes)) {
            dropped_ += bytes.size();
        }
    }
    void on_end(const ExecResult& result) override {
        const std::shared_ptr<Terminal> keep = std::move(self_);
        log_->end(result);
        const std::lock_guard lock(mutex_);
        end_ = to_json(result);
        end_["type"] = "end";
        ended_ = true;
        finish_locked();
    }

    // The connection's thread.
    void on_open(const WebSocketPtr& socket) override {
        const std::lock_guard lock(mutex_);
        socket_ = socket;
        send_locked({{"type", "start"}, {"exec", exec_}});
        if (!early_.empty()) socket_->send(MessageKind::binary, std::exchange(early_, {}));
        finish_locked();
    }
    void on_message(MessageKind kind, std::string_view message) override {
        const std::lock_guard lock(mutex_);
        inbox_.emplace_back(kind, std::string(message));
        inbox_bytes_ += message.size();
        if (inbox_bytes_ > kInboxBytesMax && socket_) socket_->hold();
        if (std::exchange(draining_, true)) return;
        if (!inputs_.post([keep = shared_from_this()] { keep->drain(); }) && socket_) {
            socket_->close(close_code::kTryLater, "too many terminals are busy");
        }
    }
    void on_drained() override {
        const std::lock_guard lock(mutex_);
        finish_locked();
    }
    void on_close(std::uint16_t, std::string_view) override {
        WebSocketPtr last;  // its end is not for under the lock
        ExecId exec = 0;
        {
            const std::lock_guard lock(mutex_);
            closed_ = true;
            last = std::move(socket_);
            if (ended_) return;
            exec = exec_;
        }
        (void)sphere_.signal(box_, exec, SIGKILL);  // it may have ended just now
    }

private:
    bool send_locked(const json::object& message) {
        return socket_->send(MessageKind::text, base::to_text(message));
    }
    bool tell_dropped_locked() {
        if (dropped_ == 0) return true;
        if (!send_locked({{"type", "dropped"}, {"bytes", dropped_}})) return false;
        dropped_ = 0;
        return true;
    }
    /// Says what there is left to say and closes, once the command has ended.
    void finish_locked() {
        if (!socket_ || !tell_dropped_locked() || !ended_ || said_end_) return;
        said_end_ = send_locked(end_);
        if (said_end_) socket_->close(close_code::kNormal, "");
    }

    /// A worker: takes what came in, in order. One at a time.
    void drain() {
        for (;;) {
            std::deque<std::pair<MessageKind, std::string>> inbox;
            {
                const std::lock_guard lock(mutex_);
                inbox.swap(inbox_);
                inbox_bytes_ = 0;
                if (socket_) socket_->go_on();
                draining_ = !inbox.empty() && !ended_ && !closed_;
                if (!draining_) return;
            }
            for (const auto& [kind, message] : inbox) {
                const auto done = kind == MessageKind::binary
                                      ? sphere_.write_stdin(box_, exec_, message, false)
                                      : control(message);
                if (done) continue;
                const std::lock_guard lock(mutex_);
                if (!socket_ || ended_) continue;
                send_locked({{"type", "error"},
                             {"code", base::code_name(done.error().code)},
                             {"message", done.error().message}});
            }
        }
    }
    Result<void> control(const std::string& text) {
        enum class Type : std::uint8_t { none, resize, signal } type = Type::none;
        std::uint16_t columns = 80, rows = 24;
        std::string name = "INT";
        const json::value message = DG_TRY(base::parse_json(text));
        if (!message.is_object()) {
            return base::fail(Code::invalid_argument, "a text message must be a JSON object");
        }
        base::ObjectReader in(message.get_object());
        in.choice<Type>("type", type, {{"resize", Type::resize}, {"signal", Type::signal}});
        if (type == Type::resize) {
            in.integer<std::uint16_t>("columns", columns, 1, 10'000);
            in.integer<std::uint16_t>("rows", rows, 1, 10'000);
        } else if (type == Type::signal) {
            in.text("signal", name, 16);
        } else {
            in.fault("type", "must be resize or signal");
        }
        DG_TRY(in.done());
        if (type == Type::resize) return sphere_.resize_tty(box_, exec_, columns, rows);
        return sphere_.signal(box_, exec_, DG_TRY(signal_of(name)));
    }

    Sphere& sphere_;
    base::api::CallPool& inputs_;
    LogBook& book_;
    const SandboxId box_;
    std::optional<LogBook::Writer> log_;  ///< from begin() on
    std::shared_ptr<Terminal> self_;      ///< until on_end

    std::mutex mutex_;  // guards the rest; the socket's calls under it only queue
    WebSocketPtr socket_;
    ExecId exec_ = 0;
    std::string early_;
    std::uint64_t dropped_ = 0;
    json::object end_;
    bool ended_ = false, said_end_ = false, closed_ = false, draining_ = false;
    std::deque<std::pair<MessageKind, std::string>> inbox_;
    std::size_t inbox_bytes_ = 0;
};

/// bash where the box's root has it, else sh.
const std::vector<std::string> kShell = {"/bin/sh", "-c",
                                         "command -v bash >/dev/null && exec bash || exec sh"};

Result<std::uint16_t> size_of(const Request& request, std::string_view name,
                              std::uint16_t otherwise) {
    const std::string text = request.query_param(name).value_or(std::to_string(otherwise));
    char* end = nullptr;
    const unsigned long value = std::strtoul(text.c_str(), &end, 10);
    if (!text.empty() && *end == '\0' && text[0] != '-' && value >= 1 && value <= 10'000) {
        return static_cast<std::uint16_t>(value);
    }
    return base::fail_on(std::string(name), Code::invalid_argument,
                         "'{}' is '{}', expected 1 to 10000", name, text.substr(0, 16));
}

Result<std::pair<SandboxId, ExecSpec>> read_request(const Sphere& sphere, const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere, request));
    ExecSpec spec;
    spec.argv = query_all(request, "argv");
    if (spec.argv.empty()) spec.argv = kShell;
    if (const auto folder = request.query_param("working_directory")) {
        spec.working_directory = *folder;
    }
    for (const std::string& variable : query_all(request, "environment")) {
        const std::size_t equals = variable.find('=');
        if (equals == std::string::npos || equals == 0) {
            return base::fail_on("environment", Code::invalid_argument,
                                 "'environment' is '{}', expected NAME=VALUE",
                                 variable.substr(0, 64));
        }
        spec.environment[variable.substr(0, equals)] = variable.substr(equals + 1);
    }
    spec.tty = true;
    spec.tty_columns = DG_TRY(size_of(request, "columns", 80));
    spec.tty_rows = DG_TRY(size_of(request, "rows", 24));
    // Somebody sits before it: it ends with them, and what they do not read is bounded above.
    spec.wall_timeout = std::chrono::milliseconds(0);
    spec.output_bytes_max = std::numeric_limits<std::int64_t>::max();
    DG_TRY(check_exec(spec));
    return std::pair(info.id, std::move(spec));
}

}  // namespace

void TerminalRoutes::register_routes(base::http::Router& router) {
    router.add("GET", "/v1/sandboxes/{id}/terminal",
               [this](const Request& request, const ResponderPtr& responder) {
                   if (!base::http::list_has_token(request.headers.get("Upgrade"), "websocket")) {
                       // Before a command is started for nothing.
                       auto response = base::api::error_response(
                           {Code::invalid_argument,
                            "a terminal is a WebSocket; connect as RFC 6455 says",
                            {}});
                       response.status = 426;
                       response.headers.add("Upgrade", "websocket");
                       return responder->send(std::move(response));
                   }
                   calls_.post(responder, [this, request, responder] {
                       auto asked = read_request(sphere_, request);
                       if (!asked) return responder->send(base::api::error_response(asked.error()));
                       std::make_shared<Terminal>(sphere_, inputs_, book_, asked->first)
                           ->begin(asked->second, responder);
                   });
               });
}

}  // namespace sphere
