#pragma once
// The store in a schema of a PostgreSQL database.

#include <memory>
#include <string_view>

#include "base/store/store.h"

namespace base::store {

Result<std::unique_ptr<Store>> open_postgres(std::string_view location,
                                             const StoreOptions& options);

}  // namespace base::store
