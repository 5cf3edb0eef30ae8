#include "base/http/site_guard.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

namespace base::http {
namespace {

bool is_ip_address(const std::string& text) {
    unsigned char bytes[sizeof(in6_addr)];
    return inet_pton(AF_INET, text.c_str(), bytes) == 1 ||
           inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

/// The name in "name:port", "name" or "[v6]:port"; without the dot that ends a full name.
std::string_view host_name(std::string_view host) {
    if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
    host = host.substr(0, host.rfind(':'));
    if (host.ends_with('.')) host.remove_suffix(1);
    return host;
}

bool ends_with_no_case(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && equal_no_case(text.substr(text.size() - end.size()), end);
}

bool listed(const std::vector<std::string>& list, std::string_view item) {
    return std::ranges::any_of(
        list, [&](std::string_view one) { return one == "*" || equal_no_case(one, item); });
}

/// An address cannot be rebound, and browsers resolve localhost themselves (RFC 6761).
bool expected_host(std::string_view host, const SitePolicy& policy) {
    const std::string_view name = host_name(host);
    return is_ip_address(std::string(name)) || equal_no_case(name, "localhost") ||
           ends_with_no_case(name, ".localhost") || listed(policy.hosts, name);
}

/// "http://a:1" of a request whose Host is "a:1".
bool same_origin(std::string_view origin, std::string_view host) {
    const std::size_t scheme = origin.find("://");
    return scheme != std::string_view::npos && equal_no_case(origin.substr(scheme + 3), host);
}

/// A browser lets every page read and write a WebSocket: only the server can say no.
bool changes_nothing(const Request& request) {
    if (list_has_token(request.headers.get("Upgrade"), "websocket")) return false;
    return request.method == "GET" || request.method == "HEAD" || request.method == "OPTIONS";
}

}  // namespace

bool is_loopback(std::string_view address) {
    return address == "::1" || address == "localhost" || address.starts_with("127.");
}

std::optional<std::string> refuse_foreign_site(const Request& request, const SitePolicy& policy) {
    const std::string_view host = request.headers.get("Host");
    if (policy.check_host && !host.empty() && !expected_host(host, policy)) {
        return fmt::format(
            "the host name '{}' is not expected on this machine's own address; use 127.0.0.1 or "
            "localhost, or add the name to server.allowed_hosts",
            host_name(host).substr(0, 100));
    }
    if (changes_nothing(request)) return std::nullopt;
    // Browsers set this one themselves, and a proxy that rewrites Host does not confuse it.
    const std::string_view site = request.headers.get("Sec-Fetch-Site");
    if (site == "same-origin" || site == "none") return std::nullopt;
    const std::string_view origin = request.headers.get("Origin");
    if (site.empty() && (origin.empty() || same_origin(origin, host))) return std::nullopt;
    if (listed(policy.origins, origin)) return std::nullopt;
    return fmt::format(
        "a page of '{}' may not use this server; add that origin to server.cors_origins to allow "
        "it",
        origin.empty() ? "another site" : origin.substr(0, 100));
}

}  // namespace base::http
