#pragma once
// "did you mean": the known word closest to a mistyped one.

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace base {

/// Letters to insert, delete, replace or swap with their neighbour to get from `a` to `b`
/// (Damerau 1964, optimal string alignment).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate nearest to `word`, when it is near enough to be a slip of the fingers: at most a
/// third of the longer word. Ties go to the earlier candidate.
std::optional<std::string_view> nearest(std::string_view word,
                                        std::span<const std::string_view> candidates);

/// "; did you mean 'x'?" or "".
std::string did_you_mean(std::string_view word, std::span<const std::string_view> candidates);

}  // namespace base
