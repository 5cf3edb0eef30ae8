#include "base/http/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <iterator>
#include <utility>

namespace base::http {
namespace {

void append_date(std::string& out, std::int64_t unix_ns) {
    const std::time_t seconds = unix_ns / 1'000'000'000;
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    fmt::format_to(std::back_inserter(out), "Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n",
                   kDays[utc.tm_wday], utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900,
                   utc.tm_hour, utc.tm_min, utc.tm_sec);
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
    out.append(name).append(": ");
    // A value with a line break could smuggle a second header into the answer.
    for (const char c : value) out += (c == '\r' || c == '\n' || c == '\0') ? ' ' : c;
    out.append("\r\n");
}

bool status_has_body(int status) {
    return status >= 200 && status != 204 && status != 304;
}

class Handle final : public Responder {
public:
    explicit Handle(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
    ~Handle() override { exchange_->abandon(); }
    Handle(const Handle&) = delete;
    Handle& operator=(const Handle&) = delete;

    void send(Response response) override { exchange_->send(std::move(response)); }
    void begin_stream(int status, Headers headers) override {
        exchange_->begin_stream(status, std::move(headers));
    }
    bool write(std::string_view chunk) override { return exchange_->write(chunk); }
    void set_source(std::function<void(std::string&)> fill) override {
        exchange_->set_source(std::move(fill));
    }
    void notify() override { exchange_->notify(); }
    void end() override { exchange_->end(); }
    void accept_web_socket(const WebSocketOptions& options,
                           std::shared_ptr<WebSocketEvents> events) override {
        exchange_->accept_web_socket(options, std::move(events));
    }
    void on_closed(std::function<void()> callback) override {
        exchange_->on_closed(std::move(callback));
    }
    bool closed() const override { return exchange_->closed(); }
    void add_header(std::string name, std::string value) override {
        exchange_->add_header(std::move(name), std::move(value));
    }

private:
    std::shared_ptr<Exchange> exchange_;
};

}  // namespace

ResponderPtr make_responder(std::shared_ptr<Exchange> exchange) {
    return std::make_shared<Handle>(std::move(exchange));
}

Exchange::Exchange(ExchangeOptions options, std::function<void()> wake)
    : options_(std::move(options)), wake_(std::move(wake)) {}

void Exchange::wake_locked() {
    if (wake_pending_ || !wake_) return;
    wake_pending_ = true;
    wake_();
}

void Exchange::append_head_locked(int status, const Headers& headers, std::string_view framing) {
    fmt::format_to(std::back_inserter(head_), "HTTP/1.1 {} {}\r\n", status, status_text(status));
    append_date(head_, options_.unix_ns);
    if (!options_.server_name.empty()) append_field(head_, "Server", options_.server_name);
    for (const auto& [name, value] : headers.fields()) append_field(head_, name, value);
    for (const auto& [name, value] : options_.extra_headers.fields()) {
        append_field(head_, name, value);
    }
    head_.append(options_.keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n");
    head_.append(framing).append("\r\n");
}

void Exchange::send(Response response) {
    const std::lock_guard lock(mutex_);
    if (stage_ != Stage::open || closed_) return;
    stage_ = Stage::ended;
    const std::string_view body = response.static_body.value_or(std::string_view(response.body));
    std::string framing;
    if (status_has_body(response.status)) {
        framing = fmt::format("Content-Length: {}\r\n", body.size());
    }
    append_head_locked(response.status, response.headers, framing);
    if (status_has_body(response.status) && !options_.head_only) {
        if (response.static_body) {
            tail_ = body;
        } else {
            head_.append(body);
        }
    }
    last_chunk_taken_ = true;
    wake_locked();
}

void Exchange::begin_stream(int status, Headers headers) {
    const std::lock_guard lock(mutex_);
    if (stage_ != Stage::open || closed_) return;
    body_allowed_ = !options_.head_only && status_has_body(status);
    // Without a body there is nothing to wait for, whatever the handler still writes.
    stage_ = body_allowed_ ? Stage::streaming : Stage::ended;
    last_chunk_taken_ = !body_allowed_;
    if (const std::string_view length = headers.get("Content-Length"); !length.empty()) {
        std::uint64_t bytes = 0;
        std::from_chars(length.data(), length.data() + length.size(), bytes);
        bytes_left_ = bytes;
        options_.chunked = false;
    } else if (!options_.chunked) {
        options_.keep_alive = false;
    }
    append_head_locked(status, headers, options_.chunked ? "Transfer-Encoding: chunked\r\n" : "");
    wake_locked();
}

bool Exchange::write(std::string_view chunk) {
    const std::lock_guard lock(mutex_);
    if (closed_ || broken_ || stage_ != Stage::streaming) return false;
    if (body_.size() + chunk.size() > options_.buffer_bytes_max) {
        broken_ = true;
        wake_locked();
        return false;
    }
    body_.append(chunk);
    wake_locked();
    return true;
}

void Exchange::set_source(std::function<void(std::string&)> fill) {
    const std::lock_guard lock(mutex_);
    if (closed_ || finished_) return;
    source_ = std::make_shared<std::function<void(std::string&)>>(std::move(fill));
}

void Exchange::notify() {
    const std::lock_guard lock(mutex_);
    if (closed_ || stage_ != Stage::streaming) return;
    notified_ = true;
    wake_locked();
}

void Exchange::end() {
    const std::lock_guard lock(mutex_);
    if (stage_ != Stage::streaming) return;
    stage_ = Stage::ended;
    wake_locked();
}

void Exchange::accept_web_socket(const WebSocketOptions& options,
                                 std::shared_ptr<WebSocketEvents> events) {
    if (!options_.web_socket) {
        Response response =
            text_response(426, "application/json",
                          R"({"error":{"message":"this is a WebSocket; connect as RFC 6455 says",)"
                          R"("type":"invalid_request_error","param":null,"code":"http_426"}})");
        response.headers.add("Upgrade", "websocket");
        send(std::move(response));
        return events->on_close(close_code::kLost, "no WebSocket was asked for");
    }
    {
        const std::lock_guard lock(mutex_);
        if (stage_ == Stage::open && !closed_) {
            stage_ = Stage::ended;
            last_chunk_taken_ = true;
            web_socket_.emplace(options, std::move(events));
            wake_locked();
            return;
        }
    }
    events->on_close(close_code::kLost, "the client has left");
}

void Exchange::on_closed(std::function<void()> callback) {
    {
        const std::lock_guard lock(mutex_);
        if (finished_ && !closed_) return;
        if (!closed_) {
            closed_callbacks_.push_back(std::move(callback));
            return;
        }
    }
    callback();
}

bool Exchange::closed() const {
    const std::lock_guard lock(mutex_);
    return closed_;
}

void Exchange::add_header(std::string name, std::string value) {
    const std::lock_guard lock(mutex_);
    if (stage_ == Stage::open) options_.extra_headers.add(std::move(name), std::move(value));
}

void Exchange::abandon() {
    const std::lock_guard lock(mutex_);
    if (closed_ || finished_ || stage_ == Stage::ended) return;
    if (stage_ == Stage::open) {
        stage_ = Stage::ended;
        last_chunk_taken_ = true;
        options_.keep_alive = false;
        append_head_locked(500, {}, "Content-Length: 0\r\n");
    } else {
        broken_ = true;  // a truncated stream must not look complete
    }
    wake_locked();
}

Exchange::Output Exchange::take(std::string& bytes) {
    bytes.clear();
    std::unique_lock lock(mutex_);
    wake_pending_ = false;
    if (notified_ && source_) {
        notified_ = false;
        const auto fill = source_;
        filled_.clear();
        lock.unlock();
        (*fill)(filled_);
        lock.lock();
        if (body_.empty()) {
            body_.swap(filled_);
        } else {
            body_.append(filled_);
        }
    }
    Output output;
    output.broken = broken_;
    if (broken_) return output;
    if (web_socket_) {
        output.web_socket = std::exchange(web_socket_, std::nullopt);
        output.finished = true;
        return output;
    }
    bytes.swap(head_);
    output.tail = std::exchange(tail_, {});
    if (!body_.empty()) {
        if (options_.chunked) {
            fmt::format_to(std::back_inserter(bytes), "{:x}\r\n", body_.size());
            bytes.append(body_).append("\r\n");
        } else {
            bytes.append(body_);
            if (bytes_left_ && *bytes_left_ < body_.size()) broken_ = true;
            if (bytes_left_) *bytes_left_ -= std::min<std::uint64_t>(*bytes_left_, body_.size());
        }
        body_.clear();
    }
    if (stage_ == Stage::ended && body_allowed_ && bytes_left_.value_or(0) != 0) broken_ = true;
    output.broken = broken_;
    if (broken_) return output;
    if (stage_ == Stage::ended && !last_chunk_taken_) {
        last_chunk_taken_ = true;
        if (options_.chunked && body_allowed_) bytes.append("0\r\n\r\n");
    }
    output.finished = stage_ == Stage::ended;
    return output;
}

void Exchange::finish() {
    std::vector<std::function<void()>> callbacks;
    std::shared_ptr<std::function<void(std::string&)>> source;
    const std::lock_guard lock(mutex_);
    finished_ = true;
    wake_ = nullptr;
    callbacks.swap(closed_callbacks_);
    source.swap(source_);
}

void Exchange::connection_lost() {
    std::vector<std::function<void()>> callbacks;
    std::shared_ptr<std::function<void(std::string&)>> source;
    {
        const std::lock_guard lock(mutex_);
        if (finished_) return;
        finished_ = closed_ = true;
        wake_ = nullptr;
        callbacks.swap(closed_callbacks_);
        source.swap(source_);
    }
    for (const auto& callback : callbacks) callback();
}

bool Exchange::keep_alive() const {
    const std::lock_guard lock(mutex_);
    return options_.keep_alive;
}

bool Exchange::answered() const {
    const std::lock_guard lock(mutex_);
    return stage_ != Stage::open;
}

void Exchange::forbid_keep_alive() {
    const std::lock_guard lock(mutex_);
    options_.keep_alive = false;
}

}  // namespace base::http
