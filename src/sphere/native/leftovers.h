#pragma once
// What a killed server leaves: control groups (its processes and mounts end with it). Each sphere
// keeps a locked file in the state folder that names its groups; a file without a lock is of a dead
// one, and whoever opens next cleans up by it.

#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/files/unique_fd.h"
#include "sphere/native/control_groups.h"

namespace sphere::native {

/// Makes the state folder if need be. Errors: permission_denied when somebody else could write in
/// it: its files say which groups may be killed.
base::Result<void> make_state_dir(const std::string& state_dir);

class StateFile {
public:
    StateFile() = default;
    /// Pre: make_state_dir. Errors: unavailable, naming the folder.
    static base::Result<StateFile> make(const std::string& state_dir, const std::string& token);
    /// One folder a line; synced before the first box is made in them.
    base::Result<void> record(const std::vector<std::string>& folders);
    /// Where boxes of level process have their files: anybody may go through, nobody may look. The
    /// folder is recorded with the groups, and goes with all in it.
    static std::string files_folder(const std::string& token);
    /// An empty folder of this sphere's, for the launcher to mount on in its own namespace.
    const std::string& staging() const { return staging_; }
    void remove();

private:
    std::string path_, staging_;
    std::vector<std::string> folders_;
    base::UniqueFd file_;
};

/// Kills and removes what dead spheres left. Returns how many there were.
std::uint32_t clean_leftovers(const std::string& state_dir);
/// The same for groups in `hierarchies` that no state file is left of: of this user, and by their
/// names (owner_name.h) of a process that is gone. Returns how many groups there were.
std::uint32_t clean_ownerless(const Hierarchies& hierarchies);

}  // namespace sphere::native
