// HTTP requests, one after the other: each is checked, goes to the host it names, and its answer
// comes back before the next is looked at.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "sphere/egress/exchange.h"
#include "sphere/egress/flow.h"
#include "sphere/net/domain.h"

namespace sphere::egress {
namespace {

using base::http::equal_no_case;
using base::http::Headers;

constexpr std::chrono::seconds kDrainTime{5}, kIdleTime{60};
constexpr std::chrono::minutes kAnswerTime{15};

/// About one connection only, or rebuilt here.
bool is_hop_header(std::string_view name) {
    constexpr std::string_view kNames[] = {"Host",    "Connection", "Proxy-Connection",
                                           "Upgrade", "Keep-Alive", "Proxy-Authorization",
                                           "TE"};
    return std::ranges::any_of(kNames, [&](auto each) { return equal_no_case(each, name); });
}

/// Ways to have a server cut or encode its answer so that a secret in it is not found again.
bool hides_answer(std::string_view name) {
    constexpr std::string_view kNames[] = {"Accept-Encoding", "Range", "If-Range"};
    return std::ranges::any_of(kNames, [&](auto each) { return equal_no_case(each, name); });
}

}  // namespace

std::uint16_t secret_port(const SecretValue& secret, const Target& target) {
    if (secret.header.empty() || !target.by_name()) return 0;
    for (const std::string& text : secret.domains) {
        const auto rule = net::parse_domain_rule(text);
        if (!rule || !net::domain_matches(rule->pattern, target.name)) continue;
        if (rule->port == 443 && target.port == 80) return 443;
        if (rule->has_port(target.port) && target.port != 443) return target.port;
    }
    return 0;
}

bool Flow::step_request() {
    std::size_t used = 0;
    auto parsed = net::parse_request_head(client_.in, used);
    if (!parsed) {
        if (!attempt_) attempt_.emplace(core_, box_, target_ ? to_text(*target_) : "proxy", "http");
        attempt_->refuse(parsed.error().message);
        answer_http(400, parsed.error().message);
        return true;
    }
    if (*parsed) {
        client_.in.erase(0, used);
        start_request(std::move(**parsed));
        return true;
    }
    if (read_more(client_)) return true;
    if (!client_.ended) return false;
    on_cut("");
    return false;
}

/// Why the request is not one that can be judged; nothing when `target` and `path` are filled in.
std::optional<std::string> Flow::read_request_target(net::RequestHead& head, Target& target,
                                                     std::string& path) const {
    path = head.target;
    const bool absolute = path.front() != '/' && path != "*";
    if (target_) target = *target_;
    if (absolute || !target_) {
        const auto named = parse_http_url(head.target, path);
        if (!named) return named.error().message;
        if (target_ && *named != *target_ && inspected()) {
            return fmt::format("the request is for {}, the connection for {}", to_text(*named),
                               to_text(*target_));
        }
        if (!target_) target = *named;
    }
    std::size_t hosts = 0;
    for (const auto& [name, value] : head.headers.fields()) {
        if (!equal_no_case(name, "Host")) continue;
        const auto host = parse_target(value, target.port);
        if (++hosts > 1) return "the request has two Host headers";
        if (inspected() && (!host || *host != target)) {
            return fmt::format("Host is {:.100}, the connection is for {}", value, to_text(target));
        }
    }
    return std::nullopt;
}

void Flow::start_request(net::RequestHead head) {
    const bool proxy = kind_ == Listener::Kind::http_proxy && !target_;
    const auto bad = [&](std::string target, const std::string& why, int status) {
        if (!attempt_ || !attempt_->open()) {
            attempt_.emplace(core_, box_, std::move(target), "http");
        }
        attempt_->refuse(why);
        answer_http(status, why);
    };
    if (proxy && head.method == "CONNECT") {
        const auto target = parse_target(head.target, 0);
        if (!target) return bad(head.target.substr(0, 200), target.error().message, 403);
        if (!may_be_http(*target)) return open_tunnel(*target);
        if (const Refusal why = refuse_target(*target)) return bad(to_text(*target), *why, 403);
        target_ = *target;
        client_.out += "HTTP/1.1 200 Connection established\r\n\r\n";
        stage_ = Stage::http_idle;
        return;
    }
    Target target;
    std::string path;
    if (const auto why = read_request_target(head, target, path)) {
        const std::string shown = target.port != 0 ? to_text(target) : head.target.substr(0, 200);
        return bad(shown, *why, 403);
    }
    auto exchange = std::make_unique<Exchange>(std::move(head));
    exchange->path = std::move(path);
    bool tls = false;
    for (const SecretValue& secret : box_.secrets) {
        const std::uint16_t port = secret_port(secret, target);
        if (port == 0 || (port != 443 && tls)) continue;
        if (port == 443 && !tls) exchange->secrets.clear();  // the other ones are for plain HTTP
        tls = port == 443;
        exchange->secrets.push_back(&secret);
    }
    if (tls) target.port = 443;
    // The first request of a tunnel is the attempt that opened it.
    if (!attempt_ || !attempt_->open()) {
        attempt_.emplace(core_, box_, to_text(target), "http");
        if (const Refusal why = refuse_target(target)) return bad("", *why, 403);
        if (const Refusal why = attempt_->admit()) return bad("", *why, 403);
    }
    if (!exchange->secrets.empty()) exchange->mask.emplace(box_.redactor);
    exchange_ = std::move(exchange);
    const bool reusable = up_ready_ && up_target_ == target && up_tls_ == tls && !up_.ended &&
                          (tls || up_.link.peek() < 0);
    if (reusable) return send_request();
    connect_to(target, tls);
}

void Flow::send_request() {
    Exchange& x = *exchange_;
    const bool plain_port = up_target_.port == (up_tls_ ? 443 : 80);
    std::string host = to_text(up_target_);
    if (plain_port) host.resize(host.rfind(':'));
    std::string head =
        fmt::format("{} {} HTTP/1.{}\r\nHost: {}\r\n", x.head.method, x.path, x.head.minor, host);
    Headers headers;
    for (const auto& [name, value] : x.head.headers.fields()) {
        const bool replaced = std::ranges::any_of(x.secrets, [&](const SecretValue* secret) {
            return equal_no_case(secret->header, name);
        });
        if (is_hop_header(name) || replaced || (!x.secrets.empty() && hides_answer(name))) continue;
        headers.add(name, value);
    }
    for (const SecretValue* secret : x.secrets) headers.add(secret->header, secret->value);
    if (!x.secrets.empty()) headers.add("Accept-Encoding", "identity");
    if (!x.head.keep_alive) headers.add("Connection", "close");
    net::append_headers(head, headers);
    stage_ = Stage::http;
    set_deadline(kAnswerTime);
    if (head.size() > box_.bytes_left()) return cut_over_budget();
    attempt_->count_out(head.size());
    up_.out += head;
}

void Flow::answer_http(int status, const std::string& text) {
    exchange_.reset();
    up_ready_ = false;
    up_ = Side();
    client_.out += fmt::format(
        "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n"
        "Connection: close\r\n\r\n{}\n",
        status, base::http::status_text(status), text.size() + 1, text);
    stage_ = Stage::draining;
    set_deadline(kDrainTime);
}

bool Flow::step_exchange() {
    bool moved = move_request_body();
    if (retired() || stage_ != Stage::http) return true;
    moved = move_response() || moved;
    if (retired() || stage_ != Stage::http) return true;
    if (exchange_->answer_done) {
        end_exchange();
        return true;
    }
    if (moved) set_deadline(kAnswerTime);
    return moved;
}

bool Flow::move_request_body() {
    Exchange& x = *exchange_;
    if (x.request_done || up_.out.size() >= kBufferBytes) return false;
    if (client_.in.empty()) {
        if (read_more(client_)) return true;
        if (client_.ended) on_cut("");
        return false;
    }
    const std::uint64_t left = box_.bytes_left();
    if (left == 0) {
        cut_over_budget();
        return true;
    }
    const std::size_t most =
        static_cast<std::size_t>(std::min<std::uint64_t>(left, client_.in.size()));
    const auto took = x.body.take(std::string_view(client_.in).substr(0, most), nullptr);
    if (!took) {
        drop(took.error().message);
        return false;
    }
    up_.out.append(client_.in, 0, *took);
    client_.in.erase(0, *took);
    attempt_->count_out(*took);
    x.request_done = x.body.done();
    return true;
}

bool Flow::move_response() {
    Exchange& x = *exchange_;
    if (client_.out.size() >= kBufferBytes) return false;
    if (!x.answer) return read_response_head();
    if (!x.answer->done() && up_.in.empty()) {
        if (read_more(up_)) return true;
        if (!up_.ended) return false;
        if (!x.answer->until_close()) {  // cut short there, so cut short here
            attempt_->finish();
            x.keep_client = false;
        }
        x.answer_done = true;
        return true;
    }
    const std::uint64_t left = box_.bytes_left();
    const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(left, up_.in.size()));
    if (most == 0 && !x.answer->done()) {
        cut_over_budget();
        return true;
    }
    std::string payload;
    const auto took =
        x.answer->take(std::string_view(up_.in).substr(0, most), x.mask ? &payload : nullptr);
    if (!took) {
        drop(took.error().message);
        return false;
    }
    if (x.mask) {
        emit_body(payload);
    } else {
        client_.out.append(up_.in, 0, *took);
    }
    up_.in.erase(0, *took);
    attempt_->count_in(*took);
    x.answer_done = x.answer->done();
    return true;
}

bool Flow::read_response_head() {
    Exchange& x = *exchange_;
    std::size_t used = 0;
    auto parsed = net::parse_response_head(up_.in, x.head.method, used);
    const auto fail = [&](const std::string& why) {
        attempt_->finish();
        answer_http(502, why);
        return true;
    };
    if (!parsed) return fail(parsed.error().message);
    if (!*parsed) {
        if (read_more(up_)) return true;
        if (up_.ended) return fail(fmt::format("{} ended without an answer", to_text(up_target_)));
        return false;
    }
    if (used > box_.bytes_left()) {
        cut_over_budget();
        return true;
    }
    net::ResponseHead& head = **parsed;
    if (head.status == 101) return fail("the server changes the protocol, which was not asked for");
    attempt_->count_in(used);
    up_.in.erase(0, used);
    if (head.status >= 200) {
        const std::string_view encoding = head.headers.get("Content-Encoding");
        if (x.mask && !encoding.empty() && !equal_no_case(encoding, "identity")) {
            attempt_->refuse("an encoded answer cannot be searched for a secret");
            answer_http(502, "an encoded answer cannot be searched for a secret");
            return true;
        }
        x.keep_up = head.keep_alive;
        x.keep_client = x.head.keep_alive && head.framing.kind != net::Framing::Kind::until_close;
        x.rechunk = x.mask && head.framing.kind == net::Framing::Kind::chunked;
        x.answer.emplace(head.framing);
    }
    emit_response_head(head);
    return true;
}

void Flow::emit_response_head(const net::ResponseHead& head) {
    Exchange& x = *exchange_;
    std::string text = fmt::format("HTTP/1.1 {} {}\r\n", head.status, head.reason);
    Headers headers;
    for (const auto& [name, value] : head.headers.fields()) {
        if (!is_hop_header(name) || equal_no_case(name, "Host")) headers.add(name, value);
    }
    if (head.status >= 200 && !x.keep_client) headers.add("Connection", "close");
    if (head.status >= 200 && x.keep_client && x.head.minor == 0) {
        headers.add("Connection", "keep-alive");
    }
    net::append_headers(text, headers);
    if (!x.mask) {
        client_.out += text;
        return;
    }
    audit::Redactor::Mask mask(box_.redactor);
    mask.feed(text, client_.out);
    mask.finish(client_.out);
}

/// Through the mask; chunks get new borders, or a secret could be cut by theirs.
void Flow::emit_body(std::string_view payload) {
    Exchange& x = *exchange_;
    std::string masked;
    x.mask->feed(payload, masked);
    if (x.answer->done()) x.mask->finish(masked);
    if (!x.rechunk) {
        client_.out += masked;
        return;
    }
    if (!masked.empty()) client_.out += fmt::format("{:x}\r\n{}\r\n", masked.size(), masked);
    if (x.answer->done()) client_.out += "0\r\n\r\n";
}

void Flow::end_exchange() {
    Exchange& x = *exchange_;
    if (x.mask && x.answer->until_close()) x.mask->finish(client_.out);
    attempt_->finish();
    const bool keep_client = x.keep_client && x.request_done && !client_.ended;
    const bool keep_up = x.keep_up && x.request_done && up_.in.empty() && !up_.ended;
    exchange_.reset();
    if (!keep_up) {
        up_ = Side();
        up_ready_ = false;
    }
    stage_ = !keep_client ? Stage::draining : target_ ? Stage::http_idle : Stage::proxy_idle;
    set_deadline(keep_client ? base::Duration(kIdleTime) : base::Duration(kDrainTime));
}

}  // namespace sphere::egress
