#pragma once
// Snapshots on disk. The disk is the truth: nothing is remembered here, so several processes may
// share a folder, and a restart changes nothing.
//
//   <folder>/layer-<sha256>       files of a workspace (tree_file.h), named by what is in them;
//                                 equal ones are there once
//   <folder>/snap-<letters>.json  one snapshot: what it is, its layer, and a checksum of itself
//   <folder>/lock                 held while names appear or go
//
// A layer has its name before a record says it, and loses it after: what a killed process leaves
// is a file that no record names, or one that nobody writes any more, and sweep() takes both away.

#include <cstdint>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/files/unique_fd.h"
#include "sphere/native/copy_tree.h"
#include "sphere/sphere.h"

namespace sphere::native {

struct SnapshotStoreOptions {
    std::string folder;
    std::uint32_t snapshots_max = 1024;
    std::uint64_t bytes_max = 16ull << 30;  ///< of layers' files
};

struct StoredSnapshot {
    SnapshotInfo info;
    std::string layer;               ///< 64 hex digits
    std::uint64_t packed_bytes = 0;  ///< of the layer's file
};

/// Thread-safe: it has no state.
class SnapshotStore {
public:
    /// Makes nothing until the first snapshot.
    explicit SnapshotStore(SnapshotStoreOptions options) : options_(std::move(options)) {}

    /// Keeps the files in the folder `tree` as snapshot `info.id`; on disk when it returns.
    /// Errors: resource_exhausted naming the limit; those of reading and writing. Nothing stays.
    base::Result<StoredSnapshot> keep(const SnapshotInfo& info, int tree) const;
    /// The oldest first. A record that is not sound is not listed; while there is one, layers that
    /// no record names stay.
    std::vector<StoredSnapshot> list() const;
    /// Errors: not_found; data_loss.
    base::Result<StoredSnapshot> find(const SnapshotId& id) const;
    /// Its files into the empty folder `tree`, for `owner`. Errors: data_loss when the layer is not
    /// what its name says; what was made of it must be thrown away.
    base::Result<TreeSize> restore(const StoredSnapshot& stored, int tree,
                                   std::uint32_t owner) const;
    /// Errors: not_found; those of removing.
    base::Result<void> remove(const SnapshotId& id) const;
    /// Removes what killed processes left. Returns how many files went.
    std::size_t sweep() const;

private:
    std::string record_path(const SnapshotId& id) const;
    std::string layer_path(const std::string& digest) const;
    base::Result<base::UniqueFd> lock() const;
    base::Result<void> check_room(std::uint64_t more_bytes) const;
    std::vector<StoredSnapshot> read_all(std::size_t& damaged) const;
    std::uint64_t packed_bytes() const;
    std::size_t remove_unnamed() const;

    const SnapshotStoreOptions options_;
};

}  // namespace sphere::native
