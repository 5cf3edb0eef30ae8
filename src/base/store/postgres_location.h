#pragma once
// What a postgresql:// URL says, checked before anything is connected to.

#include <string>
#include <string_view>

#include "base/core/result.h"

namespace base::store {

/// True for "postgresql://..." and "postgres://...".
bool is_postgres(std::string_view location);

struct PostgresLocation {
    std::string url;     ///< for libpq, with what it knows: host, user, password, sslmode ...
    std::string schema;  ///< where the tables are: "dougong", or the URL's parameter `schema`
    std::string shown;   ///< as it may be printed
};

/// Errors: invalid_argument, which never shows a password.
Result<PostgresLocation> parse_postgres(std::string_view location);

}  // namespace base::store
