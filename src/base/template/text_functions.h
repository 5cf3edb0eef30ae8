#pragma once
// Python's string operations that filters and methods share. All count characters, not bytes.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace base::tmpl {

bool is_space(char32_t code);
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
/// First character upper, the rest lower.
std::string capitalized(std::string_view text);
/// Every word as `capitalized`. A word starts where `starts_word` says so of the character before.
std::string titled(std::string_view text, bool (*starts_word)(char32_t before));

enum class Side { left, right, both };
/// Without the characters in `chars` at its ends; without `chars`, spaces.
std::string_view stripped(std::string_view text, std::optional<std::string_view> chars, Side side);

/// At most `splits_max` cuts; negative: as many as there are. Pre: separator not empty.
std::vector<std::string_view> split(std::string_view text, std::string_view separator,
                                    std::int64_t splits_max);
std::vector<std::string_view> split_from_right(std::string_view text, std::string_view separator,
                                               std::int64_t splits_max);
/// At runs of spaces, without empty parts.
std::vector<std::string_view> split_spaces(std::string_view text, std::int64_t splits_max);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

/// An upper bound of replaced()'s size, so that it can be charged first.
std::size_t replaced_bytes_max(std::string_view text, std::string_view from, std::string_view to);
std::string replaced(std::string_view text, std::string_view from, std::string_view to,
                     std::int64_t count_max);
std::string html_escaped(std::string_view text);

}  // namespace base::tmpl
