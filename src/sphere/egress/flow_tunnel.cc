// Tunnels: what is said first must be about the allowed name; then bytes go through, counted.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sphere/egress/client_hello.h"
#include "sphere/egress/exchange.h"
#include "sphere/egress/flow.h"

namespace sphere::egress {
namespace {

constexpr std::chrono::minutes kIdleTime{15};
constexpr char kTlsHandshake = 22;

enum class Begins { other, http, http2, unknown };

/// Of a program's first bytes: the beginning of an HTTP request, or not, or too early to tell.
Begins first_words(std::string_view bytes) {
    constexpr std::array<std::string_view, 10> kWords = {
        "GET ",     "HEAD ",  "POST ",  "PUT ",     "DELETE ",
        "OPTIONS ", "PATCH ", "TRACE ", "CONNECT ", "PRI * HTTP/2"};
    for (const std::string_view word : kWords) {
        const std::size_t common = std::min(word.size(), bytes.size());
        if (bytes.substr(0, common) != word.substr(0, common)) continue;
        if (common < word.size()) return Begins::unknown;
        return word == kWords.back() ? Begins::http2 : Begins::http;
    }
    return Begins::other;
}

}  // namespace

/// At these ports the program does; elsewhere (SSH, SMTP) the server may.
bool Flow::speaks_first() const {
    return target_->port != 80 && target_->port != 443;
}

bool Flow::step_first_bytes() {
    const bool early = speaks_first() && relay(up_, client_, false);
    if (retired() || stage_ != Stage::first_bytes) return false;
    if (client_.in.empty()) {
        if (read_more(client_)) return true;
        if (client_.ended || over_) stage_ = Stage::tunnel;  // which ends it
        return client_.ended || over_ || early;
    }
    if (client_.in[0] == kTlsHandshake) return check_hello() || early;
    switch (first_words(client_.in)) {
        case Begins::unknown:
            if (read_more(client_)) return true;
            if (client_.ended) stage_ = Stage::tunnel;
            return client_.ended || early;
        case Begins::http:
            attempt_->set_protocol("http");
            stage_ = Stage::http_idle;
            return true;
        case Begins::http2:
            refuse("HTTP/2 without TLS is not looked into; use HTTP/1.1");
            return true;
        case Begins::other:
            break;
    }
    if (!speaks_first()) {
        refuse(fmt::format("what is said at port {} is neither TLS nor HTTP", target_->port));
        return true;
    }
    stage_ = Stage::tunnel;
    return true;
}

bool Flow::check_hello() {
    const ClientHello hello = read_client_hello(client_.in);
    if (hello.state == ClientHello::State::partial && !client_.ended &&
        client_.in.size() < kBufferBytes) {
        return read_more(client_);
    }
    if (hello.state != ClientHello::State::whole) {
        refuse("its TLS ClientHello cannot be read");
    } else if (hello.encrypted) {
        refuse("its TLS ClientHello hides the server's name (ECH)");
    } else if (hello.server_name.empty()) {
        refuse(fmt::format("its TLS names no server; {} was asked for", target_->name));
    } else if (const auto named = parse_target(hello.server_name, target_->port);
               !named || *named != *target_) {
        refuse(fmt::format("its TLS is for {:.100}, the connection for {}", hello.server_name,
                           target_->name));
    } else {
        stage_ = Stage::tunnel;
        set_deadline(kIdleTime);
    }
    return true;
}

bool Flow::step_tunnel() {
    bool moved = relay(client_, up_, true);
    if (retired()) return false;
    moved = relay(up_, client_, false) || moved;
    if (retired()) return false;
    if (moved) set_deadline(kIdleTime);
    if (over_ && client_.out.empty() && up_.out.empty()) {
        cut_over_budget();
        return true;
    }
    if (client_.shut && up_.shut) {
        attempt_->finish();
        on_cut("");
        return false;
    }
    return moved;
}

/// Moves what one side has said to the other. Nothing is read while anything waits to be written.
bool Flow::relay(Side& from, Side& to, bool outwards) {
    if (over_ || !to.out.empty()) return false;
    const auto count = [&](std::size_t bytes) {
        outwards ? attempt_->count_out(bytes) : attempt_->count_in(bytes);
    };
    const std::uint64_t left = box_.bytes_left();
    if (!from.in.empty()) {
        const auto allowed =
            static_cast<std::size_t>(std::min<std::uint64_t>(left, from.in.size()));
        over_ = allowed < from.in.size();
        count(allowed);
        to.out.assign(from.in, 0, allowed);
        from.in.clear();
        return true;
    }
    if (from.ended) {
        if (to.shut) return false;
        to.link.end_writing();
        to.shut = true;
        return true;
    }
    if (left == 0) {
        const ssize_t waits = from.link.peek();
        over_ = waits > 0;
        from.ended = waits == 0;
        return waits >= 0;
    }
    const auto scratch = core_.scratch();
    const auto most = static_cast<std::size_t>(std::min<std::uint64_t>(left, scratch.size()));
    const ssize_t got = from.link.read(scratch.data(), most);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
    if (got <= 0) {
        from.ended = true;
        return true;
    }
    const auto bytes = static_cast<std::size_t>(got);
    count(bytes);
    ssize_t put = to.link.write(scratch.data(), bytes);
    if (put < 0 && errno != EAGAIN && errno != EINTR) {
        on_cut("");
        return false;
    }
    put = std::max<ssize_t>(put, 0);
    to.out.assign(scratch.data() + put, bytes - static_cast<std::size_t>(put));
    return true;
}

}  // namespace sphere::egress
