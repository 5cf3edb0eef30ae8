// Queries, SOCKS and targets.
#include <gtest/gtest.h>

#include "sphere/egress/dns.h"
#include "sphere/egress/names.h"
#include "sphere/egress/socks.h"
#include "sphere/egress/target.h"
#include "support/seeds.h"

namespace sphere::egress {
namespace {

std::string query(const std::string& name, std::uint16_t type) {
    std::string bytes("\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 12);
    std::size_t at = 0;
    while (at < name.size()) {
        const std::size_t dot = std::min(name.find('.', at), name.size());
        bytes += static_cast<char>(dot - at);
        bytes += name.substr(at, dot - at);
        at = dot + 1;
    }
    bytes += '\0';
    bytes += static_cast<char>(type >> 8);
    bytes += static_cast<char>(type & 0xff);
    bytes += std::string("\x00\x01", 2);
    return bytes;
}

TEST(Dns, ReadsAQuestionAndAnswersIt) {
    const auto question = read_dns_query(query("WwW.Example.org", DnsQuestion::kA));
    ASSERT_TRUE(question);
    EXPECT_EQ(question->id, 0x1234);
    EXPECT_EQ(question->name, "www.example.org");
    EXPECT_TRUE(question->asks_address());
    const auto address = net::parse_address("198.18.0.1");
    const std::string answer = dns_answer(*question, DnsCode::ok, address);
    EXPECT_EQ(answer.substr(0, 8), std::string("\x12\x34\x81\x80\x00\x01\x00\x01", 8));
    EXPECT_NE(answer.find("WwW"), std::string::npos);  // as it was asked
    EXPECT_EQ(answer.substr(answer.size() - 4), std::string("\xc6\x12\x00\x01", 4));
    EXPECT_EQ(dns_answer(*question, DnsCode::no_name)[3], '\x83');
    // The other family: a name, no address.
    EXPECT_EQ(dns_answer(*question, DnsCode::ok, net::parse_address("fd00::1"))[7], '\0');
}

TEST(Dns, WhatIsNoPlainQueryIsNone) {
    const std::string good = query("a.org", 1);
    for (const std::size_t flag_byte : {2u, 5u, 7u}) {
        std::string bad = good;
        bad[flag_byte] = static_cast<char>(bad[flag_byte] ^ (flag_byte == 2 ? 0x80 : 0x02));
        EXPECT_FALSE(read_dns_query(bad)) << flag_byte;
    }
    std::string pointer = good;
    pointer[12] = '\xc0';
    EXPECT_FALSE(read_dns_query(pointer));
    for (std::size_t length = 0; length < good.size(); ++length) {
        EXPECT_FALSE(read_dns_query(std::string_view(good).substr(0, length)));
    }
    EXPECT_EQ(read_dns_query(query("a b\n.org", 1))->name, "a?b?.org");
}

TEST(Targets, EverySpellingOfAHostIsTheHost) {
    const auto text = [](std::string_view authority) {
        const auto target = parse_target(authority, 80);
        return target ? to_text(*target) : std::string("refused");
    };
    EXPECT_EQ(text("Example.ORG."), "example.org:80");
    EXPECT_EQ(text("example.org:443"), "example.org:443");
    EXPECT_EQ(text("10.0.0.1:80"), "10.0.0.1:80");
    EXPECT_EQ(text("10.0.0.1."), "10.0.0.1:80");
    EXPECT_EQ(text("[::ffff:10.0.0.1]:80"), "10.0.0.1:80");
    EXPECT_EQ(text("[2001:db8:0::7]"), "[2001:db8::7]:80");
    for (const char* bad : {"",
                            ":80",
                            "user@example.org",
                            "example.org:0",
                            "example.org:80:80",
                            "example..org",
                            "example.org..",
                            "0x7f.1",
                            "0x7f000001",
                            "2130706433",
                            "127.1",
                            "0177.0.0.1",
                            "::1",
                            "[::1",
                            "[1.2.3.4]",
                            "ex ample.org",
                            "ex%61mple.org",
                            "example.org/",
                            "ex\xc3\xa4mple.org",
                            "example.org#",
                            "[fe80::1%25lo]"}) {
        EXPECT_EQ(text(bad), "refused") << bad;
    }
}

TEST(Targets, AnAbsoluteUrlIsSplitOneWayOnly) {
    std::string path;
    const auto text = [&](std::string_view url) {
        const auto target = parse_http_url(url, path);
        return target ? to_text(*target) + " " + path : std::string("refused");
    };
    EXPECT_EQ(text("HTTP://A.org"), "a.org:80 /");
    EXPECT_EQ(text("http://a.org:81/x?y"), "a.org:81 /x?y");
    EXPECT_EQ(text("http://a.org?y"), "a.org:80 /?y");
    for (const char* bad : {"https://a.org/", "http://a.org@b.org/", "http://u:p@b.org/", "http://",
                            "http:///x", "http://a.org\\@b.org/", "//a.org/", "http://a.org/#x"}) {
        EXPECT_EQ(text(bad), "refused") << bad;
    }
}

TEST(Socks, ReadsEachKindOfAddress) {
    Target target;
    std::uint8_t code = 0;
    const auto ask = [&](const std::string& bytes) {
        const SocksRead read = read_socks_request(bytes, target, code);
        return read.state == SocksRead::State::whole ? to_text(target) : std::string("no");
    };
    EXPECT_EQ(ask(std::string("\x05\x01\x00\x03\x05", 5) + "A.org" + std::string("\x01\xbb", 2)),
              "a.org:443");
    EXPECT_EQ(ask(std::string("\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x50", 10)), "10.0.0.1:80");
    std::string six("\x05\x01\x00\x04", 4);
    six += std::string("\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x00\x00\x01\x00\x50", 18);
    EXPECT_EQ(ask(six), "10.0.0.1:80");
    EXPECT_EQ(ask(std::string("\x05\x02\x00\x01\x0a\x00\x00\x01\x00\x50", 10)), "no");
    EXPECT_EQ(code, kSocksNoCommand);
    EXPECT_EQ(ask(std::string("\x05\x01\x00\x03\x09", 5) + "127.0.0.1" + std::string("\0P", 2)),
              "127.0.0.1:80");
    EXPECT_EQ(ask(std::string("\x05\x01\x00\x03\x0a", 5) + "2130706433" + std::string("\0P", 2)),
              "no");
    EXPECT_EQ(read_socks_greeting(std::string("\x05\x01\x02", 3)).state, SocksRead::State::damaged);
    EXPECT_EQ(read_socks_greeting(std::string("\x05\x02\x02\x00", 4)).used, 4u);
}

TEST(Names, AnAddressOfThePoolIsItsNames) {
    Names names;
    for (int i = 0; i < 3000; ++i) ASSERT_NE(names.find_or_add(fmt::format("n{}.org", i)), nullptr);
    for (const bool v6 : {false, true}) {
        const Names::Entry* const entry = names.find_or_add("n1234.org");
        const net::Address address = Names::address_of(*entry, v6);
        EXPECT_EQ(names.find(address), entry);
        EXPECT_TRUE(Names::in_pool(address));
        EXPECT_NE(net::closed_range(address), "");  // nobody's, should it ever leave
    }
    EXPECT_EQ(names.find(*net::parse_address("198.18.0.0")), nullptr);
    EXPECT_EQ(names.find(*net::parse_address("198.19.255.255")), nullptr);
    EXPECT_EQ(names.find(*net::parse_address("93.184.216.34")), nullptr);
    for (int i = 3000; i < static_cast<int>(Names::kNamesMax); ++i) {
        ASSERT_NE(names.find_or_add(fmt::format("n{}.org", i)), nullptr);
    }
    EXPECT_EQ(names.find_or_add("one-more.org"), nullptr);
}

TEST(ParserFuzz, NoiseIsReadToItsEndAtMost) {
    test::for_each_seed(20'000, [](base::Rng& rng) {
        std::string bytes = rng.below(2) != 0
                                ? query("a.example.org", 28)
                                : std::string("\x05\x01\x00\x03\x05", 5) + "a.org" + "PP";
        for (std::uint64_t i = rng.below(5); i > 0; --i) {
            bytes[rng.below(bytes.size())] = static_cast<char>(rng.below(256));
        }
        bytes.resize(rng.below(bytes.size() + 1));
        const std::string exact(bytes.data(), bytes.size());
        if (const auto question = read_dns_query(exact)) {
            ASSERT_LE(question->wire.size(), exact.size());
            (void)dns_answer(*question, DnsCode::ok, net::parse_address("198.18.0.1"));
        }
        Target target;
        std::uint8_t code = 0;
        ASSERT_LE(read_socks_request(exact, target, code).used, exact.size());
        ASSERT_LE(read_socks_greeting(exact).used, exact.size());
        (void)parse_target(exact, 80);
        std::string path;
        (void)parse_http_url("http://" + exact, path);
    });
}

}  // namespace
}  // namespace sphere::egress
