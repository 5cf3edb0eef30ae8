#include "agent/mcp/client/http_transport.h"

#include <fmt/format.h>

#include <algorithm>

#include "agent/mcp/client/event_reader.h"
#include "base/http/message.h"

namespace agent::mcp {
namespace {

using base::Code;
using base::Result;
using base::http::equal_no_case;

constexpr std::size_t kExcerptBytes = 200;
constexpr std::chrono::milliseconds kRetryDefault{1'000};

base::HttpClient::Options without_stall(base::HttpClient::Options options) {
    options.stall_timeout = std::chrono::milliseconds(0);
    return options;
}

bool is_type(const base::HttpClient::Response& head, std::string_view type) {
    std::string_view found = head.header("Content-Type").value_or("");
    found = found.substr(0, found.find(';'));
    while (found.ends_with(' ')) found.remove_suffix(1);
    return equal_no_case(found, type);
}

/// What a person may see of a body that is no answer.
std::string excerpt(std::string_view body) {
    std::string out;
    for (const char c : body.substr(0, kExcerptBytes)) out += c < ' ' || c > '~' ? ' ' : c;
    return body.size() > kExcerptBytes ? out + "..." : out;
}

/// An error of the protocol, wherever its id went: it may be missing when the request was not read.
std::optional<json::object> protocol_error(const json::value& body) {
    const json::object* object = body.if_object();
    const json::value* error = object != nullptr ? object->if_contains("error") : nullptr;
    if (error == nullptr || !error->is_object()) return std::nullopt;
    const json::value* code = error->get_object().if_contains("code");
    if (code == nullptr || !code->is_int64()) return std::nullopt;
    return json::object{{"error", *error}};
}

}  // namespace

/// One answer as it arrives, over as many connections as it takes.
class HttpTransport::Reading {
public:
    /// `id`: whose answer; null: nobody's.
    Reading(HttpTransport& transport, json::value id)
        : transport_(transport),
          id_(std::move(id)),
          events_(transport.options_.message_bytes_max,
                  [this](const EventReader::Event& event) { return take_event(event); }) {}

    bool take(const base::HttpClient::Response& head, std::span<const std::byte> bytes) {
        const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        head_ = head;
        if (streams(head)) {
            auto more = events_.feed(text);
            if (!more) error_ = std::move(more).error();
            return more && *more;
        }
        body_ += text;
        if (body_.size() <= transport_.options_.message_bytes_max) return true;
        error_ = base::Error{Code::payload_too_large,
                             fmt::format("{}: the answer is over {} bytes", transport_.options_.url,
                                         transport_.options_.message_bytes_max),
                             ""};
        return false;
    }
    static bool streams(const base::HttpClient::Response& head) {
        return head.status == 200 && is_type(head, "text/event-stream");
    }
    void next_connection() {
        events_.reconnected();
        body_.clear();
        head_.reset();
        heard_ = 0;
    }

    std::optional<json::object> outcome;  ///< the answer
    const std::optional<base::Error>& error() const { return error_; }
    const std::string& body() const { return body_; }
    const EventReader& events() const { return events_; }
    const std::optional<base::HttpClient::Response>& head() const { return head_; }
    std::size_t heard() const { return heard_; }  ///< events on this connection

    /// False: nothing more is wanted.
    bool take_message(const json::value& value) {
        auto message = read_message(value);
        if (!message) {
            transport_.warn_(
                fmt::format("left out what is no message: {}", message.error().message));
            return true;
        }
        if (message->kind != Message::Kind::response) {
            transport_.hear_(*message);
            return true;
        }
        if (!id_.is_null() && message->id == id_) {
            outcome = std::move(message->outcome);
            return false;
        }
        transport_.warn_(fmt::format("left out an answer to {}, which nobody asked here",
                                     excerpt(json::serialize(message->id))));
        return true;
    }

private:
    bool take_event(const EventReader::Event& event) {
        ++heard_;
        if (event.data.empty() || event.name != "message") return true;
        const auto value = base::parse_json(event.data);
        if (value) return take_message(*value);
        transport_.warn_("left out an event that is no JSON: " + value.error().message);
        return true;
    }

    HttpTransport& transport_;
    const json::value id_;
    EventReader events_;
    std::string body_;
    std::optional<base::HttpClient::Response> head_;
    std::optional<base::Error> error_;
    std::size_t heard_ = 0;
};

HttpTransport::HttpTransport(HttpTransportOptions options, Authorizer* authorizer)
    : options_(std::move(options)), authorizer_(authorizer), http_(without_stall(options_.http)) {}

HttpTransport::~HttpTransport() {
    close();
}

std::string HttpTransport::session() {
    const std::lock_guard lock(mutex_);
    return session_;
}

Result<void> HttpTransport::pause(std::chrono::milliseconds time, const Stop& stop) {
    constexpr std::chrono::milliseconds kAskEvery{200};
    std::unique_lock lock(mutex_);
    for (auto left = time; left.count() > 0; left -= std::min(left, kAskEvery)) {
        if (closing_.wait_for(lock, std::min(left, kAskEvery), [this] { return closed_; })) break;
        lock.unlock();
        if (auto why = stop()) return std::unexpected(*std::move(why));
        lock.lock();
    }
    if (closed_) return base::fail(Code::cancelled, "{}: the client is closed", options_.url);
    return {};
}

Result<HttpTransport::Sent> HttpTransport::send(const std::string& method, const Outgoing& out,
                                                Reading& reading, const Stop& stop) {
    base::HttpClient::Request request;
    request.method = method;
    request.url = options_.url;
    request.headers = options_.headers;
    request.headers.insert(request.headers.end(), out.headers.begin(), out.headers.end());
    if (method == "POST") {
        request.headers.emplace_back("Content-Type", "application/json");
        request.headers.emplace_back("Accept", "application/json, text/event-stream");
        request.body = base::to_text(out.message);
    } else if (method == "GET") {
        request.headers.emplace_back("Accept", "text/event-stream");
        if (!reading.events().last_id().empty()) {
            request.headers.emplace_back("Last-Event-ID", reading.events().last_id());
        }
    }
    if (const std::string id = session(); !id.empty()) {
        request.headers.emplace_back("Mcp-Session-Id", id);
    }
    Sent sent;
    if (authorizer_ != nullptr) sent.authorization = authorizer_->authorization();
    if (!sent.authorization.empty()) {
        request.headers.emplace_back("Authorization", sent.authorization);
    }
    request.follow_redirects = false;  // whoever is behind one was not asked for
    std::optional<base::Error> stopped;
    request.cancelled = [&] {
        {
            const std::lock_guard lock(mutex_);
            if (closed_) {
                stopped = base::Error{Code::cancelled, options_.url + ": the client is closed", ""};
            }
        }
        if (!stopped) stopped = stop();
        return stopped.has_value();
    };
    reading.next_connection();
    auto response = http_.send(
        request, [&](const base::HttpClient::Response& head, std::span<const std::byte> bytes) {
            return reading.take(head, bytes);
        });
    if (response) {
        sent.head = *std::move(response);
        return sent;
    }
    if (stopped) return std::unexpected(*std::move(stopped));
    if (reading.error()) return std::unexpected(*reading.error());
    if (reading.head() && (reading.outcome || Reading::streams(*reading.head()))) {
        sent.head =
            *reading.head();  // we hung up, or the stream broke off: both can be gone on with
        return sent;
    }
    return std::unexpected(std::move(response).error());
}

Result<HttpTransport::Sent> HttpTransport::send_authorized(const std::string& method,
                                                           const Outgoing& out, Reading& reading,
                                                           const Stop& stop) {
    for (unsigned tried = 0;; ++tried) {
        Sent sent = DG_TRY(send(method, out, reading, stop));
        const int status = sent.head.status;
        if (status != 401 && status != 403) return sent;
        std::vector<std::string> challenges;
        for (const auto& [name, value] : sent.head.headers) {
            if (equal_no_case(name, "WWW-Authenticate")) challenges.push_back(value);
        }
        if (status == 403 && challenges.empty()) {
            return base::fail(Code::permission_denied, "{} refuses this (403): {}", options_.url,
                              excerpt(reading.body()));
        }
        if (authorizer_ == nullptr) {
            return base::fail(
                status == 401 ? Code::unauthenticated : Code::permission_denied,
                "{} wants to know who asks ({}): sign in, or give a key it knows in a header",
                options_.url, status);
        }
        if (tried >= options_.authorizations_max) {
            return base::fail(Code::permission_denied,
                              "{} refuses this after {} sign-ins; ask its owner which rights this "
                              "needs",
                              options_.url, tried);
        }
        DG_TRY(authorizer_->refused(status, challenges, sent.authorization, stop));
    }
}

Result<std::optional<Answer>> HttpTransport::answer_of(const Sent& sent, Reading& reading) {
    const int status = sent.head.status;
    if (const auto id = sent.head.header("Mcp-Session-Id"); id && !id->empty() && status == 200) {
        const std::lock_guard lock(mutex_);
        session_ = *id;
    }
    if (Reading::streams(sent.head)) {
        if (!reading.outcome) return std::nullopt;
        return Answer{*std::move(reading.outcome), status};
    }
    if (status == 404 && !session().empty()) {
        const std::lock_guard lock(mutex_);
        session_.clear();
        return base::fail_on(std::string(kSessionGone), Code::failed_precondition,
                             "{} knows our session no more", options_.url);
    }
    const bool success = status >= 200 && status < 300;
    auto body = base::parse_json(reading.body());
    if (!success) {
        auto error = body ? protocol_error(*body) : std::nullopt;
        if (error) return Answer{*std::move(error), status};
        std::string said =
            fmt::format("{} answers {} {}", options_.url, status, base::http::status_text(status));
        if (status >= 300 && status < 400) {
            said += fmt::format(", to {}: use that address if you trust it",
                                sent.head.header("Location").value_or("nowhere"));
        } else if (!reading.body().empty()) {
            said += ": " + excerpt(reading.body());
        }
        return Answer{{{"error", {{"code", 0}, {"message", said}}}}, status};
    }
    if (!body) {
        return base::fail(
            Code::data_loss, "{} answers {} with what is no JSON ({}); is it an MCP server?",
            options_.url, status, reading.body().empty() ? "nothing" : body.error().message);
    }
    reading.take_message(*body);
    if (reading.outcome) return Answer{*std::move(reading.outcome), status};
    if (auto error = protocol_error(*body)) return Answer{*std::move(error), status};
    return base::fail(Code::data_loss, "{} answers with something else than was asked: {}",
                      options_.url, excerpt(reading.body()));
}

Result<Answer> HttpTransport::ask(const Outgoing& request, const Stop& stop) {
    Reading reading(*this, request.message.at("id"));
    {
        const std::lock_guard lock(mutex_);
        last_headers_.headers = request.headers;
    }
    const Sent sent = DG_TRY(send_authorized("POST", request, reading, stop));
    if (auto answer = DG_TRY(answer_of(sent, reading))) return *std::move(answer);
    if (request.resumable && !reading.events().last_id().empty()) {
        return resume(request, reading, stop);
    }
    return base::fail(Code::unavailable,
                      "{}: the stream ended before the answer; what was asked may have happened",
                      options_.url);
}

Result<Answer> HttpTransport::resume(const Outgoing& request, Reading& reading, const Stop& stop) {
    std::string last_fault = "the stream ended";
    Outgoing again{.message = {}, .headers = request.headers, .resumable = true};
    for (unsigned tried = 0; tried < options_.reconnects_max; ++tried) {
        const auto wait = reading.events().retry_ms()
                              ? std::chrono::milliseconds(*reading.events().retry_ms())
                              : kRetryDefault;
        DG_TRY(pause(std::min(wait, options_.retry_max), stop));
        auto sent = send_authorized("GET", again, reading, stop);
        if (!sent) {
            if (sent.error().code != Code::unavailable) return std::unexpected(sent.error());
            last_fault = sent.error().message;
            continue;
        }
        if (auto answer = DG_TRY(answer_of(*sent, reading))) {
            return *std::move(answer);
        }
        if (reading.heard() > 1) tried = 0;  // more than an id to come back to
    }
    return base::fail(Code::unavailable,
                      "{}: the stream broke off {} times in a row before the answer ({}); what was "
                      "asked may have happened",
                      options_.url, options_.reconnects_max, last_fault);
}

Result<void> HttpTransport::tell(const Outgoing& message) {
    Reading reading(*this, nullptr);
    const Stop never = [] { return std::nullopt; };
    const Sent sent = DG_TRY(send_authorized("POST", message, reading, never));
    if (sent.head.status >= 200 && sent.head.status < 300) return {};
    return base::fail(Code::unavailable, "{} answers {} to a message that needs no answer: {}",
                      options_.url, sent.head.status, excerpt(reading.body()));
}

void HttpTransport::open_standing(const Outgoing& headers_of) {
    const std::lock_guard lock(mutex_);
    if (closed_ || standing_.joinable()) return;
    standing_ = std::thread([this, headers_of] { stand(headers_of); });
}

void HttpTransport::stand(const Outgoing& headers_of) {
    Reading reading(*this, nullptr);
    const Stop never = [] { return std::nullopt; };
    for (unsigned failed = 0; failed < options_.reconnects_max;) {
        const auto sent = send("GET", headers_of, reading, never);
        // It has no such stream, and need not; a session that is gone may be followed by another.
        if (sent && !Reading::streams(sent->head) && sent->head.status != 404) return;
        failed = sent && reading.heard() > 0 ? 0 : failed + 1;
        const auto wait = reading.events().retry_ms()
                              ? std::chrono::milliseconds(*reading.events().retry_ms())
                              : kRetryDefault;
        if (!pause(std::min(wait, options_.retry_max), never)) return;
    }
}

void HttpTransport::close() {
    std::thread standing;
    Outgoing headers;
    {
        const std::lock_guard lock(mutex_);
        if (closed_) return;
        closed_ = true;
        standing = std::move(standing_);
        headers = last_headers_;
    }
    closing_.notify_all();
    if (standing.joinable()) standing.join();
    if (session().empty()) return;
    // A courtesy: the server may forget the session now. Whether it does is its own matter.
    base::HttpClient::Request request;
    request.method = "DELETE";
    request.url = options_.url;
    request.headers = options_.headers;
    request.headers.insert(request.headers.end(), headers.headers.begin(), headers.headers.end());
    request.headers.emplace_back("Mcp-Session-Id", session());
    if (authorizer_ != nullptr) {
        if (const std::string value = authorizer_->authorization(); !value.empty()) {
            request.headers.emplace_back("Authorization", value);
        }
    }
    request.timeout = std::chrono::milliseconds(2'000);
    request.body_bytes_max = 64 << 10;
    static_cast<void>(http_.send(request));
}

}  // namespace agent::mcp
