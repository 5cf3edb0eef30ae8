#pragma once
// Which of two entries say the same. Precision decides: what is merged wrongly is lost to its
// reader, what is kept twice only takes room. So texts are the same when they have the same words,
// or, long ones, when nothing but typing slips and filler words differ; never when a number, a
// negation, a date or a name does.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "memory/entry.h"

namespace memory::truth {

/// Words as they are compared: NFC, without the punctuation around them, a capital first letter
/// made small ("The", but not "US"). "?" stays: asking is not saying.
std::vector<std::string> words_of(std::string_view text);

/// Jaccard similarity of the word 3-grams at least 0.9, and the words that differ are fillers or
/// misspelt, in the same order.
bool nearly_equal(const std::vector<std::string>& a, const std::vector<std::string>& b);

/// True for what happened at a time: merged only with the very same event.
bool is_event(MemoryType type);

/// Numbers that entries saying the same share: the first is of all words, the others are bands of a
/// MinHash of the word 3-grams, where a text is long enough to be nearly equal to another one.
/// Scope, type and speaker are in each; of an event there is only one, with its time.
std::vector<std::int64_t> marks_of(const Scope& scope, MemoryType type, std::string_view content,
                                   std::string_view speaker, UnixMs created);

/// Whether `entry` may be merged into `kept`, which shares a mark with it.
bool says_the_same(const Entry& kept, const NewEntry& entry);

}  // namespace memory::truth
