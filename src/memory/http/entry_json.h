#pragma once
// Entries, filters and answers as JSON, both ways. Times are milliseconds since 1970 in fields that
// end in _unix_ms.

#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "memory/memory.h"

namespace memory {

base::json::object to_json(const SourceSpan& span);
base::json::object to_json(const Entry& entry);
base::json::object to_json(const EntryVersion& version);
base::json::object to_json(const Added& added);
base::json::object to_json(const Answer& answer, bool explain);
base::json::object to_json(const StoreStats& stats);

/// Errors of all: invalid_argument naming the field's path.
/// `sources` of an object whose path is `path` ("" or "facts[0]."); none when absent.
base::Result<std::vector<SourceSpan>> read_sources(const base::json::value* sources,
                                                   std::string_view path);
base::Result<NewEntry> read_new_entry(const base::json::object& body, std::string_view tenant,
                                      std::string_view path);
base::Result<EntryPatch> read_patch(const base::json::object& body);
base::Result<Query> read_query(const base::json::object& body, std::string_view tenant);

}  // namespace memory
