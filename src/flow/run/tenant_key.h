#pragma once
// A name within a tenant, as one text for tables in memory.

#include <string>
#include <string_view>

namespace flow {

inline std::string tenant_key(std::string_view tenant, std::string_view name) {
    return std::string(tenant) + '\n' + std::string(name);
}

}  // namespace flow
