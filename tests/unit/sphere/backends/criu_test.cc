// What doctor says of CRIU.
#include "sphere/backends/criu.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/seeds.h"

namespace {

using sphere::Finding;
using sphere::backends::judge_criu;
using ::testing::HasSubstr;

TEST(Criu, OnlyANewOneThatPassesItsOwnCheckWorks) {
    const std::string four = "Version: 4.2\nGitID: v4.2\n";
    EXPECT_EQ(judge_criu("/usr/sbin/criu", four, true, "Looks good.\n").finding, Finding::works);
    const auto failing =
        judge_criu("/usr/sbin/criu", four, false, "Warn (x)\nError (cr-check.c:1): no \x1b vDSO\n");
    EXPECT_EQ(failing.finding, Finding::missing);
    EXPECT_THAT(failing.consequence, HasSubstr("no ? vDSO"));
    const auto old = judge_criu("/usr/sbin/criu", "Version: 3.17.1\n", true, "Looks good.\n");
    EXPECT_EQ(old.finding, Finding::missing);
    EXPECT_THAT(old.consequence, HasSubstr("criu 4"));
    EXPECT_EQ(judge_criu("/usr/sbin/criu", "criu\n", true, "").finding, Finding::missing);
    EXPECT_EQ(judge_criu("", "", false, "").detail, "no criu");
}

TEST(Criu, WhateverItSaysIsShownHarmless) {
    test::for_each_seed(500, [](base::Rng& rng) {
        std::string text(rng.below(400), ' ');
        for (char& c : text) c = static_cast<char>(rng.below(256));
        const auto fact = judge_criu("criu", rng.below(2) == 0 ? text : "Version: 4" + text,
                                     rng.below(2) == 0, text);
        for (const std::string* shown : {&fact.detail, &fact.consequence}) {
            for (const char c : *shown) ASSERT_TRUE(c >= ' ' && c <= '~');
            ASSERT_LT(shown->size(), 400u);
        }
    });
}

}  // namespace
