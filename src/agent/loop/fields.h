#pragma once
// Reading of what the loop's functions are given: they are called by workflows that compile() made,
// but a person may have forked one with other input, so nothing is taken for granted.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json/json.h"

namespace agent {

/// Null where there is none.
const base::json::value* at(const base::json::value& from, std::string_view pointer);
std::string text_at(const base::json::value& from, std::string_view pointer);
double number_at(const base::json::value& from, std::string_view pointer, double otherwise = 0);
std::uint64_t count_at(const base::json::value& from, std::string_view pointer,
                       std::uint64_t otherwise = 0);
bool flag_at(const base::json::value& from, std::string_view pointer);
const base::json::array& list_at(const base::json::value& from, std::string_view pointer);
/// The value's own text, else its JSON.
std::string as_text(const base::json::value& value);
/// At most `bytes` of it with its middle left out, at UTF-8 borders.
std::string cut(std::string text, std::size_t bytes);

}  // namespace agent
