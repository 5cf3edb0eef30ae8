#pragma once
// Limits and whole-tree stops through control groups: version 2 where its controllers are, else
// version 1, and a version 2 tree without controllers for killing, freezing and counting.
//
//   <own group>/<owner_name>/<box>/{init,e<exec>}     version 2; init where it has controllers
//   <own group>/<owner_name>/<box>                    each version 1 controller
//
// What this process may not create is left out and told by mechanisms().

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/files/unique_fd.h"
#include "sphere/native/group_folder.h"
#include "sphere/spec.h"

namespace sphere::native {

/// Folders in which this process may make groups; empty: it may not, or the mechanism is not there.
struct Hierarchies {
    std::string unified;
    bool unified_memory = false, unified_cpu = false, unified_pids = false;
    std::string memory, cpu, pids;  ///< of version 1

    bool limits_memory() const { return unified_memory || !memory.empty(); }
    bool limits_cpu() const { return unified_cpu || !cpu.empty(); }
    bool limits_pids() const { return unified_pids || !pids.empty(); }
};
/// Finds them by making and removing a group in each.
Hierarchies find_hierarchies();

/// `line` of /proc/self/mountinfo and the process's group turned into a folder; empty when the
/// group is not below the mount. Pure.
std::string group_folder(std::string_view mount_root, std::string_view mount_point,
                         std::string_view group);

/// Microseconds of processor time per 100 ms period.
std::uint64_t cpu_quota_us(double cpus);

/// The groups of one sphere; boxes' groups are inside.
class GroupTree {
public:
    GroupTree() = default;
    /// Makes a folder `name` in every hierarchy (owner_name.h). Errors: unavailable.
    static base::Result<GroupTree> make(const Hierarchies& hierarchies, const std::string& name);

    const Hierarchies& hierarchies() const { return hierarchies_; }
    /// Every folder made, for whoever cleans up after a killed process.
    std::vector<std::string> folders() const;
    /// Removes the folders; boxes' must be gone.
    void remove() const;

private:
    Hierarchies hierarchies_;  ///< with the token's folder appended
};

/// Kills what is in `folder` (version 2: at once) and removes it with all below. True when gone.
bool remove_group(const std::string& folder);

/// The groups of one box. One thread at a time.
class BoxGroups {
public:
    BoxGroups() = default;
    /// `owner`: the host id whose processes may move between the box's own groups.
    static base::Result<BoxGroups> make(const GroupTree& tree, const std::string& box,
                                        std::uint32_t owner);

    /// Writes what differs from what is in force.
    base::Result<void> set_limits(const Limits& limits);
    /// The init's group, to be born in; nothing without a version 2 tree.
    std::optional<base::UniqueFd> open_init_group() const;
    /// `tasks` files of version 1: a process joins by writing 0 there.
    base::Result<std::vector<base::UniqueFd>> open_joins() const;

    bool has_tree() const { return static_cast<bool>(unified_); }
    /// Groups of commands have numbers of the caller's; one that is empty again serves the next.
    base::Result<base::UniqueFd> make_exec_group(std::uint64_t group) const;
    base::Result<base::UniqueFd> open_exec_group(std::uint64_t group) const;
    /// Moves a process there, by its number on this host.
    base::Result<void> join_exec(std::uint64_t group, std::int32_t pid) const;
    void kill_exec(std::uint64_t group) const;
    bool exec_group_is_empty(std::uint64_t group) const;
    /// False while something is left in it.
    bool remove_exec_group(std::uint64_t group) const;
    /// Since the group was made.
    std::uint64_t exec_cpu_us(std::uint64_t group) const;

    /// Writes the order; freezing is under way when this returns, is_frozen tells when it is done.
    bool freeze(bool frozen) const;
    bool is_frozen() const;
    void kill();
    /// A process that used up its quota would wait for the next period before it can end.
    void lift_cpu_limit();
    /// True when a process waited for its quota since this was last asked.
    bool was_throttled();
    /// Pre: everything in it is dead. False when something is left after all.
    bool remove() const;

    // From one box to the next, when everything of the first is dead.
    /// From here on it counts for the next box. False when a counter cannot begin anew.
    bool count_anew();
    /// No process is counted in it, not even one that waits to be reaped.
    bool is_deserted() const;
    /// Processes of `owner` may move in it from now on.
    bool give_to(std::uint32_t owner);
    bool give_exec_group(std::uint64_t group) const;

    std::uint64_t oom_kills() const;
    std::uint64_t memory_bytes() const;
    std::uint64_t peak_memory_bytes() const;
    void reset_peak_memory() const;
    std::uint64_t cpu_us() const;

private:
    base::Result<void> limit_memory(std::uint64_t bytes) const;
    static std::string exec_name(std::uint64_t group);
    /// With controllers a group that has groups below may have no process of its own.
    bool has_controllers() const { return unified_memory_ || unified_cpu_ || unified_pids_; }

    GroupFolder unified_, memory_, cpu_, pids_;
    bool unified_memory_ = false, unified_cpu_ = false, unified_pids_ = false;
    std::uint32_t owner_ = 0;
    std::optional<std::uint64_t> memory_bytes_, cpu_quota_us_, processes_;  ///< in force
    std::uint64_t cpu_us_before_ = 0;  ///< used by earlier boxes
    std::uint64_t throttled_ = 0;      ///< how often, when last asked
};

}  // namespace sphere::native
