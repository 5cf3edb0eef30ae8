#pragma once
// Reading a request's body once its fields have been checked against the field table.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"

namespace gate {

inline std::string_view view(const base::json::string& text) {
    return {text.data(), text.size()};
}

/// The body as an object. Errors: invalid_argument (empty, not UTF-8 at which byte, not JSON at
/// which line, not an object).
base::Result<base::json::object> parse_object(std::string_view body);

/// The field's value, null when absent or null. Its type has been checked by check_fields.
const base::json::value* find(const base::json::object& body, std::string_view name);
bool flag(const base::json::object& body, std::string_view name, bool otherwise = false);
std::optional<std::int64_t> integer(const base::json::object& body, std::string_view name);
float number(const base::json::object& body, std::string_view name, float otherwise);
/// "" when absent.
std::string text(const base::json::object& body, std::string_view name);

/// A text, required, of an object whose fields no table describes. Errors name `path`.name.
base::Result<std::string_view> required_text(const base::json::object& object,
                                             std::string_view name, const std::string& path);
/// Refuses fields of `object` that are not in `known`, naming them.
base::Result<void> only_fields(const base::json::object& object, const std::string& path,
                               std::initializer_list<std::string_view> known);

base::Result<std::vector<std::int32_t>> token_ids(const base::json::array& list,
                                                  const std::string& path);

using TextOrTokens = std::variant<std::string, std::vector<std::int32_t>>;

/// string | [string...] | [id...] | [[id...]...], the shapes of `prompt` and `input`.
base::Result<std::vector<TextOrTokens>> texts_or_tokens(const base::json::value& value,
                                                        const std::string& path,
                                                        std::size_t count_max);

}  // namespace gate
