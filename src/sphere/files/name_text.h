#pragma once
// File names are bytes; JSON and people need text. One spelling, and back, without loss.

#include <string>
#include <string_view>

#include "base/core/result.h"

namespace sphere::files {

/// UTF-8 as it is; a backslash doubled; bytes that are not UTF-8, and control characters, as \xHH.
std::string escape_name(std::string_view bytes);
/// Errors: invalid_argument for a backslash that begins neither \\ nor \xHH.
base::Result<std::string> unescape_name(std::string_view text);

}  // namespace sphere::files
