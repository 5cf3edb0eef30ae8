#include "gate/body_reader.h"

#include <fmt/format.h>

#include <algorithm>

#include "gate/field_table.h"
#include "gate/json_text.h"

namespace gate {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
namespace json = base::json;

std::optional<std::int32_t> token_id(const json::value& value) {
    if ((type_of(value) & kInteger) == 0) return std::nullopt;
    const double id = value.to_number<double>();
    if (id < 0 || id > INT32_MAX) return std::nullopt;
    return static_cast<std::int32_t>(id);
}

}  // namespace

Result<json::object> parse_object(std::string_view body) {
    if (body.empty()) {
        return base::fail(Code::invalid_argument, "the body is empty; send a JSON object");
    }
    if (const auto offset = utf8_error_offset(body)) {
        return base::fail(Code::invalid_argument,
                          "the body is not UTF-8: byte {} is 0x{:02x}; encode it as UTF-8", *offset,
                          static_cast<unsigned char>(body[*offset]));
    }
    json::value value = DG_TRY(base::parse_json(body));
    if (!value.is_object()) {
        return base::fail(Code::invalid_argument, "the body is {}; send a JSON object",
                          value.is_null() ? "null" : describe_types(type_of(value)));
    }
    return std::move(value.get_object());
}

const json::value* find(const json::object& body, std::string_view name) {
    const json::value* const value = body.if_contains(name);
    return value != nullptr && !value->is_null() ? value : nullptr;
}

bool flag(const json::object& body, std::string_view name, bool otherwise) {
    const json::value* const value = find(body, name);
    return value != nullptr ? value->get_bool() : otherwise;
}

std::optional<std::int64_t> integer(const json::object& body, std::string_view name) {
    const json::value* const value = find(body, name);
    if (value == nullptr) return std::nullopt;
    if (value->is_uint64()) return static_cast<std::int64_t>(value->get_uint64());
    return value->is_double() ? static_cast<std::int64_t>(value->get_double()) : value->get_int64();
}

float number(const json::object& body, std::string_view name, float otherwise) {
    const json::value* const value = find(body, name);
    return value != nullptr ? value->to_number<float>() : otherwise;
}

std::string text(const json::object& body, std::string_view name) {
    const json::value* const value = find(body, name);
    return value == nullptr ? std::string() : std::string(view(value->get_string()));
}

Result<std::string_view> required_text(const json::object& object, std::string_view name,
                                       const std::string& path) {
    const json::value* const value = find(object, name);
    const std::string at = fmt::format("{}.{}", path, name);
    if (value == nullptr) {
        return fail_on(at, Code::failed_precondition, "'{}' is missing; it is a string", at);
    }
    if (!value->is_string()) {
        return fail_on(at, Code::invalid_argument, "'{}' must be a string, not {}", at,
                       describe_types(type_of(*value)));
    }
    return view(value->get_string());
}

Result<void> only_fields(const json::object& object, const std::string& path,
                         std::initializer_list<std::string_view> known) {
    for (const auto& entry : object) {
        const std::string_view key(entry.key().data(), entry.key().size());
        if (std::ranges::find(known, key) != known.end()) continue;
        const std::string at = fmt::format("{}.{}", path, key.substr(0, 100));
        return fail_on(at, Code::not_found, "'{}' is unknown; remove it (known here: {})", at,
                       fmt::join(known, ", "));
    }
    return {};
}

Result<std::vector<std::int32_t>> token_ids(const json::array& list, const std::string& path) {
    std::vector<std::int32_t> ids;
    ids.reserve(list.size());
    for (std::size_t i = 0; i < list.size(); ++i) {
        const auto id = token_id(list[i]);
        if (!id) {
            return fail_on(fmt::format("{}[{}]", path, i), Code::invalid_argument,
                           "'{}[{}]' must be a token id, a whole number from 0 to {}", path, i,
                           INT32_MAX);
        }
        ids.push_back(*id);
    }
    return ids;
}

Result<std::vector<TextOrTokens>> texts_or_tokens(const json::value& value, const std::string& path,
                                                  std::size_t count_max) {
    std::vector<TextOrTokens> all;
    if (value.is_string()) {
        all.emplace_back(std::string(view(value.get_string())));
        return all;
    }
    const json::array& list = value.get_array();
    if (list.empty()) return fail_on(path, Code::invalid_argument, "'{}' is an empty array", path);
    if (type_of(list[0]) & kNumber) {
        all.emplace_back(DG_TRY(token_ids(list, path)));
        return all;
    }
    if (list.size() > count_max) {
        return fail_on(path, Code::invalid_argument,
                       "'{}' has {} entries, over the limit of {}; send several requests", path,
                       list.size(), count_max);
    }
    for (std::size_t i = 0; i < list.size(); ++i) {
        const std::string at = fmt::format("{}[{}]", path, i);
        if (list[i].is_string() && list[0].is_string()) {
            all.emplace_back(std::string(view(list[i].get_string())));
        } else if (list[i].is_array() && list[0].is_array()) {
            all.emplace_back(DG_TRY(token_ids(list[i].get_array(), at)));
        } else {
            return fail_on(at, Code::invalid_argument,
                           "'{}' is {}; '{}' takes a string, strings, token ids, or arrays of "
                           "token ids, not a mixture",
                           at, describe_types(type_of(list[i])), path);
        }
    }
    for (std::size_t i = 0; i < all.size(); ++i) {
        const auto* const ids = std::get_if<std::vector<std::int32_t>>(&all[i]);
        if (ids != nullptr && ids->empty()) {
            return fail_on(fmt::format("{}[{}]", path, i), Code::invalid_argument,
                           "'{}[{}]' has no tokens", path, i);
        }
    }
    return all;
}

}  // namespace gate
