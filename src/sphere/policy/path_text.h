#pragma once
// Paths in arguments, compared as text. What a path leads to is the sandbox's business (and that of
// files/workspace.h): here it is only decided whether it names something beneath a prefix.

#include <string>
#include <string_view>

#include "base/core/result.h"

namespace sphere::policy {

/// Absolute, without "." and "..", not ending in "/". Errors: invalid_argument.
base::Result<void> check_path_prefix(const std::string& prefix);

/// `path` without "." and empty parts, absolute: a relative one begins at /workspace.
/// Refused, because what they mean is not in the text: "..", "~" in front, NUL, an empty path.
/// Errors: invalid_argument.
base::Result<std::string> normal_path(std::string_view path);

/// `prefix` itself or beneath it. Pre: both normal.
bool is_beneath(std::string_view path, std::string_view prefix);

}  // namespace sphere::policy
