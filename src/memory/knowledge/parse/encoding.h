#pragma once
// Bytes of a text in some encoding to UTF-8.

#include <string>
#include <string_view>

#include "base/core/result.h"

namespace memory::knowledge::parse {

/// By the byte order mark, else as UTF-8 where that fits, else as `label` says ("gb18030",
/// "iso-8859-1"), else as GB18030 where that fits and mostly gives Han characters, else as
/// Windows-1252. Cleaned as clean_utf8 does. Errors: invalid_argument (binary data).
base::Result<std::string> decode_text(std::string_view bytes, std::string_view label);

}  // namespace memory::knowledge::parse
