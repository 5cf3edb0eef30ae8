#pragma once
// What a metadata expression says of one entry: the referee of everything faster.

#include "memory/filter.h"

namespace memory::index {

/// The value at `path` ("a.b"); null pointer: there is none.
const base::json::value* find_path(const base::json::object& metadata, std::string_view path);

/// Numbers as numbers, whatever their JSON form; texts, booleans and null as they are.
bool is_equal(const base::json::value& a, const base::json::value& b);

bool matches_metadata(const MetadataExpression& expression, const base::json::object& metadata);

/// What a leaf says of the value at its field.
bool matches_value(const MetadataExpression& leaf, const base::json::value& value);

}  // namespace memory::index
