#pragma once
// What changes in a workspace, as it happens (inotify). Bounded: a fixed number of folders is
// watched, and what came too fast is told as an overflow, never left out in silence.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/files/unique_fd.h"
#include "sphere/files/workspace.h"

namespace sphere::files {

struct Change {
    enum class Kind : std::uint8_t {
        created,
        modified,  ///< closed after writing
        removed,
        moved_from,
        moved_to,
        overflow,   ///< changes were lost: list again; no name
        unwatched,  ///< a new folder is over folders_max: list it yourself
        gone,       ///< the watched folder itself was removed: nothing more comes
    };
    Kind kind = Kind::created;
    std::string name;  ///< relative to the workspace, bytes
    bool folder = false;
    std::uint32_t pair = 0;  ///< moved_from and moved_to of one rename share it
};
std::string_view change_name(Change::Kind kind);

struct WatchOptions {
    bool recursive = false;
    std::size_t folders_max = 1024;
    std::size_t changes_max = 1000;  ///< of one poll; the rest comes with the next
};

/// One thread at a time.
class Watcher {
public:
    /// Errors: not_found, failed_precondition when `name` is no folder; resource_exhausted over
    /// folders_max or the system's own limit of watches.
    static base::Result<Watcher> start(const Workspace& workspace, std::string_view name,
                                       const WatchOptions& options = {});

    /// What changed since; empty when nothing did. Never waits: wait for fd() to be readable.
    base::Result<std::vector<Change>> poll();
    int fd() const { return inotify_.get(); }

private:
    Watcher(base::UniqueFd inotify, base::UniqueFd root, WatchOptions options)
        : inotify_(std::move(inotify)), root_(std::move(root)), options_(options) {}
    base::Result<void> add(const std::string& name, bool first);
    void add_new_folder(const std::string& name, std::vector<Change>& out);
    void take(const void* event, std::vector<Change>& out);

    base::UniqueFd inotify_;
    base::UniqueFd root_;
    WatchOptions options_;
    std::map<int, std::string> folders_;  ///< by watch descriptor
    int first_ = -1;
    std::vector<Change> ready_;  ///< read from the kernel, not yet given out
};

}  // namespace sphere::files
