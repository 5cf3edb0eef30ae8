#include "sphere/net/domain.h"

#include <arpa/inet.h>

#include <algorithm>
#include <boost/url/parse.hpp>
#include <charconv>

namespace sphere::net {
namespace {

using base::Code;
using base::Result;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool label_ok(std::string_view label) {
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
           std::ranges::all_of(label, [](char c) {
               return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
           });
}

/// A last label of digits or 0x... makes inet_aton, and so many clients, read an address.
bool reads_as_number(std::string_view label) {
    return std::ranges::all_of(label, is_digit) || label.starts_with("0x");
}

std::unexpected<base::Error> bad_host(std::string_view text) {
    return base::fail(Code::invalid_argument, "'{}' is not a plain host name or URL",
                      text.substr(0, 200));
}

bool port_ok(std::string_view port) {
    return port.size() <= 5 && std::ranges::all_of(port, is_digit);
}

}  // namespace

Result<std::string> normal_host(std::string_view host) {
    std::string out;
    for (const char c : host) out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (out.ends_with('.')) out.pop_back();
    if (out.empty() || out.size() > 253) return bad_host(host);
    in_addr address{};
    if (::inet_pton(AF_INET, out.c_str(), &address) == 1) return out;
    std::string_view rest = out;
    while (true) {
        const std::size_t dot = rest.find('.');
        const std::string_view label = rest.substr(0, dot);
        if (!label_ok(label)) return bad_host(host);
        if (dot == std::string_view::npos) {
            if (reads_as_number(label)) return bad_host(host);
            return out;
        }
        rest.remove_prefix(dot + 1);
    }
}

Result<void> check_domain_pattern(const std::string& pattern) {
    const std::string_view name =
        std::string_view(pattern).substr(pattern.starts_with("*.") ? 2 : 0);
    const auto host = normal_host(name);
    if (host && *host == name && (name.size() == pattern.size() || name.find('.') != name.npos)) {
        return {};
    }
    return base::fail(Code::invalid_argument,
                      "'{}' is not a domain such as example.org or *.example.org, in lower case",
                      pattern.substr(0, 200));
}

Result<DomainRule> parse_domain_rule(std::string_view text) {
    DomainRule rule;
    const std::size_t colon = text.find(':');
    rule.pattern = text.substr(0, colon);
    if (colon != std::string_view::npos) {
        const std::string_view digits = text.substr(colon + 1);
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), rule.port);
        if (error != std::errc() || end != digits.data() + digits.size() || rule.port == 0) {
            return base::fail(Code::invalid_argument, "'{}': the port goes from 1 to 65535",
                              text.substr(0, 200));
        }
    }
    DG_TRY(check_domain_pattern(rule.pattern));
    return rule;
}

bool DomainRule::covers(const DomainRule& asked) const {
    const bool ports = asked.port == 0 ? port == 0 : has_port(asked.port);
    return ports && pattern_covers(pattern, asked.pattern);
}

Result<std::string> host_of(std::string_view text) {
    if (text.find("://") == std::string_view::npos) {
        const std::size_t colon = text.find(':');
        if (colon != std::string_view::npos && !port_ok(text.substr(colon + 1))) {
            return bad_host(text);
        }
        return normal_host(text.substr(0, colon));
    }
    const auto url = boost::urls::parse_uri(text);
    if (!url || !url->has_authority() || url->has_userinfo() ||
        url->host_type() == boost::urls::host_type::ipv6) {
        return bad_host(text);
    }
    const auto host = url->encoded_host();
    return normal_host({host.data(), host.size()});
}

bool domain_matches(std::string_view pattern, std::string_view host) {
    if (!pattern.starts_with("*.")) return host == pattern;
    const std::string_view suffix = pattern.substr(1);
    return host.size() > suffix.size() && host.ends_with(suffix);
}

bool pattern_covers(std::string_view allowed, std::string_view asked) {
    if (allowed == asked) return true;
    if (asked.starts_with("*.")) asked.remove_prefix(2);
    return domain_matches(allowed, asked);
}

}  // namespace sphere::net
