#pragma once
// Images unpacked once and used by many boxes: folders named by what is in them.
//
//   <folder>/sha256-<digest>/root        the file system, with the folders a box mounts on
//   <folder>/sha256-<digest>/image.json  what it came from, and its defaults
//   <folder>/.unpack-<letters>           being made; whoever makes it holds a lock on it
//
// An image appears by one rename: a killed unpack leaves nothing that counts, and the next one
// cleans up. Several processes may share a folder. Thread-safe.

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/files/unique_fd.h"
#include "sphere/images/image_spec.h"
#include "sphere/images/layer_unpacker.h"

namespace sphere::images {

/// An unpacked image; stays as long as somebody holds it.
struct Image {
    std::string digest;  ///< 64 hex digits
    std::string root;    ///< the folder, to be used read-only
    ImageConfig config;
    base::UniqueFd lock;  ///< shared, against removal
};
using ImagePtr = std::shared_ptr<const Image>;

struct StoredImage {
    std::string digest, source;  ///< source: its name, or the file it came from
    std::uint64_t bytes = 0, entries = 0, dropped = 0;
    std::int64_t used_unix_s = 0;
};

struct ImageStoreOptions {
    std::string folder;
    std::uint64_t bytes_max = 16ull << 30;  ///< of all; those used longest ago go first
    ImageLimits limits = {};
    std::string architecture = this_architecture();
};

class ImageStore {
public:
    /// Makes nothing until the first image.
    explicit ImageStore(ImageStoreOptions options) : options_(std::move(options)) {}

    /// The image at `path`: an OCI image layout's folder, an archive of an image (image_archive.h)
    /// or a tarball of a root; unpacked when it is not yet. Without a leading '/' one that is here:
    /// "sha256:<digest>", at least 12 digits of it, or the name it was imported with.
    /// Errors: those of reading it; invalid_argument when a box could not mount on it; not_found.
    base::Result<ImagePtr> open(const std::string& path);
    /// open, and gives it a name, which no other image has then. Errors: open's.
    base::Result<StoredImage> import(const std::string& path, const std::string& name);
    std::vector<StoredImage> list() const;
    /// Errors: not_found; failed_precondition while a box uses it.
    base::Result<void> remove(const std::string& digest);

private:
    struct Known {
        std::uint64_t device = 0, inode = 0, bytes = 0;
        std::int64_t modified_ns = 0, changed_ns = 0;
        bool operator==(const Known&) const = default;
    };

    /// A folder that is being filled: it goes with this, and with the next unpack when we are
    /// killed.
    class Unfinished;
    /// What is to be unpacked, and what must stay meanwhile.
    struct Source {
        ImageSpec spec;
        std::shared_ptr<const Unfinished> files;
    };

    base::Result<Source> read_source(const std::string& path);
    base::Result<std::string> find_here(const std::string& reference) const;
    base::Result<void> set_source(const std::string& digest, const std::string& source);
    base::Result<ImagePtr> take(const std::string& digest) const;
    base::Result<void> unpack(const ImageSpec& spec, const std::string& source);
    void make_room(std::uint64_t bytes);
    void clean_up();
    std::string folder_of(const std::string& digest) const;

    const ImageStoreOptions options_;
    std::mutex mutex_;
    std::condition_variable unpacked_;
    std::set<std::string> unpacking_;                              ///< digests
    std::map<std::string, std::pair<Known, ImageSpec>> tarballs_;  ///< by path: their digests
};

}  // namespace sphere::images
