#pragma once
// One folder's entries, read through its descriptor.

#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/files/unique_fd.h"
#include "sphere/files/workspace.h"

namespace sphere::files {

/// All but the name and a link's target.
Entry entry_of(const struct stat& info);

/// The entry `name` of `folder`; `parts` is for messages.
base::Result<Entry> stat_entry(int folder, const std::string& name,
                               const std::vector<std::string>& parts);

struct FolderContent {
    std::vector<Entry> entries;  ///< by name, bytes compared; names without the folder's
    bool truncated = false;
};
/// At most `entries_max`; of more, any. Entries that vanish meanwhile are left out.
base::Result<FolderContent> read_folder(base::UniqueFd folder,
                                        const std::vector<std::string>& parts,
                                        std::size_t entries_max);

}  // namespace sphere::files
