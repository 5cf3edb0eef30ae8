#include "base/files/linux_disk.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "support/temp_dir.h"

namespace {

using base::Code;
using base::Disk;
using base::LinuxDisk;

TEST(LinuxDisk, WritesReadsReservesAndResizes) {
    test::TempDir temp;
    LinuxDisk disk;
    auto file = *disk.open(temp.file("a"), Disk::Mode::fresh);
    ASSERT_TRUE(file->reserve(10'000));
    EXPECT_EQ(*file->size(), 10'000u);
    ASSERT_TRUE(file->write(5, "hello"));
    ASSERT_TRUE(file->sync());
    ASSERT_TRUE(file->write_durably(10, " world"));
    std::string got(20, '?');
    EXPECT_EQ(*file->read(0, got), 20u);
    EXPECT_EQ(got.substr(5, 11), "hello world");
    ASSERT_TRUE(file->resize(12));
    EXPECT_EQ(*file->read(0, got), 12u);
    EXPECT_EQ(*file->read(12, got), 0u);
    EXPECT_EQ((*disk.open(temp.file("a"), Disk::Mode::existing))->size(), 12u);
    EXPECT_EQ((*disk.open(temp.file("a"), Disk::Mode::fresh))->size(), 0u);
}

TEST(LinuxDisk, NamesAndWhatIsMissing) {
    test::TempDir temp;
    LinuxDisk disk;
    const std::string dir = temp.file("x/y/");
    ASSERT_TRUE(disk.make_dir(dir));
    ASSERT_TRUE(disk.make_dir(dir));
    EXPECT_TRUE(std::filesystem::is_directory(temp.file("x/y")));
    ASSERT_TRUE(disk.open(dir + "b", Disk::Mode::fresh));
    ASSERT_TRUE(disk.open(dir + "a", Disk::Mode::fresh));
    std::filesystem::create_directory(dir + "folder");
    EXPECT_EQ(*disk.list(dir), (std::vector<std::string>{"a", "b"}));
    ASSERT_TRUE(disk.rename(dir + "a", dir + "b"));
    ASSERT_TRUE(disk.sync_dir(dir));
    EXPECT_EQ(*disk.list(dir), std::vector<std::string>{"b"});
    ASSERT_TRUE(disk.remove(dir + "b"));
    EXPECT_EQ(disk.remove(dir + "b").error().code, Code::not_found);
    EXPECT_EQ(disk.open(dir + "b", Disk::Mode::existing).error().code, Code::not_found);
    EXPECT_EQ(disk.rename(dir + "b", dir + "c").error().code, Code::not_found);
    EXPECT_EQ(disk.list(dir + "none").error().code, Code::not_found);
}

TEST(LinuxDisk, ALockHasOneOwnerAndGoesWithIt) {
    test::TempDir temp;
    LinuxDisk disk;
    auto lock = disk.lock(temp.file("lock"));
    ASSERT_TRUE(lock);
    EXPECT_EQ(disk.lock(temp.file("lock")).error().code, Code::failed_precondition);
    lock->reset();
    EXPECT_TRUE(disk.lock(temp.file("lock")));
}

}  // namespace
