#pragma once
// Whole trees in and out of a workspace, as tar, tar.gz or (in) tar.zst, streamed in pieces of any
// size.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "sphere/files/workspace.h"

namespace sphere::files {

/// Every one is checked before the thing it bounds is made.
struct ArchiveLimits {
    std::uint64_t bytes_max = 1ull << 30;  ///< of all files, unpacked
    std::uint64_t entries_max = 100'000;
    std::size_t name_bytes_max = 4096;  ///< of a whole name; a part has at most 255
    std::size_t depth_max = 64;         ///< parts of a name
    std::uint32_t ratio_max = 200;      ///< unpacked over packed, once over 1 MiB unpacked
};

struct ArchiveSummary {
    std::uint64_t files = 0, folders = 0, links = 0;
    std::uint64_t bytes = 0;  ///< of files
};

/// Unpacks what it is fed. Taken: files, folders, symbolic links that stay beneath the workspace.
/// Refused, naming the entry: absolute names, "..", hard links, devices, FIFOs, links that are
/// absolute or lead out, sparse files (S36). Set-id bits, owners and times are not taken over.
/// After an error nothing more is unpacked; what came before it stays, each file whole.
/// One thread at a time.
class Unpacker {
public:
    /// Beneath `folder` of `workspace`, which must outlive it.
    /// Errors: invalid_argument for the name.
    static base::Result<Unpacker> create(const Workspace& workspace, std::string_view folder,
                                         const ArchiveLimits& limits = {});
    Unpacker(Unpacker&&) noexcept;
    Unpacker& operator=(Unpacker&&) noexcept;
    ~Unpacker();

    /// gzip and zstd are told by their first bytes. Errors: invalid_argument (not a tar, a refused
    /// entry), payload_too_large naming the limit, those of the workspace. The same again after the
    /// first.
    base::Result<void> feed(std::string_view bytes);
    /// Errors: invalid_argument when the archive was cut off.
    base::Result<ArchiveSummary> finish();

private:
    struct Impl;
    explicit Unpacker(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

struct PackOptions {
    bool gzip = false;
    ArchiveLimits limits;  ///< ratio_max has no meaning here
};
/// Takes the archive piece by piece; an error stops it.
using ArchiveSink = std::function<base::Result<void>(std::string_view bytes)>;

/// `name`, a file or a folder with all in it, names in the archive relative to its parent. What is
/// neither file, folder nor link is left out. A file that shrinks meanwhile is filled up with zeros
/// to the size its head states. Errors: payload_too_large naming the limit, the sink's.
base::Result<ArchiveSummary> pack(const Workspace& workspace, std::string_view name,
                                  const ArchiveSink& sink, const PackOptions& options = {});

}  // namespace sphere::files
