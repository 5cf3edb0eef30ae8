#include "sphere/guest/group_home.h"

#include <fcntl.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/core/rng.h"
#include "sphere/native/owner_name.h"

namespace sphere::guest {

using base::Code;
using base::fail;
using base::Result;

Result<GroupHome> GroupHome::open(const std::string& state_dir) {
    DG_TRY(native::make_state_dir(state_dir));
    native::clean_leftovers(state_dir);
    GroupHome home;
    const std::string token = fmt::format("{:016x}", base::entropy64());
    home.state_ = DG_TRY(native::StateFile::make(state_dir, token));
    home.staging_ = std::filesystem::absolute(home.state_.staging()).string();
    const native::Hierarchies hierarchies = native::find_hierarchies();
    native::clean_ownerless(hierarchies);
    const std::string name = native::owner_name(token, native::this_owner());
    // Recorded before they exist: what is made and not recorded would never be found again.
    std::vector<std::string> planned;
    for (const std::string* folder :
         {&hierarchies.unified, &hierarchies.memory, &hierarchies.cpu, &hierarchies.pids}) {
        if (!folder->empty()) planned.push_back(*folder + "/" + name);
    }
    DG_TRY(home.state_.record(planned));
    home.groups_ = DG_TRY(native::GroupTree::make(hierarchies, name));
    return home;
}

GroupHome::~GroupHome() {
    if (staging_.empty()) return;  // moved from
    groups_.remove();
    state_.remove();
}

Result<void> GroupHome::require_limits(std::string_view level) const {
    const native::Hierarchies& groups = groups_.hierarchies();
    std::string missing;
    const auto need = [&](bool there, std::string_view name) {
        if (!there) missing += (missing.empty() ? "" : ", ") + std::string(name);
    };
    need(groups.limits_memory(), "limits.memory_bytes");
    need(groups.limits_cpu(), "limits.cpus");
    need(groups.limits_pids(), "limits.processes_max");
    if (missing.empty()) return {};
    return fail(Code::failed_precondition,
                "isolation {} holds {} by control groups alone, and this process may make none: "
                "run as root, or give it a delegated group (systemd: Delegate=yes)",
                level, missing);
}

Result<native::BoxGroups> GroupHome::make(const std::string& box, const Limits& limits) const {
    native::BoxGroups groups = DG_TRY(native::BoxGroups::make(groups_, box, 0));
    if (auto limited = groups.set_limits(limits); !limited) {
        groups.remove();
        return std::unexpected(std::move(limited).error());
    }
    return groups;
}

std::vector<std::string> GroupHome::mechanisms(std::string_view beside) const {
    const native::Hierarchies& groups = groups_.hierarchies();
    const auto by = [&](std::string_view what, bool unified) {
        return fmt::format("{}: cgroup {}{}", what, unified ? "v2" : "v1", beside);
    };
    return {by("memory", groups.unified_memory), by("cpu", groups.unified_cpu),
            by("processes", groups.unified_pids)};
}

Result<std::vector<base::UniqueFd>> open_joins(const native::BoxGroups& groups) {
    std::vector<base::UniqueFd> files = DG_TRY(groups.open_joins());
    if (const auto folder = groups.open_init_group()) {
        files.emplace_back(::openat(folder->get(), "cgroup.procs", O_WRONLY | O_CLOEXEC));
        if (!files.back()) {
            return fail(Code::unavailable, "cgroup.procs: {}", std::strerror(errno));
        }
    }
    return files;
}

void remove_groups(const native::BoxGroups& groups) {
    for (int tries = 0; tries < 500 && !groups.remove(); ++tries) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

}  // namespace sphere::guest
