#pragma once
// Files that steps left for later ones: each workspace packed as one file under its digest. What
// was kept never changes, so a step that is tried again, a fork and a run after a crash all begin
// with the same files.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "sphere/files/archive.h"
#include "sphere/files/workspace.h"

namespace app {

/// Thread-safe; so are several processes with one folder.
class Workspaces {
public:
    struct Kept {
        std::string handle;  ///< "ws-" and 64 hex digits
        std::vector<sphere::files::Entry> files;
        bool truncated = false;  ///< `files` are the first 1,000
    };

    /// Errors: making the folder.
    static base::Result<Workspaces> open(std::string folder);

    /// Durable when it returns. Errors: payload_too_large (the limits), the disk's.
    base::Result<Kept> keep(const sphere::files::Workspace& files) const;
    /// Adds what was kept to `files`; what has the same name is replaced.
    /// Errors: not_found, data_loss, those of writing.
    base::Result<void> restore(std::string_view handle,
                               const sphere::files::Workspace& files) const;
    /// One file of what was kept. Errors: not_found, payload_too_large.
    base::Result<std::string> read(std::string_view handle, std::string_view name,
                                   std::size_t bytes_max) const;
    /// The whole archive (tar.gz). Errors: not_found.
    base::Result<std::string> archive(std::string_view handle) const;

private:
    explicit Workspaces(std::string folder) : folder_(std::move(folder)) {}
    base::Result<std::string> path_of(std::string_view handle) const;
    std::string folder_;
    sphere::files::ArchiveLimits limits_{.bytes_max = 1ull << 30};
};

/// [{"name", "bytes"}, ...]
base::json::array files_json(const Workspaces::Kept& kept);

}  // namespace app
