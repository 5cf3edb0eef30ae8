#include "sphere/native/closed_ports.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <string>

#include "support/seeds.h"

namespace sphere::native {
namespace {

constexpr const char* kSnmp =
    "Ip: Forwarding DefaultTTL InReceives\nIp: 2 64 9\n"
    "Tcp: RtoAlgorithm RtoMin ActiveOpens PassiveOpens AttemptFails EstabResets\n"
    "Tcp: 1 200 10 3 7 0\n"
    "Udp: InDatagrams NoPorts InErrors\nUdp: 100 5 0\n"
    "UdpLite: InDatagrams NoPorts InErrors\nUdpLite: 0 90 0\n";

TEST(ClosedPorts, AreReadFromTheKernelsTables) {
    const ClosedPorts both =
        parse_closed_ports(kSnmp, "Ip6InReceives \t 4\nUdp6NoPorts   2\nUdpLite6NoPorts 50\n");
    EXPECT_EQ(both.datagrams, 7u);
    EXPECT_EQ(both.connections, 7u);
    const ClosedPorts four = parse_closed_ports(kSnmp, "");
    EXPECT_EQ(four.datagrams, 5u);
}

TEST(ClosedPorts, WhatIsNotThereIsNothing) {
    for (const char* text : {"", "Tcp:", "Tcp: AttemptFails\n", "Tcp: AttemptFails\nTcp:\n",
                             "Tcp: AttemptFails\nUdp: 5\n", "Tcp: AttemptFails\nTcp: x\n"}) {
        EXPECT_EQ(parse_closed_ports(text, text).connections, 0u) << text;
    }
    EXPECT_FALSE(read_closed_ports(-1));
    EXPECT_TRUE(read_closed_ports(::getpid()));
}

TEST(ClosedPorts, AnyTextIsReadWithoutHarm) {
    test::for_each_seed(500, [](base::Rng& rng) {
        std::string text = kSnmp;
        for (int i = 0; i < 20; ++i) {
            text[rng.below(text.size())] = "\n :Tcp9\0x"[rng.below(9)];
        }
        text.resize(rng.below(text.size() + 1));
        static_cast<void>(parse_closed_ports(text, text));
    });
}

}  // namespace
}  // namespace sphere::native
