#include "base/core/crc32c.h"

#include <gtest/gtest.h>

#include <string>

#include "support/seeds.h"

namespace {

using base::crc32c;
using base::crc32c_by_table;

// RFC 3720, B.4, and the check value of the CRC catalogue.
TEST(Crc32c, KnownVectors) {
    std::string rising, falling;
    for (int i = 0; i < 32; ++i) {
        rising.push_back(static_cast<char>(i));
        falling.push_back(static_cast<char>(31 - i));
    }
    for (const auto& crc : {&crc32c, &crc32c_by_table}) {
        EXPECT_EQ(crc("", 0), 0u);
        EXPECT_EQ(crc("123456789", 0), 0xE3069283u);
        EXPECT_EQ(crc(std::string(32, '\0'), 0), 0x8A9136AAu);
        EXPECT_EQ(crc(std::string(32, '\xFF'), 0), 0x62A8AB43u);
        EXPECT_EQ(crc(rising, 0), 0x46DD794Eu);
        EXPECT_EQ(crc(falling, 0), 0x113FDB5Cu);
    }
}

TEST(Crc32c, InstructionAndTableAgreeOnAnyPieces) {
    test::for_each_seed(300, [](base::Rng& rng) {
        std::string bytes(rng.below(300), '\0');
        for (char& c : bytes) c = static_cast<char>(rng.next());
        const std::size_t cut = rng.below(bytes.size() + 1);
        const std::string_view all(bytes);
        const std::uint32_t whole = crc32c(all);
        EXPECT_EQ(crc32c_by_table(all), whole);
        EXPECT_EQ(crc32c(all.substr(cut), crc32c(all.substr(0, cut))), whole);
        EXPECT_EQ(crc32c_by_table(all.substr(cut), crc32c(all.substr(0, cut))), whole);
    });
}

}  // namespace
