#pragma once
// Names that objects of templates answer to with a method.

#include <string_view>

namespace base {

/// `x.items` is the method, not an entry of that name, as in Jinja; `x['items']` is the entry.
bool is_object_method(std::string_view name);

}  // namespace base
