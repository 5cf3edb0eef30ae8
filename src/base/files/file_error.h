#pragma once
// Turns errno into an Error that names the file, in one place for all of base/files and its users.

#include <string>
#include <string_view>

#include "base/core/result.h"

namespace base {

/// `cannot <action> <path>: <system's words>`, with the code that errno stands for and `path` as
/// the subject. ENOSPC and EDQUOT are resource_exhausted and say so.
std::unexpected<Error> fail_errno(int error_number, std::string_view action,
                                  const std::string& path);

}  // namespace base
