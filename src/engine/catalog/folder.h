#pragma once
// The models folder read as a list of entries.

#include <string>
#include <vector>

#include "base/core/result.h"
#include "engine/catalog/catalog.h"

namespace engine {

/// The entry whose (first) file is `path`. Errors: not_found (the file or one of its shards).
base::Result<CatalogEntry> read_entry(const std::string& path);

/// Every entry of the folder, sorted by name; an absent folder has none.
base::Result<std::vector<CatalogEntry>> read_folder(const std::string& folder);

}  // namespace engine
