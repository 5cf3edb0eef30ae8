#pragma once
// What of an entry a vector stands for.

#include <string>
#include <string_view>

namespace memory::embed {

/// Who says it is part of what it means: "Ann: I moved to Rome".
std::string entry_text(std::string_view content, std::string_view speaker);

}  // namespace memory::embed
