#pragma once
// What a redis:// URL says.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace base::redis {

struct RedisUrl {
    std::string host = {}, socket = {};  ///< one of them
    std::uint16_t port = 6379;
    std::string user = {}, password = {};
    std::uint32_t database = 0;
    std::string prefix = "dougong";
    std::string shown = {};  ///< as it may be printed
};

/// Errors: invalid_argument, which never shows a password.
Result<RedisUrl> parse_redis_url(std::string_view url);

}  // namespace base::redis
