// config.json as a runtime reads it, whole.
#include "sphere/oci/bundle.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/files/files.h"
#include "base/json/json.h"

namespace {

sphere::SandboxSpec spec() {
    sphere::SandboxSpec spec;
    spec.isolation = sphere::Isolation::gvisor;
    spec.limits.tmp_bytes = 7 << 20;
    spec.limits.inodes_max = 1234;
    spec.limits.open_files_max = 77;
    return spec;
}

TEST(Bundle, IsTheGoldenFile) {
    const auto made = base::parse_json(sphere::oci::make_config(spec(), {"/staging/bundle"}, true));
    ASSERT_TRUE(made);
    const std::string path = DG_SOURCE_DIR "/tests/golden/sphere/oci_config.json";
    const auto golden = base::parse_json_file(path);
    ASSERT_TRUE(golden) << golden.error().message;
    EXPECT_EQ(base::to_text(*made), base::to_text(*golden));
}

TEST(Bundle, OfThisHostsKernelOnlyProcessesAreShown) {
    const auto made = base::parse_json(sphere::oci::make_config(spec(), {"/b"}, false));
    ASSERT_TRUE(made);
    for (const auto& mount : made->at("mounts").as_array()) {
        if (mount.at("destination").as_string() != "/proc") continue;
        const auto& options = mount.at("options").as_array();
        EXPECT_NE(std::ranges::find(options, base::json::value("subset=pid")), options.end());
        return;
    }
    FAIL() << "no /proc";
}

TEST(Bundle, NothingOfTheTenantsTextIsInIt) {
    auto hostile = spec();
    hostile.name = "x";
    hostile.environment = {{"LD_PRELOAD", "/workspace/evil.so"}};
    hostile.labels = {{"args", "\"],\"root\":{\"path\":\"/\"}"}};
    EXPECT_EQ(sphere::oci::make_config(hostile, {"/b"}, true),
              sphere::oci::make_config(spec(), {"/b"}, true));
}

}  // namespace
