#pragma once
// What a virtual machine is booted with: pure, for both monitors.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sphere/backend_options.h"
#include "sphere/spec.h"

namespace sphere::microvm {

enum class Monitor : std::uint8_t { firecracker, qemu };

struct Boot {
    Monitor monitor = Monitor::qemu;
    std::string vmm, kernel;  ///< paths
    std::string initramfs;    ///< where make_initramfs's archive is
    std::string disk;         ///< a root image; empty: all is in the archive
    bool emulate = false;
};

/// The port that the agent listens on in a machine of firecracker's.
inline constexpr unsigned kAgentPort = 1024;

/// Whole mebibytes and processors of the machine.
std::uint64_t memory_mib(const Limits& limits);
std::uint32_t processors(const Limits& limits);

std::string kernel_arguments(const Boot& boot);
/// Everything behind the program's name. The agent's line is its stdin and stdout.
std::vector<std::string> qemu_arguments(const Boot& boot, const Limits& limits);

/// An archive of the "newc" format with `agent` as /init and the folders a root needs, to follow
/// another archive or none.
std::string make_initramfs(std::span<const std::byte> agent);
/// Whether a file that begins so is an archive (newc, or compressed) and not a disk's image.
bool is_archive(std::string_view first_bytes);

}  // namespace sphere::microvm
