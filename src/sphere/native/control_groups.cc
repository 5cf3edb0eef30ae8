#include "sphere/native/control_groups.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
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

/// Small kernel files: read whole in one call, empty when not there.
std::string read_small(const std::string& path) {
    const base::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return {};
    char text[16 * 1024];
    const ssize_t got = ::read(file.get(), text, sizeof(text));
    return {text, got > 0 ? static_cast<std::size_t>(got) : 0};
}

bool write_small(const std::string& path, std::string_view text) {
    const base::UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    return file &&
           ::write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

Result<void> write_limit(const std::string& path, std::uint64_t value) {
    if (write_small(path, std::to_string(value))) return {};
    return fail(Code::failed_precondition, "the limit {} could not be set to {}: {}", path, value,
                std::strerror(errno));
}

std::uint64_t number(std::string_view text) {
    std::uint64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    return value;
}

/// The number after `key` and a space, at the start of a line; 0 when there is none.
std::uint64_t keyed_number(std::string_view text, std::string_view key) {
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == ' ') {
            return number(line.substr(key.size() + 1));
        }
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    return 0;
}

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
    for (const std::string& line : split(read_small("/proc/self/mountinfo"), '\n')) {
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
    for (const std::string& line : split(read_small("/proc/self/cgroup"), '\n')) {
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
    if (has_word(read_small(file).substr(0, read_small(file).find('\n')), ' ', controller)) {
        return true;
    }
    return write_small(file, "+" + std::string(controller));
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

bool give_procs(const std::string& group, std::uint32_t owner) {
    return ::chown((group + "/cgroup.procs").c_str(), owner, owner) == 0;
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

Result<GroupTree> GroupTree::make(const Hierarchies& hierarchies, const std::string& token) {
    GroupTree tree;
    tree.hierarchies_ = hierarchies;
    const std::string name = "/dougong-" + token;
    Hierarchies& made = tree.hierarchies_;
    for (std::string* folder : {&made.unified, &made.memory, &made.cpu, &made.pids}) {
        if (folder->empty()) continue;
        *folder += name;
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
    write_small(folder + "/cgroup.kill", "1");
    return remove_below(folder);
}

Result<BoxGroups> BoxGroups::make(const GroupTree& tree, const std::string& box,
                                  std::uint32_t owner) {
    const Hierarchies& in = tree.hierarchies();
    BoxGroups groups;
    groups.unified_memory_ = in.unified_memory;
    groups.unified_cpu_ = in.unified_cpu;
    groups.unified_pids_ = in.unified_pids;
    const auto make_in = [&](const std::string& parent, std::string& folder) -> Result<void> {
        if (parent.empty()) return {};
        folder = parent + "/" + box;
        return make_folder(folder);
    };
    auto made = make_in(in.unified, groups.unified_);
    if (made && groups.has_tree()) made = make_folder(groups.unified_ + "/init");
    if (made && !in.unified_memory) made = make_in(in.memory, groups.memory_);
    if (made && !in.unified_cpu) made = make_in(in.cpu, groups.cpu_);
    if (made && !in.unified_pids) made = make_in(in.pids, groups.pids_);
    if (!made) {
        groups.remove();
        return std::unexpected(std::move(made).error());
    }
    if (!groups.give_to(owner)) {
        const int error = errno;
        groups.remove();
        return fail(Code::unavailable, "{}/cgroup.procs could not be given to user {}: {}",
                    groups.unified_, owner, std::strerror(error));
    }
    return groups;
}

Result<void> BoxGroups::set_limits(const Limits& limits) {
    const std::uint64_t processes = limits.processes_max + 1ull;  // the init
    const std::uint64_t quota_us = cpu_quota_us(limits.cpus);
    const bool other_memory = std::exchange(memory_bytes_, std::nullopt) != limits.memory_bytes;
    const bool other_cpu = std::exchange(cpu_quota_us_, std::nullopt) != quota_us;
    const bool other_processes = std::exchange(processes_, std::nullopt) != processes;
    if (other_memory) DG_TRY(limit_memory(limits.memory_bytes));
    if (other_cpu) DG_TRY(limit_cpu(quota_us));
    if (other_processes && unified_pids_) DG_TRY(write_limit(unified_ + "/pids.max", processes));
    if (other_processes && !pids_.empty()) DG_TRY(write_limit(pids_ + "/pids.max", processes));
    memory_bytes_ = limits.memory_bytes;
    cpu_quota_us_ = quota_us;
    processes_ = processes;
    return {};
}

Result<void> BoxGroups::limit_memory(std::uint64_t bytes) const {
    if (unified_memory_) {
        DG_TRY(write_limit(unified_ + "/memory.max", bytes));
        write_small(unified_ + "/memory.swap.max", "0");
        write_small(unified_ + "/memory.oom.group", "0");
    } else if (!memory_.empty()) {
        // Swap included means the second is not under the first: raise the outer one first.
        const std::string memory = memory_ + "/memory.limit_in_bytes",
                          both = memory_ + "/memory.memsw.limit_in_bytes";
        const bool counts_swap = !read_small(both).empty();
        if (counts_swap && number(read_small(both)) < bytes) DG_TRY(write_limit(both, bytes));
        DG_TRY(write_limit(memory, bytes));
        if (counts_swap) DG_TRY(write_limit(both, bytes));
    }
    return {};
}

Result<void> BoxGroups::limit_cpu(std::uint64_t quota_us) const {
    if (unified_cpu_) {
        if (!write_small(unified_ + "/cpu.max", fmt::format("{} {}", quota_us, kPeriodUs))) {
            return fail(Code::failed_precondition, "{}/cpu.max could not be set: {}", unified_,
                        std::strerror(errno));
        }
    } else if (!cpu_.empty()) {
        DG_TRY(write_limit(cpu_ + "/cpu.cfs_quota_us", quota_us));
    }
    return {};
}

std::optional<base::UniqueFd> BoxGroups::open_init_group() const {
    if (!has_tree()) return std::nullopt;
    base::UniqueFd folder(::open((unified_ + "/init").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return std::nullopt;
    return folder;
}

Result<std::vector<base::UniqueFd>> BoxGroups::open_joins() const {
    std::vector<base::UniqueFd> files;
    for (const std::string* folder : {&memory_, &cpu_, &pids_}) {
        if (folder->empty()) continue;
        files.emplace_back(::open((*folder + "/tasks").c_str(), O_WRONLY | O_CLOEXEC));
        if (!files.back()) {
            return fail(Code::unavailable, "{}/tasks: {}", *folder, std::strerror(errno));
        }
    }
    return files;
}

std::string BoxGroups::exec_folder(std::uint64_t group) const {
    return fmt::format("{}/e{}", unified_, group);
}

Result<base::UniqueFd> BoxGroups::make_exec_group(std::uint64_t group) const {
    const std::string folder = exec_folder(group);
    DG_TRY(make_folder(folder));
    if (!give_exec_group(group)) {
        return fail(Code::unavailable, "{}/cgroup.procs: {}", folder, std::strerror(errno));
    }
    return open_exec_group(group);
}

Result<base::UniqueFd> BoxGroups::open_exec_group(std::uint64_t group) const {
    const std::string folder = exec_folder(group);
    base::UniqueFd open(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!open) return fail(Code::unavailable, "{}: {}", folder, std::strerror(errno));
    return open;
}

void BoxGroups::kill_exec(std::uint64_t group) const {
    write_small(exec_folder(group) + "/cgroup.kill", "1");
}

bool BoxGroups::exec_group_is_empty(std::uint64_t group) const {
    return read_small(exec_folder(group) + "/cgroup.events").starts_with("populated 0");
}

bool BoxGroups::remove_exec_group(std::uint64_t group) const {
    return ::rmdir(exec_folder(group).c_str()) == 0 || errno == ENOENT;
}

std::uint64_t BoxGroups::exec_cpu_us(std::uint64_t group) const {
    return keyed_number(read_small(exec_folder(group) + "/cpu.stat"), "usage_usec");
}

bool BoxGroups::freeze(bool frozen) const {
    return has_tree() && write_small(unified_ + "/cgroup.freeze", frozen ? "1" : "0");
}

bool BoxGroups::is_frozen() const {
    return keyed_number(read_small(unified_ + "/cgroup.events"), "frozen") == 1;
}

void BoxGroups::kill() {
    lift_cpu_limit();
    if (has_tree()) write_small(unified_ + "/cgroup.kill", "1");
}

void BoxGroups::lift_cpu_limit() {
    if (!cpu_.empty()) write_small(cpu_ + "/cpu.cfs_quota_us", "-1");
    if (unified_cpu_) write_small(unified_ + "/cpu.max", "max");
    cpu_quota_us_.reset();
}

std::uint64_t BoxGroups::times_throttled() const {
    const std::string& folder = unified_cpu_ ? unified_ : cpu_;
    return folder.empty() ? 0 : keyed_number(read_small(folder + "/cpu.stat"), "nr_throttled");
}

bool BoxGroups::was_throttled() const {
    return times_throttled() != throttled_before_;
}

bool BoxGroups::count_anew() {
    if (unified_memory_) return false;  // its peak is set back for one reader, not for all
    throttled_before_ = times_throttled();
    cpu_us_before_ += cpu_us();
    return true;
}

bool BoxGroups::is_deserted() const {
    const std::string& folder = unified_pids_ ? unified_ : pids_;
    if (!folder.empty()) return read_small(folder + "/pids.current") == "0\n";
    return has_tree() && read_small(unified_ + "/cgroup.events").starts_with("populated 0");
}

bool BoxGroups::give_to(std::uint32_t owner) {
    // The init puts commands into their groups: it needs the common ancestor, too.
    const bool other = std::exchange(owner_, owner) != owner;
    return !has_tree() || !other || give_procs(unified_, owner);
}

bool BoxGroups::give_exec_group(std::uint64_t group) const {
    return owner_ == 0 || give_procs(exec_folder(group), owner_);
}

bool BoxGroups::remove() const {
    bool gone = true;
    for (const std::string* folder : {&unified_, &memory_, &cpu_, &pids_}) {
        if (!folder->empty()) gone = remove_below(*folder) && gone;
    }
    return gone;
}

std::uint64_t BoxGroups::oom_kills() const {
    if (unified_memory_) return keyed_number(read_small(unified_ + "/memory.events"), "oom_kill");
    if (memory_.empty()) return 0;
    return keyed_number(read_small(memory_ + "/memory.oom_control"), "oom_kill");
}

std::uint64_t BoxGroups::memory_bytes() const {
    if (unified_memory_) return number(read_small(unified_ + "/memory.current"));
    return memory_.empty() ? 0 : number(read_small(memory_ + "/memory.usage_in_bytes"));
}

std::uint64_t BoxGroups::peak_memory_bytes() const {
    if (unified_memory_) return number(read_small(unified_ + "/memory.peak"));
    return memory_.empty() ? 0 : number(read_small(memory_ + "/memory.max_usage_in_bytes"));
}

void BoxGroups::reset_peak_memory() const {
    if (!memory_.empty()) write_small(memory_ + "/memory.max_usage_in_bytes", "0");
}

std::uint64_t BoxGroups::cpu_us() const {
    if (!has_tree()) return 0;
    return keyed_number(read_small(unified_ + "/cpu.stat"), "usage_usec") - cpu_us_before_;
}

}  // namespace sphere::native
