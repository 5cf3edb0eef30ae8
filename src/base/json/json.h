#pragma once
// JSON values are Boost.JSON's; this header gives them one name and parsing that reports where the
// text is wrong. Include it in .cc files and in headers whose interface really is JSON.

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace base {

namespace json = boost::json;

struct JsonLimits {
    std::size_t depth_max = 64;
};

/// Parses one JSON document (RFC 8259, UTF-8). Errors: invalid_argument with line and column.
Result<json::value> parse_json(std::string_view text, JsonLimits limits = {});

/// Reads and parses a whole file. Errors: not_found, unavailable (a folder, a failing disk),
/// invalid_argument (names the file).
Result<json::value> parse_json_file(const std::string& path, JsonLimits limits = {});

/// One line of JSON. Numbers are the shortest text that reads back the same, as people write them:
/// 0.025 where Boost writes 2.5E-2, which some readers refuse; an exponent only below 1e-6 and from
/// 1e21 on. Infinity and NaN, which JSON does not have, become null; bytes
/// that are not UTF-8 become U+FFFD.
std::string to_text(const json::value& value);

}  // namespace base
