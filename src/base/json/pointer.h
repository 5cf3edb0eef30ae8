#pragma once
// JSON Pointer, RFC 6901: names of places in a value.

#include <string>
#include <string_view>

namespace base {

/// A member's name as one token of a pointer, without the slash before it.
std::string pointer_token(std::string_view name);

}  // namespace base
