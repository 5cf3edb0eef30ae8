#pragma once
// A form with a file in it (multipart/form-data, RFC 7578), as browsers send it.

#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"

namespace memory {

struct FormPart {
    std::string name, file_name, media_type;
    std::string_view bytes;  ///< of the body
};

/// Errors: invalid_argument (no boundary, a part without an end).
base::Result<std::vector<FormPart>> read_form(std::string_view content_type, std::string_view body);

}  // namespace memory
