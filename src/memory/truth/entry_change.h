#pragma once
// What becomes of an entry that is added or changed, wherever it is kept.

#include <string_view>

#include "memory/truth/rows.h"

namespace memory::truth {

/// As a new row, without its numbers and id.
StoredEntry stored_of(const NewEntry& entry, std::int64_t tenant, std::string_view by, UnixMs now,
                      UnixMs created);
void apply(const EntryPatch& patch, Entry& entry, UnixMs now);
/// The entry a caller would have had to write for this one.
NewEntry as_written(const Entry& entry, std::int64_t ttl_ms);

}  // namespace memory::truth
