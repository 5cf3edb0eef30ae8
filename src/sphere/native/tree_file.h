#pragma once
// The files of a workspace as one stream, for the disk: the same files give the same bytes.
//
//   "dougong tree 1\n", then entries in the order of their names, a folder before what is in it:
//   kind d f l h (hard link), mode, modification time, name, and what the kind needs; last kind e.
// Permissions, times, holes and hard links stay; set-id bits, owners, extended attributes and what
// is neither file, folder nor link do not (S49).

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "sphere/native/copy_tree.h"

namespace sphere::native {

using TreeSink = std::function<base::Result<void>(std::string_view bytes)>;
/// Fills `bytes` bytes at `out`. Errors: data_loss when the stream has ended.
using TreeSource = std::function<base::Result<void>(char* out, std::size_t bytes)>;

/// Writes what is in the folder `root`, which nothing changes meanwhile.
/// Errors: permission_denied naming what cannot be read; the sink's.
base::Result<TreeSize> write_tree(int root, const TreeSink& sink);

/// Makes it again in the empty folder `root`, for `owner` when this process may give files away.
/// Every name is resolved beneath `root`. Errors: data_loss for a stream that write_tree did not
/// make; resource_exhausted; the source's.
base::Result<TreeSize> read_tree(const TreeSource& source, int root, std::uint32_t owner);

}  // namespace sphere::native
