#include "sphere/egress/rules.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sphere/egress/target.h"
#include "support/seeds.h"

namespace sphere::egress {
namespace {

NetworkPolicy policy() {
    NetworkPolicy policy;
    policy.mode = NetworkMode::egress;
    policy.allow_domains = {"example.org", "*.example.net", "db.example.com:5432"};
    policy.allow_cidrs = {"10.1.0.0/16", "8.8.8.0/24"};
    return policy;
}

TEST(Rules, NamesByListAndPort) {
    const Rules rules(policy());
    EXPECT_FALSE(rules.refuse_name("example.org", 443));
    EXPECT_FALSE(rules.refuse_name("a.b.example.net", 80));
    EXPECT_FALSE(rules.refuse_name("db.example.com", 5432));
    EXPECT_TRUE(rules.refuse_name("db.example.com", 443));
    EXPECT_TRUE(rules.refuse_name("example.org", 22));
    EXPECT_TRUE(rules.refuse_name("example.net", 80));
    EXPECT_TRUE(rules.refuse_name("evil-example.org", 80));
    EXPECT_FALSE(rules.refuse_lookup("db.example.com"));
    EXPECT_TRUE(rules.refuse_lookup("example.com"));
}

TEST(Rules, AddressesByRangeAndClosedOnesOnlyByRange) {
    const auto refused = [](const NetworkPolicy& p, const char* text) {
        return Rules(p).refuse_address(*net::parse_address(text)).has_value();
    };
    EXPECT_FALSE(refused(policy(), "10.1.2.3"));
    EXPECT_FALSE(refused(policy(), "8.8.8.8"));
    EXPECT_TRUE(refused(policy(), "10.2.0.1"));
    EXPECT_TRUE(refused(policy(), "93.184.216.34"));
    NetworkPolicy full = policy();
    full.mode = NetworkMode::full;
    EXPECT_FALSE(refused(full, "93.184.216.34"));
    EXPECT_FALSE(refused(full, "10.1.2.3"));
    EXPECT_TRUE(refused(full, "169.254.169.254"));
    EXPECT_TRUE(refused(full, "::ffff:127.0.0.1"));
    const Rules rules(policy());
    EXPECT_TRUE(rules.refuse_resolved(*net::parse_address("192.168.0.1")));
    EXPECT_FALSE(rules.refuse_resolved(*net::parse_address("10.1.0.1")));
    EXPECT_FALSE(rules.refuse_resolved(*net::parse_address("93.184.216.34")));
}

TEST(Rules, ListensWhereThePolicySays) {
    EXPECT_EQ(listened_ports(policy()), (std::vector<std::uint16_t>{80, 443, 5432}));
    EXPECT_TRUE(listened_ports({}).empty());
}

/// A referee that knows nothing of patterns: the labels of the host from its end.
bool listed(const std::string& host, std::uint16_t port) {
    const bool web = port == 80 || port == 443;
    if (host == "example.org") return web;
    if (host == "db.example.com") return port == 5432;
    const std::string_view tail = ".example.net";
    return web && host.size() > tail.size() &&
           std::equal(tail.rbegin(), tail.rend(), host.rbegin());
}

/// 10^5 targets as programs write them: nothing that is not on the list passes, in any spelling.
TEST(RulesProperty, NothingOutsideTheListPasses) {
    const Rules rules(policy());
    std::uint64_t passed = 0, refused = 0, cases = 0;
    base::Rng rng(20'261'130);
    const std::vector<std::string> hosts = {"example.org", "a.example.net", "db.example.com"};
    while (cases < 100'000) {
        ++cases;
        std::string host = hosts[rng.below(hosts.size())];
        switch (rng.below(9)) {
            case 0:
                host += '.';
                break;
            case 1:
                std::ranges::transform(host, host.begin(), [&](char c) {
                    return rng.below(2) != 0 ? static_cast<char>(std::toupper(c)) : c;
                });
                break;
            case 2:
                host.insert(0, 1, static_cast<char>('a' + rng.below(26)));
                break;
            case 3:
                host += "." + hosts[rng.below(hosts.size())] + ".evil.com";
                break;
            case 4:
                host = "x" + std::to_string(rng.below(9)) + "." + host;
                break;
            case 5:
                host[rng.below(host.size())] = static_cast<char>(rng.below(256));
                break;
            case 6:
                host = host + "@evil.com";
                break;
            case 7:
                host = fmt::format("{}.{}.{}.{}", rng.below(256), rng.below(256), rng.below(256),
                                   rng.below(256));
                break;
            default:
                break;
        }
        constexpr std::uint16_t kPorts[] = {80, 443, 5432, 22, 8080};
        const std::uint16_t port = kPorts[rng.below(5)];
        const auto target = parse_target(host, port);
        const bool allowed =
            target && !(target->by_name() ? rules.refuse_name(target->name, target->port)
                                          : rules.refuse_address(target->address));
        std::string plain = host;
        std::ranges::transform(plain, plain.begin(), [](char c) {
            return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        });
        if (plain.ends_with('.')) plain.pop_back();
        const bool by_address = target && !target->by_name();
        const bool expected = by_address ? plain.starts_with("10.1.") || plain.starts_with("8.8.8.")
                                         : target && listed(plain, port);
        ASSERT_EQ(allowed, expected) << host << ":" << port << ", case " << cases;
        allowed ? ++passed : ++refused;
    }
    EXPECT_GT(passed, 10'000u);
    EXPECT_GT(refused, 10'000u);
}

}  // namespace
}  // namespace sphere::egress
