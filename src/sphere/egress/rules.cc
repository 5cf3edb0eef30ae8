#include "sphere/egress/rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace sphere::egress {

Rules::Rules(const NetworkPolicy& policy) : everything_(policy.mode == NetworkMode::full) {
    for (const std::string& text : policy.allow_domains) {
        if (auto rule = net::parse_domain_rule(text)) domains_.push_back(std::move(*rule));
    }
    for (const std::string& text : policy.allow_cidrs) {
        if (const auto range = net::parse_cidr(text)) ranges_.push_back(*range);
    }
}

bool Rules::named(const net::Address& address) const {
    return std::ranges::any_of(ranges_, [&](const auto& range) { return range.contains(address); });
}

Refusal Rules::refuse_name(std::string_view name, std::uint16_t port) const {
    if (everything_) return std::nullopt;
    bool other_port = false;
    for (const net::DomainRule& rule : domains_) {
        if (!net::domain_matches(rule.pattern, name)) continue;
        if (rule.has_port(port)) return std::nullopt;
        other_port = true;
    }
    return other_port ? fmt::format("allow_domains names {}, not its port {}", name, port)
                      : fmt::format("{} is not in allow_domains", name);
}

Refusal Rules::refuse_lookup(std::string_view name) const {
    const bool listed = std::ranges::any_of(domains_, [&](const net::DomainRule& rule) {
        return net::domain_matches(rule.pattern, name);
    });
    if (everything_ || listed) return std::nullopt;
    return fmt::format("{} is not in allow_domains", name);
}

Refusal Rules::refuse_address(const net::Address& address) const {
    if (named(address)) return std::nullopt;
    if (const auto why = refuse_resolved(address)) return why;
    const std::string text = net::to_text(address);
    const bool literal = std::ranges::any_of(
        domains_, [&](const net::DomainRule& rule) { return rule.pattern == text; });
    if (everything_ || literal) return std::nullopt;
    return fmt::format("{} is not in allow_cidrs", text);
}

Refusal Rules::refuse_resolved(const net::Address& address) const {
    const std::string_view closed = net::closed_range(address);
    if (closed.empty() || named(address)) return std::nullopt;
    return fmt::format("{} is {}; only allow_cidrs opens it", net::to_text(address), closed);
}

std::vector<std::uint16_t> listened_ports(const NetworkPolicy& policy) {
    if (policy.mode <= NetworkMode::loopback) return {};
    std::set<std::uint16_t> ports{80, 443};
    for (const std::string& text : policy.allow_domains) {
        const auto rule = net::parse_domain_rule(text);
        if (rule && rule->port != 0) ports.insert(rule->port);
    }
    // What programs speak most beside HTTP; low ones, which no program of a box could bind itself.
    if (policy.mode == NetworkMode::full) ports.insert({22, 9418});
    // The broker's own; what is at a host's 1080 or 3128 is reached through the proxies.
    for (const std::uint16_t taken : {53, 1080, 3128}) ports.erase(taken);
    return {ports.begin(), ports.end()};
}

}  // namespace sphere::egress
