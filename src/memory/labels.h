#pragma once
// Access labels of an entry, in the field "labels" of its metadata. Pure.

#include <string>
#include <string_view>
#include <vector>

#include "base/json/json.h"

namespace memory {

inline constexpr std::string_view kLabelsField = "labels";
/// Whether a caller who holds `labels` sees an entry: it has none, or one of them. Labels that are
/// neither a text nor a list of them, null too, close it to everybody: nobody can hold one.
bool may_see(const std::vector<std::string>& labels, const base::json::object& metadata);

}  // namespace memory
