#include "app/sandboxes.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

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

TEST(Sandboxes, WhatIsKeptLiesOnADiskUnlessAFolderIsNamed) {
    const test::TempDir home;
    app::SandboxConfig config;
    EXPECT_EQ(app::sandbox_data_dir(config, {}), "") << "in the state folder";
    EXPECT_EQ(app::sandbox_data_dir(config, {{"HOME", "/no/such/home"}}), "");
    EXPECT_EQ(app::sandbox_data_dir(config, {{"HOME", home.path()}}),
              home.path() + "/.local/share/dougong/sandboxes");
    EXPECT_EQ(app::sandbox_data_dir(config, {{"HOME", "/"}, {"XDG_DATA_HOME", home.path()}}),
              home.path() + "/dougong/sandboxes");
    config.state_dir = "/srv/boxes";  // as it was before there were two
    EXPECT_EQ(app::sandbox_data_dir(config, {{"HOME", home.path()}}), "");
    config.data_dir = "/srv/kept";
    EXPECT_EQ(app::sandbox_data_dir(config, {{"HOME", home.path()}}), "/srv/kept");
}

}  // namespace
