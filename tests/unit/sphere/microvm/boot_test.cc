#include "sphere/microvm/boot.h"

#include <gtest/gtest.h>

#include <algorithm>

#include <sys/stat.h>

#include "base/files/files.h"
#include "sphere/microvm/vm_maker.h"
#include "support/temp_dir.h"

namespace test {
namespace {

using namespace sphere::microvm;
using base::Code;

std::string after(const std::vector<std::string>& all, const std::string& flag) {
    const auto at = std::ranges::find(all, flag);
    return at == all.end() || at + 1 == all.end() ? "" : *(at + 1);
}

TEST(Qemu, GetsNoDeviceButTheLineAndTheDisk) {
    sphere::Limits limits;
    limits.memory_bytes = 300ull << 20;
    limits.cpus = 2;
    const Boot boot{Monitor::qemu, "/q", "/k", "/i", "/a,b.img", false};
    const auto all = qemu_arguments(boot, limits);
    EXPECT_EQ(after(all, "-m"), "300M");
    EXPECT_EQ(after(all, "-smp"), "2");
    EXPECT_EQ(after(all, "-kernel"), "/k");
    EXPECT_EQ(after(all, "-drive"), "if=none,id=root,format=raw,readonly=on,file=/a,,b.img");
    EXPECT_NE(after(all, "-M").find("microvm,accel=kvm"), std::string::npos);
    EXPECT_NE(after(all, "-sandbox").find("spawn=deny"), std::string::npos);
    for (const char* never : {"-net", "-nic", "-netdev", "-monitor", "-vnc", "-usb"}) {
        EXPECT_EQ(std::ranges::count(all, never), 0) << never;
    }
    for (const char* always : {"-nodefaults", "-no-user-config", "-no-reboot"}) {
        EXPECT_EQ(std::ranges::count(all, always), 1) << always;
    }
}

TEST(Initramfs, IsAnArchiveWithTheAgentAsInit) {
    const std::string agent(1001, 'x');
    const std::string archive = make_initramfs(std::as_bytes(std::span(agent)));
    EXPECT_TRUE(is_archive(archive));
    EXPECT_EQ(archive.size() % 4, 0u);
    // Walked as a kernel does.
    std::size_t at = 0;
    std::vector<std::string> names;
    while (at + 110 <= archive.size()) {
        ASSERT_EQ(archive.substr(at, 6), "070701");
        const auto field = [&](int n) {
            return std::stoul(archive.substr(at + 6 + 8 * static_cast<std::size_t>(n), 8), nullptr,
                              16);
        };
        const std::size_t mode = field(1), size = field(6), name_size = field(11);
        names.push_back(archive.substr(at + 110, name_size - 1));
        at = (at + 110 + name_size + 3) / 4 * 4;
        if (names.back() == "init") {
            EXPECT_EQ(mode, 0100755u);
            EXPECT_EQ(archive.substr(at, size), agent);
        }
        at = (at + size + 3) / 4 * 4;
    }
    EXPECT_EQ(at, archive.size());
    EXPECT_EQ(names.back(), "TRAILER!!!");
    EXPECT_EQ(std::ranges::count(names, "init"), 1);
    EXPECT_EQ(std::ranges::count(names, "workspace"), 1);
}

TEST(FindBoot, SaysWhatIsMissing) {
    const TempDir folder;
    const auto told = [](const sphere::MicrovmOptions& options) {
        const auto found = find_boot(options);
        EXPECT_FALSE(found);
        if (found) return std::string();
        EXPECT_EQ(found.error().code, Code::failed_precondition);
        return found.error().message;
    };
    EXPECT_NE(told({}).find("microvm_vmm"), std::string::npos);
    EXPECT_NE(told({.vmm = "no-such-monitor"}).find("no-such-monitor"), std::string::npos);
    EXPECT_NE(told({.vmm = "/bin/true", .emulate = true}).find("qemu alone"), std::string::npos);
    const std::string qemu = folder.file("qemu-system-test");
    ASSERT_TRUE(base::write_file_atomically(qemu, "#!/bin/sh\n"));
    ASSERT_EQ(::chmod(qemu.c_str(), 0755), 0);
    EXPECT_NE(told({.vmm = qemu, .emulate = true}).find("microvm_kernel"), std::string::npos);
    EXPECT_NE(told({.vmm = qemu, .kernel = qemu, .root = "/no/such", .emulate = true})
                  .find("microvm_root"),
              std::string::npos);
}

TEST(VmMaker, RefusesByNameWhatAMachineCannotHold) {
    const TempDir state;
    const auto maker = VmMaker::open(state.path(), {Monitor::qemu, "/q", "/k", "", "", true});
    if (!maker) GTEST_SKIP() << "NO CONTROL GROUPS HERE: " << maker.error().message;
    sphere::SandboxSpec good;
    good.isolation = sphere::Isolation::microvm;
    EXPECT_TRUE((*maker)->check(good));
    const auto subject = [&](auto change) {
        auto spec = good;
        change(spec);
        const auto checked = (*maker)->check(spec);
        return checked ? std::string() : checked.error().subject;
    };
    EXPECT_EQ(subject([](auto& s) { s.isolation = sphere::Isolation::full; }), "isolation");
    EXPECT_EQ(subject([](auto& s) { s.network.mode = sphere::NetworkMode::egress; }),
              "network.mode");
    EXPECT_EQ(subject([](auto& s) { s.root.kind = sphere::RootSpec::Kind::directory; }),
              "root.kind");
    EXPECT_EQ(subject([](auto& s) { s.snapshot = "snap-a"; }), "snapshot");
    EXPECT_EQ(subject([](auto& s) { s.limits.memory_bytes = 64 << 20; }), "limits.memory_bytes");
    EXPECT_EQ(subject([](auto& s) { s.limits.cpus = 33; }), "limits.cpus");
}

}  // namespace
}  // namespace test
