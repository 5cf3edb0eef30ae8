#pragma once
// What an entry is, written as terms that no text has: who speaks, that it asks. They are indexed
// beside its words, count in no length, and are asked for by ranking alone.

#include <string>
#include <string_view>
#include <vector>

namespace memory::text {

/// The entry ends by asking: it says less than what answers it.
inline constexpr std::string_view kAsksMark = "\x02?";

/// Of an entry whose speaker has `word` (a term's text) in the name.
std::string speaker_mark(std::string_view word);

/// Every mark of an entry, each once.
std::vector<std::string> marks(std::string_view content, std::string_view speaker);

}  // namespace memory::text
