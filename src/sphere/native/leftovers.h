#pragma once
// What a killed server leaves: control groups (its processes and mounts end with it). Each sphere
// keeps a locked file in the state folder that names its groups; a file without a lock is of a dead
// one, and whoever opens next cleans up by it.

#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/files/unique_fd.h"

namespace sphere::native {

class StateFile {
public:
    StateFile() = default;
    /// Errors: unavailable, naming the folder.
    static base::Result<StateFile> make(const std::string& state_dir, const std::string& token);
    /// One folder a line; synced before the first box is made in them.
    base::Result<void> record(const std::vector<std::string>& folders);
    /// An empty folder of this sphere's, for the launcher to mount on in its own namespace.
    const std::string& staging() const { return staging_; }
    void remove();

private:
    std::string path_, staging_;
    base::UniqueFd file_;
};

/// Kills and removes what dead spheres left. Returns how many there were.
std::uint32_t clean_leftovers(const std::string& state_dir);

}  // namespace sphere::native
