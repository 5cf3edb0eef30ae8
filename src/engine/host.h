#pragma once
// What the machine offers this process, for defaults that nobody set: the hardware, less what a
// container or service manager allows (control groups, version 1 and 2).

#include <cstdint>
#include <string>

namespace engine {

/// Where /proc and /sys are; another folder in tests.
struct HostFiles {
    std::string root = {};
};

/// Physical cores this process may run on, and no more than its CPU quota pays for; at least 1.
/// Hyper-threads of one core count once.
std::uint32_t physical_cores(const HostFiles& files = {});
/// Memory that can be had without swapping or breaking a limit; 0 when the system does not say.
std::uint64_t available_memory_bytes(const HostFiles& files = {});

}  // namespace engine
