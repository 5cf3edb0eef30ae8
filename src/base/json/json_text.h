#pragma once
// JSON strings written straight into text: what comes from outside (a header, a truncated message)
// may hold any bytes, and the document must stay valid JSON, which is UTF-8.

#include <string>
#include <string_view>

namespace base {

/// The text between the quotes. Bytes that are not UTF-8 become U+FFFD, so the output always is.
void append_json_escaped(std::string& out, std::string_view text);
void append_json_string(std::string& out, std::string_view text);  ///< with quotes

}  // namespace base
