#include "base/core/nearest.h"

#include <gtest/gtest.h>

#include <vector>

namespace base {
namespace {

TEST(Nearest, CountsSwapsAsOneSlip) {
    EXPECT_EQ(edit_distance("serve", "sevre"), 1u);
    EXPECT_EQ(edit_distance("", "abc"), 3u);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
    EXPECT_EQ(edit_distance("same", "same"), 0u);
}

TEST(Nearest, SuggestsOnlyWhatIsNear) {
    const std::vector<std::string_view> words = {"serve", "chat", "models"};
    EXPECT_EQ(nearest("serv", words), "serve");
    EXPECT_EQ(nearest("modles", words), "models");
    EXPECT_FALSE(nearest("xyzzy", words));
    EXPECT_FALSE(nearest("", words));
}

}  // namespace
}  // namespace base
