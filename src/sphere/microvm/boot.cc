#include "sphere/microvm/boot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace sphere::microvm {
namespace {

constexpr std::uint32_t kFolder = 0040755, kProgram = 0100755, kTerminal = 0020600;

class Archive {
public:
    void add(std::string_view name, std::uint32_t mode, std::string_view content = {},
             std::uint32_t major = 0, std::uint32_t minor = 0) {
        const auto word = [&](std::size_t number) { text_ += fmt::format("{:08x}", number); };
        text_ += "070701";
        word(++entries_);
        word(mode);
        for (const std::uint32_t zero : {0, 0}) word(zero);  // user, group
        word(1);                                             // links
        word(0);                                             // time
        word(content.size());
        for (const std::uint32_t zero : {0, 0}) word(zero);  // device it is on
        word(major);
        word(minor);
        word(name.size() + 1);
        word(0);  // checksum
        text_ += name;
        text_ += '\0';
        pad();
        text_ += content;
        pad();
    }
    std::string take() {
        add("TRAILER!!!", 0);
        return std::move(text_);
    }

private:
    void pad() { text_.append((4 - text_.size() % 4) % 4, '\0'); }

    std::string text_;
    std::size_t entries_ = 0;
};

}  // namespace

std::uint64_t memory_mib(const Limits& limits) {
    return (limits.memory_bytes + (1 << 20) - 1) >> 20;
}

std::uint32_t processors(const Limits& limits) {
    return static_cast<std::uint32_t>(std::ceil(limits.cpus));
}

std::string kernel_arguments(const Boot& boot) {
    // Panic and reboot both end the monitor. The words behind -- are the agent's.
    if (boot.monitor == Monitor::firecracker) {
        return fmt::format("reboot=k panic=-1 pci=off quiet -- guest vsock {}", kAgentPort);
    }
    return "reboot=t panic=-1 quiet edd=off -- guest tty /dev/ttyS0";
}

std::vector<std::string> qemu_arguments(const Boot& boot, const Limits& limits) {
    // A stock kernel finds its clock on a full PC only; the small machine needs KVM's.
    std::vector<std::string> all = {
        "-M",
        boot.emulate ? "pc,accel=tcg" : "microvm,accel=kvm,rtc=on,isa-serial=on",
        "-cpu",
        boot.emulate ? "max" : "host",
        "-m",
        fmt::format("{}M", memory_mib(limits)),
        "-smp",
        fmt::format("{}", processors(limits)),
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
        "-sandbox",
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
        "-serial",
        "stdio",
        "-kernel",
        boot.kernel,
        "-initrd",
        boot.initramfs,
        "-append",
        kernel_arguments(boot)};
    if (!boot.disk.empty()) {
        std::string path = boot.disk;  // a comma would begin an option
        for (std::size_t at = 0; (at = path.find(',', at)) != path.npos; at += 2) {
            path.insert(at, 1, ',');
        }
        all.insert(all.end(),
                   {"-drive", fmt::format("if=none,id=root,format=raw,readonly=on,file={}", path),
                    "-device",
                    boot.emulate ? "virtio-blk-pci,drive=root" : "virtio-blk-device,drive=root"});
    }
    return all;
}

std::string make_initramfs(std::span<const std::byte> agent) {
    Archive archive;
    for (const char* name : {"dev", "proc", "tmp", "workspace", "root"}) archive.add(name, kFolder);
    archive.add("dev/console", kTerminal, {}, 5, 1);
    archive.add("init", kProgram, {reinterpret_cast<const char*>(agent.data()), agent.size()});
    return archive.take();
}

bool is_archive(std::string_view first_bytes) {
    return first_bytes.starts_with("070701") || first_bytes.starts_with("\x1f\x8b") ||
           first_bytes.starts_with("\x28\xb5\x2f\xfd") ||
           first_bytes.starts_with(
               "\xfd"
               "7zXZ");
}

}  // namespace sphere::microvm
