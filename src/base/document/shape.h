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
        either,  ///< the first of `options` that a value can be by its kind
        any,     ///< whatever JSON can say
    };
    Type type = Type::text;
    std::string_view doc = {};
    std::vector<std::string_view> one_of = {};  ///< of a text
    double min = 0, max = 9007199254740991.0;   ///< of a number; 2^53 - 1, what JSON readers keep
    std::size_t length_min = 0, length_max = 4096;  ///< bytes of a text, items of a list or map
    const Shape* element = nullptr;
    std::vector<Field> fields = {};
    std::string_view name = {};  ///< of a shape that occurs within itself: its place in $defs
    std::vector<const Shape*> options = {};
    std::vector<std::string_view> one_field = {};  ///< of an object: exactly one of these is there
    std::string_view words = {};                   ///< what is expected, for people
    std::string_view pattern = {};             ///< of a text, for the JSON Schema; `fits` checks
    bool (*fits)(std::string_view) = nullptr;  ///< of a text
    std::string_view noun = {};        ///< of an object: faults within it speak of "step 'fetch'"
    std::string_view noun_field = {};  ///< the field that names it
};

struct Field {
    std::string_view name;
    Shape shape;
    bool required = false;
    std::vector<std::string_view> otherwise = {};  ///< what people may call it by mistake
};

/// The first thing in `node` that is not as `shape` says. `path` names the node for people.
/// Errors: invalid_argument with "file:line:column" as subject.
Result<void> check_shape(const Node& node, const Shape& shape, const std::string& file,
                         const std::string& path = "");
/// Everything in `node` that is not as `shape` says, at most 200 things. `json`: texts have quotes.
std::vector<Fault> shape_faults(const Node& node, const Shape& shape, bool json);

/// JSON Schema, draft 2020-12.
json::object json_schema(const Shape& shape, std::string_view id, std::string_view title);

}  // namespace base
