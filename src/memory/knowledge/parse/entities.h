#pragma once
// Character references of HTML.

#include <string>
#include <string_view>

namespace memory::knowledge::parse {

/// `&amp;`, `&#8212;`, `&#x4e2d;` and the common names; what is none stays as it is.
std::string decode_entities(std::string_view text);

}  // namespace memory::knowledge::parse
