#include "sphere/native/leftovers.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "support/temp_dir.h"

namespace sphere::native {
namespace {

TEST(StateDir, IsMadeAndMayNotBeAnybodyElses) {
    test::TempDir folder;
    const std::string fresh = folder.file("a/b");
    EXPECT_TRUE(make_state_dir(fresh));
    EXPECT_TRUE(make_state_dir(fresh));
    ASSERT_EQ(::chmod(fresh.c_str(), 0777), 0);
    EXPECT_EQ(make_state_dir(fresh).error().code, base::Code::permission_denied);
    ASSERT_EQ(::chmod(fresh.c_str(), 0700), 0);
    const std::string link = folder.file("link");
    std::filesystem::create_symlink(fresh, link);
    EXPECT_EQ(make_state_dir(link).error().code, base::Code::permission_denied);
}

TEST(Leftovers, OnlyDeadSpheresAreCleanedUpAfter) {
    test::TempDir folder;
    auto living = StateFile::make(folder.path(), "living");
    ASSERT_TRUE(living);
    ASSERT_TRUE(living->record({"/sys/fs/cgroup/no-such/dougong-living"}));
    {
        auto dead = StateFile::make(folder.path(), "dead");
        ASSERT_TRUE(dead);
        ASSERT_TRUE(dead->record({"/sys/fs/cgroup/no-such/dougong-dead"}));
    }  // its lock goes with its descriptor; nobody called remove()
    EXPECT_EQ(clean_leftovers(folder.path()), 1u);
    EXPECT_TRUE(std::filesystem::exists(folder.file("living.sphere")));
    EXPECT_FALSE(std::filesystem::exists(folder.file("dead.sphere")));
    EXPECT_FALSE(std::filesystem::exists(folder.file("dead.root")));
    living->remove();
    EXPECT_EQ(folder.entries(), 0u);
}

TEST(Leftovers, AStateFileNamesNothingButGroupsOfSpheres) {
    test::TempDir folder;
    const std::string other = folder.file("precious"), climbing = folder.file("dougong-x");
    std::filesystem::create_directory(other);
    std::filesystem::create_directory(climbing);
    test::write_text(folder.file("dead.sphere"), other + "\n" + climbing + "/../precious\n");
    EXPECT_EQ(clean_leftovers(folder.path()), 1u);
    EXPECT_TRUE(std::filesystem::exists(other));
}

}  // namespace
}  // namespace sphere::native
