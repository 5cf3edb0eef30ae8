// Packets out of a stream of bytes, however it was cut and whatever came.
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "sphere/launcher/guest_protocol.h"
#include "support/seeds.h"

namespace {

using namespace sphere::launcher;

std::vector<std::byte> output_packet(std::uint64_t exec, std::size_t bytes) {
    auto message = make_message<Output>();
    message.exec = exec;
    message.head.bytes = static_cast<std::uint32_t>(sizeof(message) + bytes);
    std::vector<std::byte> packet(message.head.bytes, std::byte{0x5a});
    std::memcpy(packet.data(), &message, sizeof(message));
    return packet;
}

TEST(PacketCutter, GivesTheSamePacketsForEveryCutOfTheStream) {
    test::for_each_seed(100, [](base::Rng& rng) {
        std::vector<std::byte> stream, buffer(2 * kMessageBytesMax);
        std::vector<std::size_t> sizes;
        for (std::uint64_t i = 0; i < 20; ++i) {
            const auto packet = output_packet(i, rng.below(40'000));
            sizes.push_back(packet.size());
            stream.insert(stream.end(), packet.begin(), packet.end());
        }
        PacketCutter cutter(buffer);
        std::size_t at = 0, seen = 0;
        while (at < stream.size()) {
            const auto room = cutter.room();
            ASSERT_FALSE(room.empty());
            const std::size_t count =
                std::min({room.size(), stream.size() - at, std::size_t{1} + rng.below(70'000)});
            std::memcpy(room.data(), stream.data() + at, count);
            cutter.add(count);
            at += count;
            for (auto packet = cutter.next(); !packet.empty(); packet = cutter.next()) {
                Output output;
                ASSERT_TRUE(read_message(packet, output));
                EXPECT_EQ(output.exec, seen);
                EXPECT_EQ(packet.size(), sizes[seen]);
                ++seen;
            }
        }
        EXPECT_EQ(seen, sizes.size());
        EXPECT_FALSE(cutter.unsound());
    });
}

TEST(PacketCutter, GivesNothingOutOfNoise) {
    test::for_each_seed(300, [](base::Rng& rng) {
        std::vector<std::byte> buffer(2 * kMessageBytesMax);
        PacketCutter cutter(buffer);
        auto good = output_packet(1, rng.below(100));
        good[rng.below(16)] ^= static_cast<std::byte>(1 + rng.below(255));  // of its head
        std::memcpy(cutter.room().data(), good.data(), good.size());
        cutter.add(good.size());
        const auto packet = cutter.next();
        Output output;
        // A type that is none is whole but no message; a wrong length waits, or is unsound.
        EXPECT_TRUE(packet.empty() || !read_message(packet, output) ||
                    packet.size() <= good.size());
        EXPECT_LE(packet.size(), good.size());
        ASSERT_FALSE(cutter.room().empty());
    });
}

}  // namespace
