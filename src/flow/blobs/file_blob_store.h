#pragma once
// Blobs as files of one folder, "<run>.<hash>", complete and durable under that name.

#include <memory>
#include <mutex>
#include <unordered_set>

#include "base/files/disk.h"
#include "flow/blobs/blob_store.h"

namespace flow {

class FileBlobStore final : public BlobStore {
public:
    /// `disk` outlives it. Errors: the disk's.
    static base::Result<std::unique_ptr<FileBlobStore>> open(base::Disk& disk, std::string dir);

    base::Result<std::string> put(RunId run, std::string_view bytes) override;
    base::Result<std::string> get(RunId run, std::string_view hash) override;
    base::Result<void> remove(RunId run, std::string_view hash) override;
    base::Result<std::size_t> collect(
        const std::function<base::Result<bool>(RunId)>& known) override;

private:
    FileBlobStore(base::Disk& disk, std::string dir) : disk_(disk), dir_(std::move(dir)) {}
    std::string path(RunId run, std::string_view hash) const;

    base::Disk& disk_;
    const std::string dir_;
    std::mutex mutex_;                        // guards what is below
    std::unordered_set<std::string> lately_;  ///< names that this process has made durable
    std::uint64_t parts_ = 0;
};

}  // namespace flow
