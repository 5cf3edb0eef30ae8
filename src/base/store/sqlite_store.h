#pragma once
// The store in one file.

#include <memory>
#include <string>

#include "base/store/store.h"

namespace base::store {

Result<std::unique_ptr<Store>> open_sqlite(const std::string& path, const StoreOptions& options);

}  // namespace base::store
