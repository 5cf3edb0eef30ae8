#pragma once
// What routes answer, for /openapi.json: an example each.

#include <string_view>

namespace gate {

/// JSON text; empty when the answer has no fixed shape.
std::string_view example_answer(std::string_view method, std::string_view path);

}  // namespace gate
