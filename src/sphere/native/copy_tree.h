#pragma once
// The files of a workspace from one folder into another, when nothing changes them meanwhile, and a
// look over those that stay where they are.

#include <cstdint>

#include "base/core/result.h"

namespace sphere::native {

struct TreeSize {
    std::uint64_t bytes = 0;    ///< of blocks that are in use, not of holes
    std::uint64_t entries = 0;  ///< files, folders and links, the top one not counted
};

/// Copies what is in `from` into `to`, an empty folder, for `owner` when this process may give
/// files away. Permissions, times, holes and hard links stay; set-id bits, extended attributes and
/// what is neither file, folder nor link do not (S49). The content of large files is copied by
/// several threads. Errors: permission_denied naming what cannot be read, resource_exhausted.
base::Result<TreeSize> copy_tree(int from, int to, std::uint32_t owner);

/// Counts what is in `layer` and takes set-id bits off; with `strip_attributes` also what an
/// overlay would take for its own notes. Folders that this process cannot open count as one entry.
base::Result<TreeSize> clean_layer(int layer, bool strip_attributes);

}  // namespace sphere::native
