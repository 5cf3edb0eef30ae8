#pragma once
// Where sentences end, in English and Chinese.

#include <cstddef>
#include <string_view>
#include <vector>

namespace memory::knowledge {

/// Ends of the sentences of `text`, ascending, each behind the mark that ends it; the last one is
/// text.size(). Abbreviations, initials, decimals and numbers of lists end none. Lines end one.
std::vector<std::size_t> sentence_ends(std::string_view text);

}  // namespace memory::knowledge
