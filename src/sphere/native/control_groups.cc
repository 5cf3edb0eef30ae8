#include "sphere/native/control_groups.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <sstream>
#include <utility>

#include "base/core/rng.h"
#include "base/files/files.h"

namespace sphere::native {
namespace {

using base::Code;
using base::fail;
using base::Result;

constexpr std::uint64_t kPeriodUs = 100'000;

std::vector<std::string> split(const std::string& text, char by) {
    std::vector<std::string> parts;
    std::istringstream in(text);
    for (std::string part; std::getline(in, part, by);) parts.push_back(part);
    return parts;
}

bool has_word(const std::string& list, char by, std::string_view word) {
    const auto parts = split(list, by);
    return std::ranges::find(parts, word) != parts.end();
}

struct GroupMount {
    std::string root, point, kind, options;
};

std::vector<GroupMount> group_mounts() {
    std::vector<GroupMount> mounts;
    for (const std::string& line : split(read_small(AT_FDCWD, "/proc/self/mountinfo"), '\n')) {
        const auto words = split(line, ' ');
        const auto dash = std::ranges::find(words, "-");
        if (words.size() < 6 || words.end() - dash < 4 || !(dash + 1)->starts_with("cgroup")) {
            continue;
        }
        mounts.push_back({words[3], words[4], dash[1], dash[3]});
    }
    return mounts;
}

/// The group this process is in: of version 2 for an empty controller.
std::string own_group(std::string_view controller) {
    for (const std::string& line : split(read_small(AT_FDCWD, "/proc/self/cgroup"), '\n')) {
        const std::size_t first = line.find(':'), second = line.find(':', first + 1);
        if (second == std::string::npos) continue;
        const std::string names = line.substr(first + 1, second - first - 1);
        if (controller.empty() ? names.empty() : has_word(names, ',', controller)) {
            return line.substr(second + 1);
        }
    }
    return "/";
}

bool may_make_groups(const std::string& folder) {
    const std::string trial = folder + fmt::format("/dougong-trial-{:016x}", base::entropy64());
    return ::mkdir(trial.c_str(), 0755) == 0 && ::rmdir(trial.c_str()) == 0;
}

std::string usable_folder(const GroupMount& mount, std::string_view controller) {
    for (const std::string& folder :
         {group_folder(mount.root, mount.point, own_group(controller)), mount.point}) {
        if (!folder.empty() && may_make_groups(folder)) return folder;
    }
    return {};
}

/// Asks that groups below `folder` get `controller`; true when they do.
bool hand_down(const std::string& folder, std::string_view controller) {
    const std::string file = folder + "/cgroup.subtree_control";
    const std::string all = read_small(AT_FDCWD, file);
    return has_word(all.substr(0, all.find('\n')), ' ', controller) ||
           write_small(AT_FDCWD, file, "+" + std::string(controller));
}

Result<void> make_folder(const std::string& folder) {
    if (::mkdir(folder.c_str(), 0755) == 0) return {};
    return fail(Code::unavailable, "the control group {} could not be made: {}", folder,
                std::strerror(errno));
}

std::vector<std::string> subfolders(const std::string& folder) {
    std::vector<std::string> names;
    DIR* const open = ::opendir(folder.c_str());
    if (open == nullptr) return names;
    while (const dirent* entry = ::readdir(open)) {
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    }
    ::closedir(open);
    return names;
}

bool remove_below(const std::string& folder) {
    if (::rmdir(folder.c_str()) == 0 || errno == ENOENT) return true;
    for (const std::string& name : subfolders(folder)) remove_below(folder + "/" + name);
    return ::rmdir(folder.c_str()) == 0 || errno == ENOENT;
}

}  // namespace

std::string group_folder(std::string_view mount_root, std::string_view mount_point,
                         std::string_view group) {
    if (mount_root == "/") mount_root = "";
    if (!group.starts_with(mount_root)) return {};
    group.remove_prefix(mount_root.size());
    if (!group.empty() && group.front() != '/') return {};
    if (group == "/") group = "";
    return std::string(mount_point) + std::string(group);
}

std::uint64_t cpu_quota_us(double cpus) {
    // The kernel refuses quotas under 1 ms.
    return std::max<std::uint64_t>(
        1000, static_cast<std::uint64_t>(std::llround(cpus * static_cast<double>(kPeriodUs))));
}

Hierarchies find_hierarchies() {
    Hierarchies found;
    for (const GroupMount& mount : group_mounts()) {
        if (mount.kind == "cgroup2") {
            found.unified = usable_folder(mount, "");
            if (found.unified.empty()) continue;
            found.unified_memory = hand_down(found.unified, "memory");
            found.unified_cpu = hand_down(found.unified, "cpu");
            found.unified_pids = hand_down(found.unified, "pids");
        } else if (has_word(mount.options, ',', "memory")) {
            found.memory = usable_folder(mount, "memory");
        } else if (has_word(mount.options, ',', "cpu")) {
            found.cpu = usable_folder(mount, "cpu");
        } else if (has_word(mount.options, ',', "pids")) {
            found.pids = usable_folder(mount, "pids");
        }
    }
    return found;
}

Result<GroupTree> GroupTree::make(const Hierarchies& hierarchies, const std::string& name) {
    GroupTree tree;
    tree.hierarchies_ = hierarchies;
    Hierarchies& made = tree.hierarchies_;
    for (std::string* folder : {&made.unified, &made.memory, &made.cpu, &made.pids}) {
        if (folder->empty()) continue;
        *folder += "/" + name;
        DG_TRY(make_folder(*folder));
    }
    if (!made.unified.empty()) {
        made.unified_memory = made.unified_memory && hand_down(made.unified, "memory");
        made.unified_cpu = made.unified_cpu && hand_down(made.unified, "cpu");
        made.unified_pids = made.unified_pids && hand_down(made.unified, "pids");
    }
    return tree;
}

std::vector<std::string> GroupTree::folders() const {
    std::vector<std::string> all;
    for (const std::string* folder :
         {&hierarchies_.unified, &hierarchies_.memory, &hierarchies_.cpu, &hierarchies_.pids}) {
        if (!folder->empty()) all.push_back(*folder);
    }
    return all;
}

void GroupTree::remove() const {
    for (const std::string& folder : folders()) remove_below(folder);
}

bool remove_group(const std::string& folder) {
    write_small(AT_FDCWD, folder + "/cgroup.kill", "1");
    return remove_below(folder);
}

Result<BoxGroups> BoxGroups::make(const GroupTree& tree, const std::string& box,
                                  std::uint32_t owner) {
    const Hierarchies& in = tree.hierarchies();
    BoxGroups groups;
    groups.unified_memory_ = in.unified_memory;
    groups.unified_cpu_ = in.unified_cpu;
    groups.unified_pids_ = in.unified_pids;
    const auto make_in = [&](const std::string& parent, GroupFolder& folder) -> Result<void> {
        if (!parent.empty()) folder = DG_TRY(GroupFolder::make(parent + "/" + box));
        return {};
    };
    auto made = make_in(in.unified, groups.unified_);
    if (made && groups.has_tree() && groups.has_controllers()) {
        made = make_folder(groups.unified_.path() + "/init");
    }
    if (made && !in.unified_memory) made = make_in(in.memory, groups.memory_);
    if (made && !in.unified_cpu) made = make_in(in.cpu, groups.cpu_);
    if (made && !in.unified_pids) made = make_in(in.pids, groups.pids_);
    if (made && !groups.give_to(owner)) {
        made = fail(Code::unavailable, "{}/cgroup.procs could not be given to user {}: {}",
                    groups.unified_.path(), owner, std::strerror(errno));
    }
    if (made) return groups;
    groups.remove();
    return std::unexpected(std::move(made).error());
}

Result<void> BoxGroups::set_limits(const Limits& limits) {
    const std::uint64_t processes = limits.processes_max + 1ull;  // the init
    const std::uint64_t quota_us = cpu_quota_us(limits.cpus);
    const bool other_memory = std::exchange(memory_bytes_, std::nullopt) != limits.memory_bytes;
    const bool other_cpu = std::exchange(cpu_quota_us_, std::nullopt) != quota_us;
    const bool other_processes = std::exchange(processes_, std::nullopt) != processes;
    if (other_memory) DG_TRY(limit_memory(limits.memory_bytes));
    if (other_cpu && unified_cpu_) {
        DG_TRY(unified_.limit("cpu.max", fmt::format("{} {}", quota_us, kPeriodUs)));
    } else if (other_cpu && cpu_) {
        DG_TRY(cpu_.limit("cpu.cfs_quota_us", std::to_string(quota_us)));
    }
    for (const GroupFolder* folder : {unified_pids_ ? &unified_ : nullptr, &pids_}) {
        if (!other_processes || folder == nullptr || !*folder) continue;
        DG_TRY(folder->limit("pids.max", std::to_string(processes)));
    }
    memory_bytes_ = limits.memory_bytes;
    cpu_quota_us_ = quota_us;
    processes_ = processes;
    return {};
}

Result<void> BoxGroups::limit_memory(std::uint64_t bytes) const {
    const std::string value = std::to_string(bytes);
    if (unified_memory_) {
        DG_TRY(unified_.limit("memory.max", value));
        unified_.write("memory.swap.max", "0");
        unified_.write("memory.oom.group", "0");
    } else if (memory_) {
        // Swap included means the second is not under the first: raise the outer one first.
        const std::string both = "memory.memsw.limit_in_bytes";
        const std::uint64_t with_swap = memory_.number(both);  // 0: swap is not counted
        if (with_swap != 0 && with_swap < bytes) DG_TRY(memory_.limit(both, value));
        DG_TRY(memory_.limit("memory.limit_in_bytes", value));
        if (with_swap != 0) DG_TRY(memory_.limit(both, value));
    }
    return {};
}

std::optional<base::UniqueFd> BoxGroups::open_init_group() const {
    if (!has_tree()) return std::nullopt;
    auto folder = unified_.open(has_controllers() ? "init" : ".", O_RDONLY | O_DIRECTORY);
    if (!folder) return std::nullopt;
    return std::move(*folder);
}

Result<std::vector<base::UniqueFd>> BoxGroups::open_joins() const {
    std::vector<base::UniqueFd> files;
    for (const GroupFolder* folder : {&memory_, &cpu_, &pids_}) {
        if (*folder) files.push_back(DG_TRY(folder->open("tasks", O_WRONLY)));
    }
    return files;
}

std::string BoxGroups::exec_name(std::uint64_t group) {
    return "e" + std::to_string(group);
}

Result<base::UniqueFd> BoxGroups::make_exec_group(std::uint64_t group) const {
    const std::string folder = unified_.path() + "/" + exec_name(group);
    DG_TRY(make_folder(folder));
    if (give_exec_group(group)) return open_exec_group(group);
    return fail(Code::unavailable, "{}/cgroup.procs: {}", folder, std::strerror(errno));
}

Result<base::UniqueFd> BoxGroups::open_exec_group(std::uint64_t group) const {
    return unified_.open(exec_name(group), O_RDONLY | O_DIRECTORY);
}

Result<void> BoxGroups::join_exec(std::uint64_t group, std::int32_t pid) const {
    const std::string file = exec_name(group) + "/cgroup.procs";
    if (unified_.write(file, std::to_string(pid))) return {};
    return fail(Code::unavailable, "{}/{}: {}", unified_.path(), file, std::strerror(errno));
}

void BoxGroups::kill_exec(std::uint64_t group) const {
    unified_.write(exec_name(group) + "/cgroup.kill", "1");
}

bool BoxGroups::exec_group_is_empty(std::uint64_t group) const {
    return unified_.read(exec_name(group) + "/cgroup.events").starts_with("populated 0");
}

bool BoxGroups::remove_exec_group(std::uint64_t group) const {
    return ::unlinkat(unified_.fd(), exec_name(group).c_str(), AT_REMOVEDIR) == 0 ||
           errno == ENOENT;
}

std::uint64_t BoxGroups::exec_cpu_us(std::uint64_t group) const {
    return unified_.number(exec_name(group) + "/cpu.stat", "usage_usec");
}

bool BoxGroups::freeze(bool frozen) const {
    return unified_.write("cgroup.freeze", frozen ? "1" : "0");
}

bool BoxGroups::is_frozen() const {
    return unified_.number("cgroup.events", "frozen") == 1;
}

void BoxGroups::kill() {
    lift_cpu_limit();
    unified_.write("cgroup.kill", "1");
}

void BoxGroups::lift_cpu_limit() {
    cpu_.write("cpu.cfs_quota_us", "-1");
    if (unified_cpu_) unified_.write("cpu.max", "max");
    cpu_quota_us_.reset();
}

bool BoxGroups::was_throttled() {
    const auto before = std::exchange(
        throttled_, (unified_cpu_ ? unified_ : cpu_).number("cpu.stat", "nr_throttled"));
    return throttled_ != before;
}

bool BoxGroups::count_anew() {
    if (unified_memory_) return false;  // its peak is set back for one reader, not for all
    cpu_us_before_ += cpu_us();
    return true;
}

bool BoxGroups::is_deserted() const {
    if (unified_pids_ || pids_) {
        return (unified_pids_ ? unified_ : pids_).read("pids.current") == "0\n";
    }
    return unified_.read("cgroup.events").starts_with("populated 0");
}

bool BoxGroups::give_to(std::uint32_t owner) {
    // The init puts commands into their groups: it needs the common ancestor, too.
    const bool other = std::exchange(owner_, owner) != owner;
    return !has_tree() || !other || unified_.give("", owner);
}

bool BoxGroups::give_exec_group(std::uint64_t group) const {
    return owner_ == 0 || unified_.give(exec_name(group), owner_);
}

bool BoxGroups::remove() const {
    bool gone = true;
    for (const GroupFolder* folder : {&unified_, &memory_, &cpu_, &pids_}) {
        if (*folder) gone = remove_below(folder->path()) && gone;
    }
    return gone;
}

std::uint64_t BoxGroups::oom_kills() const {
    if (unified_memory_) return unified_.number("memory.events", "oom_kill");
    return memory_.number("memory.oom_control", "oom_kill");
}

std::uint64_t BoxGroups::memory_bytes() const {
    if (unified_memory_) return unified_.number("memory.current");
    return memory_.number("memory.usage_in_bytes");
}

std::uint64_t BoxGroups::peak_memory_bytes() const {
    if (unified_memory_) return unified_.number("memory.peak");
    return memory_.number("memory.max_usage_in_bytes");
}

void BoxGroups::reset_peak_memory() const {
    memory_.write("memory.max_usage_in_bytes", "0");
}

std::uint64_t BoxGroups::cpu_us() const {
    return has_tree() ? unified_.number("cpu.stat", "usage_usec") - cpu_us_before_ : 0;
}

}  // namespace sphere::native
