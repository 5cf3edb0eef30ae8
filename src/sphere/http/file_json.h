#pragma once
// Entries of a workspace as JSON. A name is bytes: `name` is its text (files/name_text.h), `path`
// the same percent-encoded, to be put into an URL as it is.

#include <string>
#include <string_view>

#include "base/json/json.h"
#include "sphere/files/archive.h"
#include "sphere/files/watcher.h"
#include "sphere/files/workspace.h"

namespace sphere {

/// Everything but unreserved characters and '/' as %XX.
std::string percent_encode_path(std::string_view bytes);

base::json::object to_json(const files::Entry& entry);
base::json::object to_json(const files::Listing& listing);
base::json::object to_json(const files::ArchiveSummary& summary);
base::json::object to_json(const files::Change& change);

}  // namespace sphere
