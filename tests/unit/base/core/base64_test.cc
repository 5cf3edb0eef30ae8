#include "base/core/base64.h"

#include <gtest/gtest.h>

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
    }
    std::string out = "before ";
    base::append_base64(out, "\xfb\xff");
    EXPECT_EQ(out, "before +/8=");
}

}  // namespace
