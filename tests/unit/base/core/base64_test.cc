#include "base/core/base64.h"

#include <gtest/gtest.h>

#include "support/seeds.h"

namespace {

TEST(Base64, GivesThePublishedVectors) {  // RFC 4648, section 10
    const struct {
        const char *bytes, *text;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"}};
    for (const auto& each : cases) {
        std::string out;
        base::append_base64(out, each.bytes);
        EXPECT_EQ(out, each.text);
        EXPECT_EQ(base::base64_decode(each.text), each.bytes);
    }
    std::string out = "before ";
    base::append_base64(out, "\xfb\xff");
    EXPECT_EQ(out, "before +/8=");
}

TEST(Base64, WhatIsNoneIsNotRead) {
    for (const char* text :
         {"Z", "Zg", "Zg=", "Z===", "Zh==", "Zm9=", "Zg==Zg==", "Zm9*", "\xff///"}) {
        EXPECT_EQ(base::base64_decode(text), std::nullopt) << text;
    }
}

TEST(Base64, EveryTextComesBack) {
    test::for_each_seed(200, [](base::Rng& rng) {
        std::string bytes(rng.below(100), '\0');
        for (char& c : bytes) c = static_cast<char>(rng.below(256));
        std::string text;
        base::append_base64(text, bytes);
        EXPECT_EQ(base::base64_decode(text), bytes);
    });
}

}  // namespace
