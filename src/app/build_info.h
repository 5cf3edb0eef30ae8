#pragma once
// What this program was built from. The definition is written at build time
// (cmake/BuildInfo.cmake).

#include <string_view>

namespace app {

struct BuildInfo {
    std::string_view version;   ///< "0.1.0"
    std::string_view commit;    ///< short hash, "-dirty" with local changes, or "unknown"
    std::string_view compiler;  ///< "GNU 12.2.0"
    std::string_view build_type;
};

const BuildInfo& build_info();

}  // namespace app
