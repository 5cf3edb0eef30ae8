#pragma once
// One backend's control groups and the record by which a later server cleans up after a killed one.

#include "sphere/native/control_groups.h"
#include "sphere/native/leftovers.h"

namespace sphere::guest {

class GroupHome {
public:
    /// Cleans what dead ones left in `state_dir`, then makes this one's. Errors: unavailable,
    /// permission_denied.
    static base::Result<GroupHome> open(const std::string& state_dir);
    GroupHome(GroupHome&&) = default;
    GroupHome& operator=(GroupHome&&) = default;
    ~GroupHome();  ///< every box's groups must be gone

    /// Errors: failed_precondition naming the limits that no control group holds here.
    base::Result<void> require_limits(std::string_view level) const;
    /// A box's groups with `limits` set. Errors: unavailable.
    base::Result<native::BoxGroups> make(const std::string& box, const Limits& limits) const;
    /// "memory: cgroup v1", ...
    std::vector<std::string> mechanisms(std::string_view beside) const;
    /// An empty folder to mount on; an absolute path.
    const std::string& staging() const { return staging_; }

private:
    GroupHome() = default;
    native::GroupTree groups_;
    native::StateFile state_;
    std::string staging_;
};

/// Files of the groups to be joined by writing 0. Errors: unavailable.
base::Result<std::vector<base::UniqueFd>> open_joins(const native::BoxGroups& groups);
/// Pre: everything in them was killed; waits for the kernel to let go.
void remove_groups(const native::BoxGroups& groups);

}  // namespace sphere::guest
