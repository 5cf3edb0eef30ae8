#include "base/files/mapping_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "base/files/unique_fd.h"
#include "support/temp_dir.h"

namespace {

constexpr std::size_t kBytes = 4 * 4096;

/// A file of ones, mapped, of which one page is left.
struct CutFile {
    CutFile() {
        fd = base::UniqueFd(::open(dir.file("a").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
        const std::vector<char> ones(kBytes, 1);
        EXPECT_EQ(::write(fd.get(), ones.data(), kBytes), static_cast<ssize_t>(kBytes));
        data = static_cast<char*>(::mmap(nullptr, kBytes, PROT_READ, MAP_SHARED, fd.get(), 0));
        EXPECT_EQ(::ftruncate(fd.get(), 4096), 0);
    }
    ~CutFile() { ::munmap(data, kBytes); }
    char read(std::size_t at) const { return *static_cast<const volatile char*>(data + at); }

    test::TempDir dir;
    base::UniqueFd fd;
    char* data;
};

TEST(MappingGuard, WhatIsGoneReadsAsZerosAndIsTold) {
    const CutFile file;
    std::atomic<bool> damaged{false};
    const base::MappingGuard guard(file.data, kBytes, damaged);
    EXPECT_EQ(file.read(100), 1);
    EXPECT_FALSE(damaged);
    EXPECT_EQ(file.read(3 * 4096 + 5), 0);
    EXPECT_TRUE(damaged);
    EXPECT_EQ(file.read(100), 1);
}

TEST(MappingGuard, GuardsAreManyAndEachTellsItsOwner) {
    const CutFile file, other;
    std::vector<base::MappingGuard> guards;
    std::atomic<bool> nobody{false}, mine{false}, others{false};
    for (int i = 0; i < 1000; ++i) guards.emplace_back(other.data, 0, nobody);
    guards.emplace_back(file.data, kBytes, mine);
    guards.emplace_back(other.data, kBytes, others);
    guards.erase(guards.begin(), guards.begin() + 500);
    EXPECT_EQ(file.read(4096), 0);
    EXPECT_TRUE(mine);
    EXPECT_FALSE(others);
    EXPECT_EQ(other.read(4096), 0);
    EXPECT_TRUE(others);
    EXPECT_FALSE(nobody);
}

TEST(MappingGuardDeathTest, AFaultElsewhereEndsTheProcessAsEver) {
    const CutFile file;
    EXPECT_EXIT(
        {
            std::atomic<bool> damaged{false};
            { const base::MappingGuard guard(file.data, kBytes, damaged); }
            static_cast<void>(file.read(4096));
        },
        testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
