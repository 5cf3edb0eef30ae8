#pragma once
// What a document may look like, as data: one description checks documents and prints their JSON
// Schema, so that the two cannot differ.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/document/document.h"
#include "base/json/json.h"

namespace base {

struct Field;

struct Shape {
    enum class Type : std::uint8_t {
        text,
        integer,
        number,
        flag,
        scalar,  ///< text, number or flag
        list,    ///< of `element`
        map,     ///< any name to `element`
        object,  ///< the `fields`, no others
        same,    ///< what `element` is, which may be the shape around it
    };
    Type type = Type::text;
    std::string_view doc = {};
    std::vector<std::string_view> one_of = {};  ///< of a text
    double min = 0, max = 9007199254740991.0;   ///< of a number; 2^53 - 1, what JSON readers keep
    std::size_t length_min = 0, length_max = 4096;  ///< bytes of a text, items of a list or map
    const Shape* element = nullptr;
    std::vector<Field> fields = {};
    std::string_view name = {};  ///< of a shape that occurs within itself: its place in $defs
};

struct Field {
    std::string_view name;
    Shape shape;
    bool required = false;
};

/// The first thing in `node` that is not as `shape` says. `path` names the node for people.
/// Errors: invalid_argument with "file:line:column" as subject.
Result<void> check_shape(const Node& node, const Shape& shape, const std::string& file,
                         const std::string& path = "");

/// JSON Schema, draft 2020-12.
json::object json_schema(const Shape& shape, std::string_view id, std::string_view title);

/// Whole numbers and decimals as YAML's core schema and JSON write them; nothing else.
std::optional<double> number_of(const Node& node);
std::optional<bool> flag_of(const Node& node);

}  // namespace base
