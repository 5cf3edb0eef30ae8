#pragma once
// What a workflow file may say: the one table behind its check and its JSON Schema.

#include <span>
#include <string_view>

#include "base/document/shape.h"

namespace flow {

const base::Shape& definition_shape();

/// What a step can do: exactly one of these fields is in it.
std::span<const std::string_view> step_kinds();

/// "analytics-2": letters, digits, '_', '-' and '.', at most 128.
bool is_name(std::string_view text);
/// What expressions can name with a dot: letters, digits and '_', not a digit first.
bool is_step_id(std::string_view text);

/// JSON Schema (draft 2020-12) of workflow files, for editors.
base::json::object definition_schema();

}  // namespace flow
