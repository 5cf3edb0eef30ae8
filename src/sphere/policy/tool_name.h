#pragma once
// Names of tools are compared byte for byte. These checks refuse names that a person, or another
// program, would take for a different one: S53's letter case, look-alike letters, aliases and
// namespaces.

#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace sphere::policy {

/// 1 to 128 bytes: ASCII letters, digits and . _ : / -, and letters of Han, kana and Hangul, all in
/// normal form KC. Letters of other scripts have look-alikes in ASCII and are refused.
/// Errors: invalid_argument naming the character and its place.
base::Result<void> check_tool_name(std::string_view name);

/// What `name` looks like: without case and separators, look-alikes made one. Pre: checked.
std::string tool_skeleton(std::string_view name);

/// The skeletons of `name` without its namespaces: what follows each . : / and __ in it.
std::vector<std::string> tail_skeletons(std::string_view name);

}  // namespace sphere::policy
