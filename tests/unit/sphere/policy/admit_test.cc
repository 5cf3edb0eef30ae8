#include <gtest/gtest.h>

#include "policy_fixture.h"
#include "sphere/net/cidr.h"

namespace sphere::policy {
namespace {

const std::string kPolicy =
    "version: 1\nname: p\n"
    "isolation_min: full\n"
    "limits: {cpus: 2, memory_bytes: 1073741824, lifetime_ms: 60000}\n"
    "network: {mode: egress, allow_domains: ['*.example.org', a.net], allow_cidrs: [10.1.0.0/16],"
    " calls_max: 10, bytes_max: 1000}\n"
    "secrets: [{name: key, environment: KEY}]\n";

SandboxSpec good() {
    SandboxSpec spec;
    spec.tenant = "acme";
    spec.limits.lifetime = std::chrono::seconds(60);
    return spec;
}

/// The field that admit refuses, or "".
std::string refused(const SandboxSpec& spec, const std::string& policy = kPolicy) {
    const auto admitted = set_of(policy).admit(spec);
    if (admitted) return "";
    EXPECT_EQ(admitted.error().code, base::Code::permission_denied);
    return admitted.error().subject;
}

TEST(Admit, WhatIsWithinTheCeilingsPassesUnchanged) {
    const PolicySet set = set_of(kPolicy);
    SandboxSpec spec = good();
    spec.limits.cpus = 2;
    spec.limits.memory_bytes = 1 << 30;
    spec.network = {NetworkMode::egress,
                    {"a.net", "x.example.org", "*.y.example.org"},
                    {"10.1.2.0/24"},
                    10,
                    1000};
    spec.secrets = {"key"};
    const auto admitted = set.admit(spec);
    ASSERT_TRUE(admitted.has_value()) << admitted.error().message;
    EXPECT_EQ(admitted->policy, "p");
    EXPECT_EQ(admitted->limits.memory_bytes, spec.limits.memory_bytes);
    EXPECT_EQ(admitted->network.allow_domains, spec.network.allow_domains);
}

TEST(Admit, AnImportedImageIsOneByItsNameNotByItsPlace) {
    SandboxSpec spec;
    spec.root.kind = RootSpec::Kind::image;
    Policy policy;
    policy.limits = spec.limits;
    const auto allowed = [&](std::vector<RootRule> roots, std::string path) {
        policy.roots = std::move(roots);
        spec.root.path = std::move(path);
        return check_ceilings(spec, policy).has_value();
    };
    EXPECT_FALSE(allowed({RootRule::host}, "python:3.12"));
    EXPECT_TRUE(allowed({RootRule::host, RootRule::imported}, "python:3.12"));
    EXPECT_FALSE(allowed({RootRule::host, RootRule::imported}, "/srv/backup.tar"));
    EXPECT_TRUE(allowed({RootRule::image}, "/srv/root.tar"));
}

TEST(Admit, EveryFieldOverItsCeilingIsNamed) {
    const auto with = [](auto change) {
        SandboxSpec spec = good();
        change(spec);
        return refused(spec);
    };
    using S = SandboxSpec;
    EXPECT_EQ(with([](S&) {}), "");
    EXPECT_EQ(with([](S& s) { s.limits.cpus = 2.01; }), "limits.cpus");
    EXPECT_EQ(with([](S& s) { s.limits.memory_bytes = (1 << 30) + 1; }), "limits.memory_bytes");
    EXPECT_EQ(with([](S& s) { s.limits.processes_max = 129; }), "limits.processes_max");
    EXPECT_EQ(with([](S& s) { s.limits.workspace_bytes *= 2; }), "limits.workspace_bytes");
    EXPECT_EQ(with([](S& s) { s.limits.tmp_bytes *= 2; }), "limits.tmp_bytes");
    EXPECT_EQ(with([](S& s) { s.limits.inodes_max *= 2; }), "limits.inodes_max");
    EXPECT_EQ(with([](S& s) { s.limits.open_files_max *= 2; }), "limits.open_files_max");
    EXPECT_EQ(with([](S& s) { s.limits.lifetime += std::chrono::milliseconds(1); }),
              "limits.lifetime");
    EXPECT_EQ(with([](S& s) { s.limits.lifetime = std::chrono::milliseconds(0); }),
              "limits.lifetime");
    EXPECT_EQ(with([](S& s) { s.limits.idle_timeout = std::chrono::milliseconds(0); }),
              "limits.idle_timeout");
    EXPECT_EQ(with([](S& s) { s.limits.gpu_share = 0.5; }), "limits.gpu_share");
    EXPECT_EQ(with([](S& s) { s.isolation = Isolation::process; }), "isolation");
    EXPECT_EQ(with([](S& s) { s.isolation = Isolation::microvm; }), "");
    EXPECT_EQ(with([](S& s) { s.root.kind = RootSpec::Kind::directory; }), "root.kind");
    EXPECT_EQ(with([](S& s) { s.network.mode = NetworkMode::full; }), "network.mode");
    EXPECT_EQ(with([](S& s) { s.network.mode = NetworkMode::egress; }), "network.bytes_max");
    for (const char* domain :
         {"example.org", "*.org", "*.net", "b.a.net", "evil-example.org", "A.net"}) {
        EXPECT_EQ(with([&](S& s) {
                      s.network.allow_domains = {"a.net", domain};
                  }),
                  "network.allow_domains")
            << domain;
    }
    for (const char* cidr : {"10.0.0.0/8", "10.2.0.0/16", "::/0", "junk"}) {
        EXPECT_EQ(with([&](S& s) { s.network.allow_cidrs = {cidr}; }), "network.allow_cidrs")
            << cidr;
    }
    EXPECT_EQ(with([](S& s) { s.network.calls_max = 11; }), "network.calls_max");
    EXPECT_EQ(with([](S& s) { s.secrets = {"key", "other"}; }), "secrets");
    EXPECT_EQ(with([](S& s) { s.policy = "lax"; }), "policy");
    EXPECT_EQ(with([](S& s) { s.policy = "p"; }), "");
}

TEST(Admit, NoPolicyNoSandbox) {
    EXPECT_EQ(refused(good(), "version: 1\nname: p\ntenants: [other]\n"), "policy");
}

TEST(Cidr, ContainsWhatItsPrefixSays) {
    const auto in = [](const char* a, const char* b) {
        return net::parse_cidr(a)->contains(*net::parse_cidr(b));
    };
    EXPECT_TRUE(in("0.0.0.0/0", "203.0.113.7"));
    EXPECT_TRUE(in("10.0.0.0/9", "10.127.0.0/16"));
    EXPECT_FALSE(in("10.0.0.0/9", "10.128.0.0/16"));
    EXPECT_FALSE(in("10.0.0.0/9", "10.0.0.0/8"));
    EXPECT_TRUE(in("2001:db8::/32", "2001:db8:1::/48"));
    EXPECT_FALSE(in("::/0", "10.0.0.0/8"));
}

}  // namespace
}  // namespace sphere::policy
