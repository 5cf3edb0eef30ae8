#pragma once
// Images in one file, as `docker save`, `podman save`, `skopeo copy oci-archive:` and builders
// write them: a tar of a layout, or of manifest.json with a configuration and layers.

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "base/core/result.h"
#include "sphere/images/image_spec.h"
#include "sphere/images/layer_unpacker.h"

namespace sphere::images {

/// The files of an archive, in a folder: blobs of a layout under their digests, everything else
/// under a number. No name of the archive is ever one of the folder's.
struct ImageArchive {
    std::string folder;
    std::map<std::string, std::string> files;  ///< the archive's names to paths
    std::map<std::string, std::string> links;  ///< to other names of the archive
};

/// Whether the tar at `path` is an archive of an image. Another one is a root's file system: the
/// first entry that no archive of images has tells. Errors: those of reading it; invalid_argument
/// for what is no tar.
base::Result<bool> is_image_archive(const std::string& path);

/// Takes regular files apart into `folder`, which is there and empty; links among them are noted,
/// all else is left out. Errors: invalid_argument, payload_too_large naming the limit.
base::Result<ImageArchive> open_image_archive(const std::string& path, const std::string& folder,
                                              const ImageLimits& limits);

/// The one image in it for `architecture`. Layers of `docker save` are checked against what the
/// configuration says of their content. Errors: invalid_argument naming what is wrong; not_found
/// when none is for this machine.
base::Result<ImageSpec> read_image_archive(const ImageArchive& archive,
                                           const std::string& architecture);

}  // namespace sphere::images
