#pragma once
// JSON written straight into a string: answers are made for every token, and a document tree per
// token would cost more than the socket.

#include <optional>
#include <string>
#include <string_view>

#include "base/json/json_text.h"

namespace gate {

/// Where `text` stops being UTF-8 (RFC 3629: no surrogates, no overlong forms), or nothing.
std::optional<std::size_t> utf8_error_offset(std::string_view text);

using base::append_json_escaped;
using base::append_json_string;
/// Shortest text that reads back as the same float; JSON has no infinity, so those become +-9999.
void append_json_float(std::string& out, float value);
/// With three decimals, or null.
void append_json_millis(std::string& out, std::optional<double> value);

}  // namespace gate
