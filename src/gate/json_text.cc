#include "gate/json_text.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "base/core/utf8.h"

namespace gate {
std::optional<std::size_t> utf8_error_offset(std::string_view text) {
    const std::size_t valid = base::utf8_valid_prefix_bytes(text);
    return valid == text.size() ? std::nullopt : std::optional(valid);
}

void append_json_float(std::string& out, float value) {
    if (!std::isfinite(value)) {
        out += value > 0 ? "9999.0" : "-9999.0";
    } else {
        fmt::format_to(std::back_inserter(out), "{}", value);
    }
}

void append_json_millis(std::string& out, std::optional<double> value) {
    if (!value || !std::isfinite(*value)) {
        out += "null";
    } else {
        fmt::format_to(std::back_inserter(out), "{:.3f}", *value);
    }
}

}  // namespace gate
