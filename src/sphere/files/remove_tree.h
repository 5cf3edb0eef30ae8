#pragma once
// Removes a folder with everything in it, at any depth, with a bounded number of descriptors.

#include <string>
#include <vector>

#include "base/core/result.h"

namespace sphere::files {

/// Removes `name` in `folder`, both beneath `root`. A folder too deep to hold all its parents open
/// is first moved up to `root` under a temporary name and then removed from there; `..` is never
/// used, because a box may move a folder out from under it. Errors: unavailable when a box puts
/// things in as fast as they are removed.
base::Result<void> remove_tree(int root, int folder, const std::string& name,
                               const std::vector<std::string>& parts);

}  // namespace sphere::files
