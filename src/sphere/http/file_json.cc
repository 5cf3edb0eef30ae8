#include "sphere/http/file_json.h"

#include <fmt/format.h>

#include "sphere/files/name_text.h"

namespace sphere {

namespace json = base::json;

std::string percent_encode_path(std::string_view bytes) {
    std::string out;
    for (const char c : bytes) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~' ||
                           c == '/';
        out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

json::object to_json(const files::Entry& entry) {
    json::object out = {{"name", files::escape_name(entry.name)},
                        {"path", percent_encode_path(entry.name)},
                        {"type", files::entry_type_name(entry.type)},
                        {"bytes", entry.bytes},
                        {"mode", fmt::format("{:04o}", entry.mode)},
                        {"modified_at_ms", entry.modified_unix_ns / 1'000'000}};
    if (entry.type == files::EntryType::link) {
        out["link_target"] = files::escape_name(entry.link_target);
    }
    return out;
}

json::object to_json(const files::Listing& listing) {
    json::array data;
    for (const files::Entry& entry : listing.entries) data.push_back(to_json(entry));
    return {{"object", "list"}, {"data", std::move(data)}, {"truncated", listing.truncated}};
}

json::object to_json(const files::ArchiveSummary& summary) {
    return {{"files", summary.files},
            {"folders", summary.folders},
            {"links", summary.links},
            {"bytes", summary.bytes}};
}

json::object to_json(const files::Change& change) {
    return {{"change", files::change_name(change.kind)},
            {"name", files::escape_name(change.name)},
            {"path", percent_encode_path(change.name)},
            {"folder", change.folder},
            {"pair", change.pair}};
}

}  // namespace sphere
