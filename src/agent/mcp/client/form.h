#pragma once
// Forms that servers want filled in (elicitation). Pure.

#include "base/core/result.h"
#include "base/json/json.h"

namespace agent::mcp {

namespace json = base::json;

/// {"action", "content"} with the form's defaults for what an accepted answer leaves out, checked
/// against the form. Other actions lose their content.
/// Errors: invalid_argument: no answer to that form.
base::Result<json::object> complete_form(const json::object& params, json::object answer);

}  // namespace agent::mcp
