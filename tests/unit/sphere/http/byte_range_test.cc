#include "sphere/http/byte_range.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "support/seeds.h"

namespace {

using sphere::RangeAnswer;
using sphere::RangeKind;
using sphere::read_range;

TEST(ByteRange, GivesTheExamplesOfTheStandard) {  // RFC 9110, section 14.1.2
    const auto part = [](std::uint64_t first, std::uint64_t count) {
        return RangeAnswer{RangeKind::part, {first, count}};
    };
    EXPECT_EQ(read_range("bytes=0-499", 10'000), part(0, 500));
    EXPECT_EQ(read_range("bytes=500-999", 10'000), part(500, 500));
    EXPECT_EQ(read_range("bytes=-500", 10'000), part(9500, 500));
    EXPECT_EQ(read_range("bytes=9500-", 10'000), part(9500, 500));
    EXPECT_EQ(read_range("bytes=0-", 1), part(0, 1));
    EXPECT_EQ(read_range("bytes=5-100000", 10), part(5, 5));
    EXPECT_EQ(read_range("bytes=-100", 10), part(0, 10));
}

TEST(ByteRange, WhatCannotBeGivenAndWhatIsNoRange) {
    for (const char* header : {"bytes=10-", "bytes=10-20", "bytes=-0"}) {
        EXPECT_EQ(read_range(header, 10).kind, RangeKind::unsatisfiable) << header;
    }
    EXPECT_EQ(read_range("bytes=0-", 0).kind, RangeKind::unsatisfiable);
    for (const char* header : {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4",
                               "bytes=0-1,3-4", "lines=0-1", "bytes=1-99999999999999999999"}) {
        EXPECT_EQ(read_range(header, 10).kind, RangeKind::whole) << header;
    }
}

TEST(ByteRange, NoHeaderAsksForBytesThatAreNotThere) {
    test::for_each_seed(2000, [](base::Rng& rng) {
        constexpr std::string_view kLetters = "bytes=-0123456789,x ";
        std::string header = rng.below(4) == 0 ? "" : "bytes=";
        for (std::size_t i = rng.below(12); i > 0; --i) header += kLetters[rng.below(20)];
        const std::uint64_t size = rng.below(1000);
        const RangeAnswer answer = read_range(header, size);
        EXPECT_LE(answer.range.first + answer.range.count, size) << header;
        EXPECT_TRUE(answer.kind != RangeKind::part || answer.range.count > 0) << header;
    });
}

}  // namespace
