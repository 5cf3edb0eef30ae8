#include "engine/host.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

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

std::string read_system_file(const std::string& path) {
    return base::read_file(path, kSystemFileBytesMax).value_or("");
}

/// The number a one-number file begins with; none for "max" and for missing files.
std::optional<std::uint64_t> read_number(const std::string& path) {
    const std::string text = read_system_file(path);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{}) return std::nullopt;
    return value;
}

/// Folders of the groups this process is in, its own first, then their parents, where limits may
/// be set too. `controller` is empty for version 2. A container often sees its own group as the
/// root of the mount, whatever its name outside.
std::vector<std::string> group_dirs(const HostFiles& files, std::string_view controller) {
    const std::string mount = controller.empty()
                                  ? files.root + "/sys/fs/cgroup"
                                  : fmt::format("{}/sys/fs/cgroup/{}", files.root, controller);
    std::vector<std::string> dirs;
    const std::string groups = read_system_file(files.root + "/proc/self/cgroup");
    for (std::string_view rest = groups; !rest.empty();) {  // lines of "id:controllers:/path"
        const std::string_view line = rest.substr(0, rest.find('\n'));
        rest.remove_prefix(std::min(line.size() + 1, rest.size()));
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (second == std::string_view::npos) continue;
        const std::string names = fmt::format(",{},", line.substr(first + 1, second - first - 1));
        if (controller.empty() ? names != ",,"
                               : names.find(fmt::format(",{},", controller)) == std::string::npos) {
            continue;
        }
        std::string path(line.substr(second + 1));
        while (path.size() > 1 && path.starts_with('/')) {
            dirs.push_back(mount + path);
            path.resize(path.rfind('/'));
        }
    }
    dirs.push_back(mount);
    return dirs;
}

struct MemoryFiles {
    std::string_view controller, limit, used, reclaimable;
};

/// What the tightest group leaves. Its file pages can be taken back, as MemAvailable counts too.
std::uint64_t left_by_groups(const HostFiles& files, const MemoryFiles& names) {
    std::uint64_t left = UINT64_MAX;
    for (const std::string& dir : group_dirs(files, names.controller)) {
        const auto limit = read_number(fmt::format("{}/{}", dir, names.limit));
        const auto used = read_number(fmt::format("{}/{}", dir, names.used));
        if (!limit || !used) continue;
        const std::uint64_t files_bytes =
            number_after(read_system_file(dir + "/memory.stat"), names.reclaimable);
        const std::uint64_t held = *used - std::min(*used, files_bytes);
        left = std::min(left, *limit - std::min(*limit, held));
    }
    return left;
}

/// Cores that the tightest CPU quota pays for; 0: no quota.
double quota_cores(const HostFiles& files) {
    double cores = 0;
    const auto tighten = [&](double quota, double period) {
        if (quota <= 0 || period <= 0) return;
        cores = cores == 0 ? quota / period : std::min(cores, quota / period);
    };
    for (const std::string& dir : group_dirs(files, "")) {
        const std::string text = read_system_file(dir + "/cpu.max");  // "200000 100000"
        const std::size_t space = text.find(' ');
        if (space == std::string::npos || text.starts_with("max")) continue;
        tighten(std::strtod(text.c_str(), nullptr), std::strtod(text.c_str() + space, nullptr));
    }
    for (const std::string& dir : group_dirs(files, "cpu")) {
        const auto quota = read_number(dir + "/cpu.cfs_quota_us");  // -1: none
        const auto period = read_number(dir + "/cpu.cfs_period_us");
        if (quota && period) tighten(static_cast<double>(*quota), static_cast<double>(*period));
    }
    return cores;
}

}  // namespace

std::uint32_t physical_cores(const HostFiles& files) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) return 1;
    std::set<std::string> cores;  // by the list of hyper-threads that share one
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        const std::string siblings = read_system_file(fmt::format(
            "{}/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", files.root, cpu));
        cores.insert(!siblings.empty() ? siblings : std::to_string(cpu));
    }
    const double paid = quota_cores(files);
    auto count = static_cast<std::uint32_t>(cores.size());
    // A share of a core is used by a thread of its own: the quota then evens out over time.
    if (paid > 0) count = std::min(count, static_cast<std::uint32_t>(std::ceil(paid)));
    return std::max<std::uint32_t>(1, count);
}

std::uint64_t available_memory_bytes(const HostFiles& files) {
    const std::string memory = read_system_file(files.root + "/proc/meminfo");
    const std::uint64_t free = number_after(memory, "MemAvailable:") * 1024;
    if (free == 0) return 0;
    const MemoryFiles version2{"", "memory.max", "memory.current", "inactive_file "};
    const MemoryFiles version1{"memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
                               "total_inactive_file "};
    return std::min({free, left_by_groups(files, version2), left_by_groups(files, version1)});
}

}  // namespace engine
