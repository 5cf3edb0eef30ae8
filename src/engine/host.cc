#include "engine/host.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <string>
#include <string_view>

#include "base/files/files.h"

namespace engine {
namespace {

constexpr std::uint64_t kSystemFileBytesMax = 1 << 20;

/// The number after `label` in a file of "label: value" lines; 0 when it is not there.
std::uint64_t number_after(std::string_view text, std::string_view label) {
    std::size_t at = text.find(label);
    if (at == std::string_view::npos) return 0;
    at = text.find_first_of("0123456789", at + label.size());
    if (at == std::string_view::npos) return 0;
    std::uint64_t value = 0;
    std::from_chars(text.data() + at, text.data() + text.size(), value);
    return value;
}

}  // namespace

std::uint32_t physical_cores() {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
    std::set<std::string> cores;  // by the list of hyper-threads that share one
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        const auto siblings = base::read_file(
            fmt::format("/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu),
            kSystemFileBytesMax);
        cores.insert(siblings && !siblings->empty() ? *siblings : std::to_string(cpu));
    }
    return std::max<std::uint32_t>(1, static_cast<std::uint32_t>(cores.size()));
}

std::uint64_t available_memory_bytes() {
    const auto memory = base::read_file("/proc/meminfo", kSystemFileBytesMax);
    return memory ? number_after(*memory, "MemAvailable:") * 1024 : 0;
}

}  // namespace engine
