// What a model gets to read of output, whatever came and in whatever pieces.
#include "sphere/tools/bounded_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/core/utf8.h"
#include "support/seeds.h"

namespace {

using sphere::tools::BoundedText;
using ::testing::HasSubstr;

TEST(BoundedText, KeepsWhatFits) {
    BoundedText text(10);
    text.append("12345");
    text.append("67890");
    EXPECT_EQ(text.text(), "1234567890");
    EXPECT_EQ(text.left_out(), 0u);
}

TEST(BoundedText, KeepsBeginningAndEndAndTellsWhatIsBetween) {
    BoundedText text(8);
    text.append("abcd");
    text.append(std::string(1000, '.'));
    text.append("wxyz");
    EXPECT_THAT(text.text(), ::testing::StartsWith("abcd\n[... 1000 bytes left out"));
    EXPECT_THAT(text.text(), ::testing::EndsWith("...]\nwxyz"));
    EXPECT_EQ(text.left_out(), 1000u);
}

TEST(BoundedText, BytesThatAreNoTextBecomeText) {
    BoundedText text(64);
    text.append("a\xff\xc3");
    EXPECT_EQ(text.text(), "a\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(BoundedText, IsWholeCharactersHoweverItComes) {
    test::for_each_seed(200, [](base::Rng& rng) {
        std::string all;
        for (std::uint64_t i = rng.below(300); i > 0; --i) {
            base::append_utf8(all, rng.below(2) == 0 ? U'a' : U'\u4e2d');
        }
        BoundedText text(16 + rng.below(64));
        for (std::size_t at = 0; at < all.size();) {
            const std::size_t piece = 1 + rng.below(9);
            text.append(std::string_view(all).substr(at, piece));
            at += piece;
        }
        const std::string shown = text.text();
        ASSERT_EQ(base::utf8_valid_prefix_bytes(shown), shown.size());
        ASSERT_EQ(shown.find("\xef\xbf\xbd"), std::string::npos) << "no character was cut";
        const std::size_t gap = shown.find("\n[... ");
        ASSERT_EQ(gap == std::string::npos, text.left_out() == 0);
        if (gap == std::string::npos) {
            ASSERT_EQ(shown, all);
        } else {
            ASSERT_TRUE(all.starts_with(shown.substr(0, gap)));
            ASSERT_TRUE(all.ends_with(shown.substr(shown.find("...]\n", gap + 6) + 5)));
        }
    });
}

}  // namespace
