#pragma once
// The string formats of JSON Schema that are enforced, each as a regular expression.

#include <optional>
#include <string_view>

namespace engine::constrain {

/// The expression of an enforced format.
std::optional<std::string_view> format_pattern(std::string_view name);

/// Whether the specification defines the name. One it does not define is an annotation.
bool is_standard_format(std::string_view name);

}  // namespace engine::constrain
