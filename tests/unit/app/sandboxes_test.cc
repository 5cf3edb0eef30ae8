#include "app/sandboxes.h"

#include <gtest/gtest.h>

namespace {

std::string refused(const char* host, const char* enabled) {
    app::Config config;
    config.server.host = host;
    config.sandbox.enabled = enabled;
    return app::sandboxes_refused(config);
}

TEST(Sandboxes, BeyondLoopbackTheyMustBeAskedFor) {
    for (const char* host : {"127.0.0.1", "::1", "localhost", "127.9.9.9"}) {
        EXPECT_EQ(refused(host, "auto"), "") << host;
    }
    for (const char* host : {"0.0.0.0", "::", "192.0.2.7", "box.example"}) {
        EXPECT_NE(refused(host, "auto"), "") << host;
        EXPECT_EQ(refused(host, "on"), "") << host;
    }
    EXPECT_NE(refused("127.0.0.1", "off"), "");
}

}  // namespace
