#include "sphere/spec.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>

#include "sphere/native/control_groups.h"

namespace sphere {
namespace {

std::string refusal(const std::function<void(SandboxSpec&)>& change) {
    SandboxSpec spec;
    change(spec);
    const auto checked = check_spec(spec);
    return checked ? "" : checked.error().subject;
}

std::string exec_refusal(const std::function<void(ExecSpec&)>& change) {
    ExecSpec spec;
    spec.argv = {"true"};
    change(spec);
    const auto checked = check_exec(spec);
    return checked ? "" : checked.error().subject;
}

TEST(Spec, TheDefaultIsSound) {
    EXPECT_EQ(refusal([](SandboxSpec&) {}), "");
    EXPECT_EQ(exec_refusal([](ExecSpec&) {}), "");
}

TEST(Spec, NamesWhatIsWrong) {
    EXPECT_EQ(refusal([](auto& s) { s.name = "Has Capitals"; }), "name");
    EXPECT_EQ(refusal([](auto& s) { s.name = std::string(64, 'a'); }), "name");
    EXPECT_EQ(refusal([](auto& s) { s.tenant = ""; }), "tenant");
    EXPECT_EQ(refusal([](auto& s) { s.limits.cpus = 0; }), "limits.cpus");
    EXPECT_EQ(refusal([](auto& s) { s.limits.cpus = std::numeric_limits<double>::quiet_NaN(); }),
              "limits.cpus");
    EXPECT_EQ(refusal([](auto& s) { s.limits.memory_bytes = 4096; }), "limits.memory_bytes");
    EXPECT_EQ(refusal([](auto& s) { s.limits.processes_max = 0; }), "limits.processes_max");
    EXPECT_EQ(refusal([](auto& s) { s.limits.workspace_bytes = 0; }), "limits.workspace_bytes");
    EXPECT_EQ(refusal([](auto& s) { s.limits.inodes_max = 0; }), "limits.inodes_max");
    EXPECT_EQ(refusal([](auto& s) { s.limits.open_files_max = 0; }), "limits.open_files_max");
    EXPECT_EQ(refusal([](auto& s) { s.limits.lifetime = std::chrono::milliseconds(-1); }),
              "limits.lifetime");
    EXPECT_EQ(refusal([](auto& s) { s.root.kind = RootSpec::Kind::directory; }), "root.path");
    EXPECT_EQ(refusal([](auto& s) { s.network.allow_domains = {"example.org"}; }), "network");
    EXPECT_EQ(refusal([](auto& s) { s.environment["A=B"] = "c"; }), "environment");
    EXPECT_EQ(refusal([](auto& s) { s.environment["A"] = std::string("x\0y", 3); }),
              "environment.A");
}

TEST(Spec, AShareOfADeviceIsRefusedNotIgnored) {
    SandboxSpec spec;
    spec.limits.gpu_share = 0.5;
    const auto checked = check_spec(spec);
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, base::Code::unimplemented);
    EXPECT_EQ(checked.error().subject, "limits.gpu_share");
}

TEST(Spec, AWrongCommandIsNamed) {
    EXPECT_EQ(exec_refusal([](auto& s) { s.argv = {}; }), "argv");
    EXPECT_EQ(exec_refusal([](auto& s) { s.argv = {""}; }), "argv");
    EXPECT_EQ(exec_refusal([](auto& s) { s.argv.push_back(std::string("a\0b", 3)); }), "argv[1]");
    EXPECT_EQ(exec_refusal([](auto& s) { s.working_directory = "tmp"; }), "working_directory");
    EXPECT_EQ(exec_refusal([](auto& s) { s.wall_timeout = std::chrono::milliseconds(-5); }),
              "wall_timeout");
    EXPECT_EQ(exec_refusal([](auto& s) {
                  s.tty = true;
                  s.tty_rows = 0;
              }),
              "tty_columns");
}

TEST(GroupFolder, IsTheGroupBelowItsMount) {
    using native::group_folder;
    EXPECT_EQ(group_folder("/", "/sys/fs/cgroup/memory", "/a/b"), "/sys/fs/cgroup/memory/a/b");
    EXPECT_EQ(group_folder("/", "/sys/fs/cgroup", "/"), "/sys/fs/cgroup");
    EXPECT_EQ(group_folder("/docker/x", "/sys/fs/cgroup", "/docker/x"), "/sys/fs/cgroup");
    EXPECT_EQ(group_folder("/docker/x", "/sys/fs/cgroup", "/docker/x/y"), "/sys/fs/cgroup/y");
    EXPECT_EQ(group_folder("/docker/x", "/sys/fs/cgroup", "/docker/xy"), "");
    EXPECT_EQ(group_folder("/docker/x", "/sys/fs/cgroup", "/elsewhere"), "");
}

TEST(CpuQuota, IsMicrosecondsOfAPeriodAndNeverTooSmallForTheKernel) {
    EXPECT_EQ(native::cpu_quota_us(1), 100'000u);
    EXPECT_EQ(native::cpu_quota_us(0.5), 50'000u);
    EXPECT_EQ(native::cpu_quota_us(2.25), 225'000u);
    EXPECT_EQ(native::cpu_quota_us(0.001), 1'000u);
}

}  // namespace
}  // namespace sphere
