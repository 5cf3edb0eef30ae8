#include "sphere/native/leftovers.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "sphere/native/owner_name.h"
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

TEST(OwnerName, SaysWhoseTheGroupsAre) {
    const GroupOwner self = this_owner();
    EXPECT_NE(self.start_ticks, 0u);
    const std::string name = owner_name("00ff00ff00ff00ff", self);
    EXPECT_EQ(read_owner(name), self);
    for (const std::string& other :
         {std::string("dougong-00ff00ff00ff00ff"), name + "-1", name + "x", "x" + name,
          std::string("dougong-x-1-2-3"), std::string("dougong-1-0-2-3"),
          std::string("dougong-1--2-3"), std::string("dougong-1-99999999999-2-3"), std::string()}) {
        EXPECT_EQ(read_owner(other), std::nullopt) << other;
    }
}

TEST(OwnerName, OnlyAProcessThatIsCertainlyGoneIsGone) {
    GroupOwner owner = this_owner();
    EXPECT_FALSE(is_gone(owner));
    ++owner.start_ticks;  // another process had our number before us
    EXPECT_TRUE(is_gone(owner));
    owner.where ^= 1;  // numbers of a namespace that we do not see
    EXPECT_FALSE(is_gone(owner));
    owner = this_owner();
    const pid_t child = ::fork();
    if (child == 0) ::_exit(0);
    ::waitpid(child, nullptr, 0);
    owner.pid = child;
    EXPECT_TRUE(is_gone(owner));
    owner.start_ticks = 0;
    EXPECT_FALSE(is_gone(owner)) << "a name that does not say when";
}

}  // namespace
}  // namespace sphere::native
