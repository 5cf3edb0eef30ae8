// What a sandbox asks for against what its policy allows at most.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "sphere/net/cidr.h"
#include "sphere/net/domain.h"
#include "sphere/policy/policy_set.h"
#include "sphere/spec_words.h"

namespace sphere::policy {
namespace {

using base::Code;
using base::Result;

/// Remembers the first field that is over, so that the checks read as a list.
class Ceilings {
public:
    explicit Ceilings(const Policy& policy) : policy_(policy) {}

    template <class T>
    void at_most(std::string_view field, T asked, T allowed) {
        if (asked > allowed) refuse(field, fmt::format("{}", asked), fmt::format("{}", allowed));
    }
    /// Of something where 0 asks for no limit.
    void bounded(std::string_view field, std::uint64_t asked, std::uint64_t allowed) {
        if (allowed == 0 || (asked != 0 && asked <= allowed)) return;
        refuse(field, asked == 0 ? "no limit" : fmt::format("{}", asked),
               fmt::format("{}", allowed));
    }
    void refuse(std::string_view field, std::string_view asked, std::string_view allowed) {
        if (!first_) return;
        first_ = base::fail_on(std::string(field), Code::permission_denied,
                               "{}: asked {}, policy {} allows {}", field, asked, policy_.name,
                               allowed.empty() ? "none" : allowed);
    }
    Result<void> result() { return std::move(first_); }

private:
    const Policy& policy_;
    Result<void> first_;
};

std::uint64_t count(std::chrono::milliseconds ms) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(ms.count(), 0));
}

void check_limits(const Limits& asked, const Limits& most, Ceilings& out) {
    out.at_most("limits.cpus", asked.cpus, most.cpus);
    out.at_most("limits.memory_bytes", asked.memory_bytes, most.memory_bytes);
    out.at_most("limits.processes_max", asked.processes_max, most.processes_max);
    out.at_most("limits.workspace_bytes", asked.workspace_bytes, most.workspace_bytes);
    out.at_most("limits.tmp_bytes", asked.tmp_bytes, most.tmp_bytes);
    out.at_most("limits.inodes_max", asked.inodes_max, most.inodes_max);
    out.at_most("limits.open_files_max", asked.open_files_max, most.open_files_max);
    out.bounded("limits.lifetime", count(asked.lifetime), count(most.lifetime));
    out.bounded("limits.idle_timeout", count(asked.idle_timeout), count(most.idle_timeout));
    out.at_most("limits.gpu_share", asked.gpu_share, most.gpu_share);
}

bool cidr_allowed(const std::string& asked, const std::vector<std::string>& allowed) {
    const auto range = net::parse_cidr(asked);
    return range && std::ranges::any_of(allowed, [&](const std::string& text) {
               const auto wider = net::parse_cidr(text);
               return wider && wider->contains(*range);
           });
}

void check_network(const NetworkPolicy& asked, const NetworkPolicy& most, Ceilings& out) {
    if (asked.mode > most.mode) {
        out.refuse("network.mode", word_of(kNetworkModes, asked.mode),
                   word_of(kNetworkModes, most.mode));
    }
    const bool any_name =
        most.mode == NetworkMode::full;  // whose addresses stay closed all the same
    for (const std::string& domain : asked.allow_domains) {
        const auto rule = net::parse_domain_rule(domain);
        const bool allowed =
            rule &&
            (any_name || std::ranges::any_of(most.allow_domains, [&](const std::string& each) {
                 const auto wider = net::parse_domain_rule(each);
                 return wider && wider->covers(*rule);
             }));
        if (!allowed) {
            out.refuse("network.allow_domains", domain,
                       fmt::format("{}", fmt::join(most.allow_domains, ", ")));
        }
    }
    for (const std::string& cidr : asked.allow_cidrs) {
        if (!cidr_allowed(cidr, most.allow_cidrs)) {
            out.refuse("network.allow_cidrs", cidr,
                       fmt::format("{}", fmt::join(most.allow_cidrs, ", ")));
        }
    }
    if (most.calls_max != 0) out.at_most("network.calls_max", asked.calls_max, most.calls_max);
    if (asked.mode > NetworkMode::loopback) {
        out.bounded("network.bytes_max", asked.bytes_max, most.bytes_max);
        out.bounded("network.calls_max", asked.calls_max, most.calls_max);
    }
}

bool allows(RootRule rule, const RootSpec& root) {
    switch (rule) {
        case RootRule::host:
            return root.kind == RootSpec::Kind::host;
        case RootRule::imported:
            return root.kind == RootSpec::Kind::image && is_image_reference(root.path);
        case RootRule::image:
            return root.kind == RootSpec::Kind::image;
        case RootRule::directory:
            return root.kind == RootSpec::Kind::directory;
    }
    return false;
}

}  // namespace

Result<void> check_ceilings(const SandboxSpec& spec, const Policy& policy) {
    Ceilings out(policy);
    if (spec.isolation < policy.isolation_min) {
        out.refuse("isolation", word_of(kIsolations, spec.isolation),
                   fmt::format("{} or stronger", word_of(kIsolations, policy.isolation_min)));
    }
    if (!std::ranges::any_of(policy.roots,
                             [&](RootRule rule) { return allows(rule, spec.root); })) {
        std::vector<std::string_view> rules;
        for (const RootRule rule : policy.roots) rules.push_back(word_of(kRootRules, rule));
        out.refuse("root.kind", word_of(kRootKinds, spec.root.kind),
                   fmt::format("{}", fmt::join(rules, ", ")));
    }
    check_limits(spec.limits, policy.limits, out);
    check_network(spec.network, policy.network, out);
    for (const std::string& secret : spec.secrets) {
        if (std::ranges::count(policy.secrets, secret, &SecretGrant::name)) continue;
        std::vector<std::string_view> names;
        for (const SecretGrant& grant : policy.secrets) names.push_back(grant.name);
        out.refuse("secrets", secret, fmt::format("{}", fmt::join(names, ", ")));
    }
    return out.result();
}

}  // namespace sphere::policy
