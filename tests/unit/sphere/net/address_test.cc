#include "sphere/net/address.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "sphere/net/cidr.h"
#include "sphere/net/domain.h"

namespace sphere::net {
namespace {

TEST(Address, OnlyOneSpellingIsRead) {
    for (const char* good : {"1.2.3.4", "255.255.255.255", "::1", "2001:db8::7"}) {
        const auto address = parse_address(good);
        ASSERT_TRUE(address) << good;
        EXPECT_EQ(to_text(*address), good);
    }
    for (const char* bad : {"", "1.2.3", "01.2.3.4", "1.2.3.4.", "0x7f.0.0.1", "2130706433",
                            "[::1]", "1.2.3.4/8", " 1.2.3.4", "fe80::1%lo"}) {
        EXPECT_FALSE(parse_address(bad)) << bad;
    }
    EXPECT_EQ(to_text(*parse_address("::ffff:10.0.0.1")), "10.0.0.1");
    EXPECT_EQ(to_text(Endpoint{*parse_address("::1"), 80}), "[::1]:80");
}

TEST(Address, GoesThroughASocketAddressUnchanged) {
    for (const char* text : {"192.0.2.9", "2001:db8::7", "::ffff:10.0.0.1"}) {
        const Endpoint endpoint{*parse_address(text), 8443};
        sockaddr_storage socket;
        EXPECT_GT(to_socket(endpoint, socket), 0u);
        EXPECT_EQ(from_socket(socket), endpoint) << text;
    }
}

TEST(Address, WhatIsNoPlaceOfThePublicInternetIsClosed) {
    for (const char* text : {"127.0.0.1",
                             "0.0.0.0",
                             "10.1.2.3",
                             "172.16.0.1",
                             "172.31.255.255",
                             "192.168.0.1",
                             "169.254.169.254",
                             "100.100.100.200",
                             "100.64.0.1",
                             "168.63.129.16",
                             "192.0.0.192",
                             "198.18.0.1",
                             "203.0.113.1",
                             "224.0.0.1",
                             "255.255.255.255",
                             "::",
                             "::1",
                             "fe80::1",
                             "fd00:ec2::254",
                             "fc00::1",
                             "ff02::1",
                             "2001:db8::1",
                             "2002:7f00:1::",
                             "64:ff9b::a00:1",
                             "2001::1",
                             "::ffff:169.254.169.254",
                             "::127.0.0.1",
                             "4000::1"}) {
        EXPECT_NE(closed_range(*parse_address(text)), "") << text;
    }
    for (const char* text : {"93.184.216.34", "8.8.8.8", "172.32.0.1", "100.128.0.1", "1.1.1.1",
                             "223.255.255.255", "2606:2800:220:1::1", "2a00:1450::1"}) {
        EXPECT_EQ(closed_range(*parse_address(text)), "") << text;
    }
}

TEST(DomainRule, HasItsPortAndCoversWhatIsNarrower) {
    const auto rule = [](const char* text) { return *parse_domain_rule(text); };
    EXPECT_EQ(rule("example.org:8443").port, 8443);
    EXPECT_TRUE(rule("example.org").has_port(80));
    EXPECT_TRUE(rule("example.org").has_port(443));
    EXPECT_FALSE(rule("example.org").has_port(8443));
    EXPECT_FALSE(rule("example.org:443").has_port(80));
    EXPECT_TRUE(rule("*.example.org").covers(rule("a.example.org:443")));
    EXPECT_TRUE(rule("*.example.org:22").covers(rule("*.a.example.org:22")));
    EXPECT_FALSE(rule("*.example.org").covers(rule("a.example.org:22")));
    EXPECT_FALSE(rule("*.example.org:443").covers(rule("a.example.org")));
    for (const char* bad : {"example.org:", "example.org:0", "example.org:65536", "example.org:1x",
                            "Example.org", "*", "*.org", "", "example.org:+1"}) {
        EXPECT_FALSE(parse_domain_rule(bad)) << bad;
    }
}

}  // namespace
}  // namespace sphere::net
