#include "base/core/url_password.h"

#include <gtest/gtest.h>

#include "support/seeds.h"

namespace base {
namespace {

TEST(UrlPassword, IsHiddenAndNothingElseIs) {
    EXPECT_EQ(without_password("/var/lib/a:b@c"), "/var/lib/a:b@c");
    EXPECT_EQ(without_password("redis://localhost:6379/0"), "redis://localhost:6379/0");
    EXPECT_EQ(without_password("postgresql://ann@h/d"), "postgresql://ann@h/d");
    EXPECT_EQ(without_password("postgresql://ann:p@h:5432/d"), "postgresql://ann:***@h:5432/d");
    EXPECT_EQ(without_password("redis://:p@h"), "redis://:***@h");
    EXPECT_EQ(without_password("postgresql://h/d?user=a&password=p&sslmode=require"),
              "postgresql://h/d?user=a&password=***&sslmode=require");
}

TEST(UrlPassword, OfOddUrlsIsHiddenToo) {
    EXPECT_EQ(without_password("postgresql://ann:p/q@r?s@h/d"), "postgresql://ann:***@h/d");
    test::for_each_seed(300, [](Rng& rng) {
        constexpr std::string_view kSigns = ":@/?&=%#[]., a";
        const auto signs = [&](std::uint64_t most) {
            std::string text;
            for (std::uint64_t n = rng.below(most); n > 0; --n) {
                text += kSigns[rng.below(kSigns.size())];
            }
            return text;
        };
        const std::string secret = signs(4) + "geheim" + signs(4);
        const std::string shown = without_password("x://u:" + secret + "@h/" + signs(6));
        EXPECT_EQ(shown.find("geheim"), std::string::npos) << shown;
    });
}

}  // namespace
}  // namespace base
