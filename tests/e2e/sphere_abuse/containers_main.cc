// The corpus in containers of one runtime: the same programs and tests, other boxes.
#include <gtest/gtest.h>

#include <cstdlib>

int main(int argc, char** argv) {
    ::setenv("DG_ABUSE_ISOLATION", DG_CONTAINERS_BY, 1);
    ::testing::InitGoogleTest(&argc, argv);
    if (::testing::GTEST_FLAG(filter) == "*") {
        // Networks, images, snapshots and sessions from the pool are refused there by name, and a
        // killed server's containers have a test of their own: test_sphere_containers.
        ::testing::GTEST_FLAG(filter) = "AbuseTest.*:TemplateTest.*-AbuseTest.AKilledServer*";
    }
    return RUN_ALL_TESTS();
}
