#pragma once
// What the text given to `pull` means.

#include <string>
#include <string_view>
#include <variant>

#include "base/core/result.h"

namespace engine {

struct HubSource {
    std::string owner, name;
    std::string file;  ///< path in the repository; empty: choose one
};
struct PackageSource {
    std::string package, version;
    std::string member;  ///< path in the wheel
};
struct LocalSource {
    std::string path;
};
using PullSource = std::variant<HubSource, PackageSource, LocalSource>;

/// Known names are resolved by the caller first. Errors: invalid_argument (says the forms).
base::Result<PullSource> parse_pull_source(std::string_view text);

}  // namespace engine
