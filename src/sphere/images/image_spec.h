#pragma once
// What an image is before it is unpacked: layers in order, and the defaults its maker gave.

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"

namespace sphere::images {

struct LayerFile {
    std::string path;
    std::string sha256;       ///< 64 hex digits, of the file as it lies there
    std::uint64_t bytes = 0;  ///< stated; checked with the digest
};

struct ImageConfig {
    std::map<std::string, std::string> environment;
    std::string working_directory;
    std::string user;  ///< told, not followed: everything in a box is its one user
    std::vector<std::string> entrypoint, command;
};

struct ImageSpec {
    std::string digest;  ///< 64 hex digits that name the content: of the manifest or the tarball
    std::vector<LayerFile> layers;  ///< the lowest first
    ImageConfig config;
};

/// Of an OCI image layout: `folder` has oci-layout, index.json and blobs/sha256. Of several
/// platforms the one of `architecture` ("amd64", "arm64") is taken; manifests and configurations
/// are checked against their digests, layers when they are unpacked.
/// Errors: invalid_argument naming what is wrong, not_found when no platform fits.
base::Result<ImageSpec> read_oci_layout(const std::string& folder, const std::string& architecture);

/// The defaults that an image's configuration gives. Errors: invalid_argument; not_found when it is
/// for another machine.
base::Result<void> read_image_config(const base::json::object& document,
                                     const std::string& architecture, ImageConfig& config);

/// A single file system as .tar, .tar.gz or .tar.zst. Reads the whole file for its digest.
base::Result<ImageSpec> read_rootfs_tarball(const std::string& path);

/// "amd64", "arm64", ... as images name the machine this is.
std::string this_architecture();

}  // namespace sphere::images
