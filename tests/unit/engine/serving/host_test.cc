#include "engine/host.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "support/temp_dir.h"

namespace {

constexpr std::uint64_t kMiB = 1 << 20;

/// A machine with 8 GiB available, as its files tell.
class HostTest : public ::testing::Test {
protected:
    HostTest() {
        files_.root = temp_.path();
        write("/proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable:    8388608 kB\n");
    }
    void write(const std::string& path, const std::string& text) {
        const std::filesystem::path at = temp_.path() + path;
        std::filesystem::create_directories(at.parent_path());
        std::ofstream(at) << text;
    }
    test::TempDir temp_;
    engine::HostFiles files_;
};

TEST_F(HostTest, WithoutGroupsTheMachineIsTheLimit) {
    EXPECT_EQ(engine::available_memory_bytes(files_), 8192 * kMiB);
    EXPECT_GE(engine::physical_cores(files_), 1u);
}

TEST_F(HostTest, AGroupOfVersion2LimitsMemoryAndCores) {
    write("/proc/self/cgroup", "0::/system.slice/dougong.service\n");
    const std::string dir = "/sys/fs/cgroup/system.slice/dougong.service";
    write(dir + "/memory.max", std::to_string(1024 * kMiB) + "\n");
    write(dir + "/memory.current", std::to_string(600 * kMiB) + "\n");
    write(dir + "/memory.stat", "anon 5\ninactive_file " + std::to_string(200 * kMiB) + "\n");
    write(dir + "/cpu.max", "50000 100000\n");
    EXPECT_EQ(engine::available_memory_bytes(files_), 624 * kMiB);
    EXPECT_EQ(engine::physical_cores(files_), 1u);
}

TEST_F(HostTest, AParentsLimitCountsToo) {
    write("/proc/self/cgroup", "0::/pod/container\n");
    write("/sys/fs/cgroup/pod/container/memory.max", "max\n");
    write("/sys/fs/cgroup/pod/container/memory.current", "1\n");
    write("/sys/fs/cgroup/pod/memory.max", std::to_string(300 * kMiB));
    write("/sys/fs/cgroup/pod/memory.current", std::to_string(100 * kMiB));
    EXPECT_EQ(engine::available_memory_bytes(files_), 200 * kMiB);
}

TEST_F(HostTest, AGroupOfVersion1LimitsAtTheRootOfItsMount) {
    write("/proc/self/cgroup", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n");
    write("/sys/fs/cgroup/memory/memory.limit_in_bytes", std::to_string(512 * kMiB));
    write("/sys/fs/cgroup/memory/memory.usage_in_bytes", std::to_string(600 * kMiB));
    write("/sys/fs/cgroup/memory/memory.stat",
          "total_inactive_file " + std::to_string(200 * kMiB) + "\n");
    write("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
    write("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(engine::available_memory_bytes(files_), 112 * kMiB);
}

TEST_F(HostTest, OddFilesAreNoLimit) {
    write("/proc/self/cgroup", "x\n::\n0::\n0::relative\n:memory:/\n");
    write("/sys/fs/cgroup/memory.max", "much\n");
    write("/sys/fs/cgroup/cpu.max", "0 0\n");
    EXPECT_EQ(engine::available_memory_bytes(files_), 8192 * kMiB);
    EXPECT_GE(engine::physical_cores(files_), 1u);
    write("/proc/meminfo", "");
    EXPECT_EQ(engine::available_memory_bytes(files_), 0u);
}

}  // namespace
