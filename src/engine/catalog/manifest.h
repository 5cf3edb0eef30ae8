#pragma once
// What a pull recorded beside a model: `<first file>.manifest.json`.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/core/result.h"

namespace engine {

struct ManifestFile {
    std::string name;  ///< in the models folder
    std::uint64_t bytes = 0;
    std::string sha256;
};

struct Manifest {
    std::string name;                 ///< what to call the model
    std::string source;               ///< what pull was given
    std::vector<ManifestFile> files;  ///< at least one
};

std::string manifest_path(const std::string& first_file_path);
/// Nothing when there is none. Errors: data_loss (not a manifest: names the field).
base::Result<std::optional<Manifest>> read_manifest(const std::string& first_file_path);
base::Result<void> write_manifest(const std::string& first_file_path, const Manifest& manifest);

}  // namespace engine
