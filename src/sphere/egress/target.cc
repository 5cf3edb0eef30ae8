#include "sphere/egress/target.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "base/http/message.h"
#include "sphere/net/domain.h"

namespace sphere::egress {
namespace {

using base::Code;
using base::Result;

std::unexpected<base::Error> bad(std::string_view text) {
    return base::fail(Code::invalid_argument, "'{}' is not a plain host and port",
                      text.substr(0, 200));
}

Result<std::uint16_t> read_port(std::string_view digits, std::string_view whole) {
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (digits.empty() || error != std::errc() || end != digits.data() + digits.size() ||
        port == 0) {
        return bad(whole);
    }
    return port;
}

}  // namespace

std::string to_text(const Target& target) {
    if (!target.by_name()) return net::to_text(net::Endpoint{target.address, target.port});
    return fmt::format("{}:{}", target.name, target.port);
}

Result<Target> parse_target(std::string_view authority, std::uint16_t default_port) {
    Target target;
    target.port = default_port;
    std::string_view host = authority, rest;
    const bool bracketed = authority.starts_with('[');
    const std::size_t end = bracketed ? authority.find(']') : authority.find(':');
    if (bracketed && end == std::string_view::npos) return bad(authority);
    if (end != std::string_view::npos) {
        host = bracketed ? authority.substr(1, end - 1) : authority.substr(0, end);
        rest = authority.substr(bracketed ? end + 1 : end);
    }
    if (!rest.empty()) {
        if (rest.front() != ':') return bad(authority);
        target.port = DG_TRY(read_port(rest.substr(1), authority));
    }
    if (target.port == 0) return bad(authority);
    const auto address = net::parse_address(host);
    if (bracketed != (host.find(':') != std::string_view::npos)) return bad(authority);
    if (address) {
        target.address = *address;
        return target;
    }
    if (bracketed) return bad(authority);
    target.name = DG_TRY(net::normal_host(host));
    // "1.2.3.4." is an address to some, and normal_host takes its dot away.
    if (const auto hidden = net::parse_address(target.name)) {
        target.address = *hidden;
        target.name.clear();
    }
    return target;
}

Result<Target> parse_http_url(std::string_view url, std::string& path) {
    constexpr std::string_view kScheme = "http://";
    if (url.size() <= kScheme.size() ||
        !base::http::equal_no_case(url.substr(0, kScheme.size()), kScheme)) {
        return bad(url);
    }
    url.remove_prefix(kScheme.size());
    const std::size_t end = url.find_first_of("/?#\\@");
    const std::string_view authority = url.substr(0, end);
    path = end == std::string_view::npos ? "/" : std::string(url.substr(end));
    if (path.front() == '?') path.insert(path.begin(), '/');
    if (path.front() != '/' || path.find('#') != std::string::npos) return bad(url);
    return parse_target(authority, 80);
}

}  // namespace sphere::egress
