#pragma once
// A short-term entry as Redis keeps it: JSON, with what truth knows about it.

#include <string>
#include <string_view>

#include "memory/truth/rows.h"

namespace memory::truth {

std::string to_stored(const StoredEntry& stored);
/// Errors: data_loss.
base::Result<StoredEntry> from_stored(std::string_view text, std::string_view tenant);

}  // namespace memory::truth
