// A virtual machine that really boots, where one is configured:
//   DG_TEST_VM_KERNEL   a Linux kernel image (a bzImage)
//   DG_TEST_VM_MONITOR  qemu-system-x86_64 unless said otherwise
//   DG_TEST_VM_KVM      set: with KVM; unset: emulated
#include <cstdlib>

#include "base/files/files.h"
#include "box_fixture.h"
#include "sphere/microvm/vm_maker.h"

namespace test {
namespace {

std::string setting(const char* name, const char* otherwise) {
    const char* const value = std::getenv(name);
    return value != nullptr ? value : otherwise;
}

/// The abuser as a whole root: it is static.
std::string root_archive() {
    const auto program = base::read_file(abuser_path(), 64 << 20);
    EXPECT_TRUE(program);
    // Our own archive calls its file "init"; the machine's agent comes behind and replaces it.
    std::string archive = sphere::microvm::make_initramfs(std::as_bytes(std::span(*program)));
    for (std::size_t at = 0; (at = archive.find(std::string("init\0", 5), at)) != archive.npos;) {
        archive.replace(at, 4, "tool");
    }
    return archive;
}

TEST(Machine, BootsAndRunsCommandsThroughItsAgent) {
    const std::string kernel = setting("DG_TEST_VM_KERNEL", "");
    if (kernel.empty()) GTEST_SKIP() << "NO MACHINE IS BOOTED: DG_TEST_VM_KERNEL names no kernel";
    const TempDir state, files;
    const std::string root = files.file("root.cpio");
    ASSERT_TRUE(base::write_file_atomically(root, root_archive()));
    const auto boot =
        sphere::microvm::find_boot({.vmm = setting("DG_TEST_VM_MONITOR", "qemu-system-x86_64"),
                                    .kernel = kernel,
                                    .root = root,
                                    .emulate = std::getenv("DG_TEST_VM_KVM") == nullptr});
    if (!boot) GTEST_SKIP() << "NO MACHINE IS BOOTED: " << boot.error().message;
    auto maker = sphere::microvm::VmMaker::open(state.path(), *boot);
    ASSERT_TRUE(maker) << maker.error().message;
    const base::SystemClock clock;
    sphere::guest::GuestSphere sphere({.state_dir = state.path()}, clock, std::move(*maker));
    sphere::SandboxSpec spec;
    spec.isolation = sphere::Isolation::microvm;
    spec.limits.memory_bytes = 256 << 20;
    spec.limits.workspace_bytes = 8 << 20;
    const auto box = sphere.create(spec);
    ASSERT_TRUE(box) << box.error().message;
    EXPECT_EQ(sphere.info(*box)->backend, "microvm");
    Recorder recorder;
    const auto ended = sphere.exec(*box, {.argv = {"/tool", "s12"}}, recorder);
    ASSERT_TRUE(ended) << ended.error().message;
    EXPECT_EQ(ended->reason, sphere::EndReason::exited) << recorder.out << recorder.err;
    EXPECT_FALSE(recorder.out.empty());
    Recorder missing;
    EXPECT_EQ(sphere.exec(*box, {.argv = {"/no-such"}}, missing).error().code,
              base::Code::not_found);
    EXPECT_EQ(sphere.open_workspace(*box).error().code, base::Code::unimplemented);
    EXPECT_TRUE(sphere.destroy(*box));
}

}  // namespace
}  // namespace test
