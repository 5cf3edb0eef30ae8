#include "engine/model_files/json_fields.h"

#include <limits>

namespace engine {

using base::Code;
using base::fail_on;
using base::Result;

const base::json::value* JsonFields::find(std::string_view key) const {
    const base::json::value* value = object_.if_contains(key);
    return value == nullptr || value->is_null() ? nullptr : value;
}

std::unexpected<base::Error> JsonFields::missing(std::string_view key) const {
    return fail_on(path_, Code::not_found, "{}: has no field `{}`", path_, key);
}

std::unexpected<base::Error> JsonFields::wrong(std::string_view key,
                                               std::string_view expected) const {
    return fail_on(path_, Code::data_loss, "{}: field `{}` is not {}", path_, key, expected);
}

std::optional<std::uint32_t> as_u32(const base::json::value& value) {
    if (!value.is_int64() || value.get_int64() < 0 ||
        value.get_int64() > std::numeric_limits<std::uint32_t>::max()) {
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(value.get_int64());
}

Result<std::uint32_t> JsonFields::u32(std::string_view key) const {
    const base::json::value* value = find(key);
    if (value == nullptr) return missing(key);
    const auto number = as_u32(*value);
    if (!number) return wrong(key, "a count");
    return *number;
}

Result<std::uint32_t> JsonFields::u32_or(std::string_view key, std::uint32_t fallback) const {
    if (!has(key)) return fallback;
    return u32(key);
}

Result<float> JsonFields::f32(std::string_view key) const {
    const base::json::value* value = find(key);
    if (value == nullptr) return missing(key);
    if (!value->is_number()) return wrong(key, "a number");
    return static_cast<float>(value->to_number<double>());
}

Result<float> JsonFields::f32_or(std::string_view key, float fallback) const {
    if (!has(key)) return fallback;
    return f32(key);
}

Result<bool> JsonFields::bool_or(std::string_view key, bool fallback) const {
    const base::json::value* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_bool()) return wrong(key, "a bool");
    return value->get_bool();
}

Result<std::string> JsonFields::string(std::string_view key) const {
    const base::json::value* value = find(key);
    if (value == nullptr) return missing(key);
    if (!value->is_string()) return wrong(key, "a string");
    return std::string(value->get_string());
}

Result<std::string> JsonFields::string_or(std::string_view key, std::string fallback) const {
    if (!has(key)) return fallback;
    return string(key);
}

Result<std::vector<float>> JsonFields::f32s(std::string_view key) const {
    const base::json::value* value = find(key);
    if (value == nullptr) return missing(key);
    const base::json::array* elements = value->if_array();
    if (elements == nullptr) return wrong(key, "an array of numbers");
    std::vector<float> numbers;
    for (const base::json::value& element : *elements) {
        if (!element.is_number()) return wrong(key, "an array of numbers");
        numbers.push_back(static_cast<float>(element.to_number<double>()));
    }
    return numbers;
}

Result<const base::json::object*> JsonFields::object(std::string_view key) const {
    const base::json::value* value = find(key);
    if (value == nullptr) return missing(key);
    const base::json::object* found = value->if_object();
    if (found == nullptr) return wrong(key, "an object");
    return found;
}

Result<base::json::value> parse_object_file(const std::string& path) {
    auto json = base::parse_json_file(path);
    if (!json) {
        base::Error error = std::move(json).error();
        if (error.code == Code::invalid_argument) error.code = Code::data_loss;
        return std::unexpected(std::move(error));
    }
    if (!json->is_object()) {
        return fail_on(path, Code::data_loss, "{}: is not a JSON object", path);
    }
    return *std::move(json);
}

}  // namespace engine
