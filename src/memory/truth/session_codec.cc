#include "memory/truth/session_codec.h"

#include "base/json/json.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail;
using base::Result;
namespace json = base::json;

std::string text_of(const json::object& from, std::string_view name) {
    const json::value* value = from.if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

std::int64_t number_of(const json::object& from, std::string_view name) {
    const json::value* value = from.if_contains(name);
    return value != nullptr && value->is_int64() ? value->get_int64() : 0;
}

json::array sources_of(const Entry& entry) {
    json::array list;
    for (const SourceSpan& source : entry.sources) {
        list.push_back(json::array{source.source, static_cast<std::int64_t>(source.begin),
                                   static_cast<std::int64_t>(source.end),
                                   static_cast<std::int64_t>(source.page)});
    }
    return list;
}

void read_sources(const json::object& from, Entry& entry) {
    const json::value* list = from.if_contains("sources");
    if (list == nullptr || !list->is_array()) return;
    for (const json::value& each : list->get_array()) {
        const json::array* part = each.if_array();
        if (part == nullptr || part->size() != 4 || !(*part)[0].is_string()) continue;
        const auto number = [&](std::size_t at) {
            return (*part)[at].is_int64() ? (*part)[at].get_int64() : 0;
        };
        entry.sources.push_back(
            {std::string((*part)[0].get_string()), static_cast<std::uint64_t>(number(1)),
             static_cast<std::uint64_t>(number(2)), static_cast<std::uint32_t>(number(3))});
    }
}

}  // namespace

std::string to_stored(const StoredEntry& stored) {
    const Entry& entry = stored.entry;
    return base::to_text(json::object{{"row", stored.row},
                                      {"state", static_cast<std::int64_t>(stored.state)},
                                      {"sequence", stored.sequence},
                                      {"id", entry.id},
                                      {"type", static_cast<std::int64_t>(entry.type)},
                                      {"user", entry.scope.user},
                                      {"agent", entry.scope.agent},
                                      {"session", entry.scope.session},
                                      {"run", entry.scope.run},
                                      {"content", entry.content},
                                      {"speaker", entry.speaker},
                                      {"media_kind", static_cast<std::int64_t>(entry.media.kind)},
                                      {"media_uri", entry.media.uri},
                                      {"metadata", entry.metadata},
                                      {"created", entry.created_unix_ms},
                                      {"recorded", entry.recorded_unix_ms},
                                      {"valid_from", entry.valid_from_unix_ms},
                                      {"valid_to", entry.valid_to_unix_ms},
                                      {"expires", entry.expires_unix_ms},
                                      {"importance", static_cast<double>(entry.importance)},
                                      {"pinned", entry.pinned},
                                      {"sources", sources_of(entry)},
                                      {"version", static_cast<std::int64_t>(entry.version)},
                                      {"change", stored.change},
                                      {"by", stored.by}});
}

Result<StoredEntry> from_stored(std::string_view text, std::string_view tenant) {
    auto parsed = base::parse_json(text);
    if (!parsed || !parsed->is_object()) {
        return fail(Code::data_loss, "a short-term entry of tenant {} cannot be read", tenant);
    }
    const json::object& from = parsed->get_object();
    StoredEntry stored;
    stored.row = number_of(from, "row");
    stored.state = static_cast<RowState>(number_of(from, "state"));
    stored.sequence = number_of(from, "sequence");
    stored.change = text_of(from, "change");
    stored.by = text_of(from, "by");
    Entry& entry = stored.entry;
    entry.id = text_of(from, "id");
    entry.type = static_cast<MemoryType>(number_of(from, "type"));
    entry.scope = {std::string(tenant), text_of(from, "user"), text_of(from, "agent"),
                   text_of(from, "session"), text_of(from, "run")};
    entry.content = text_of(from, "content");
    entry.speaker = text_of(from, "speaker");
    entry.media = {static_cast<Media::Kind>(number_of(from, "media_kind")),
                   text_of(from, "media_uri")};
    if (const json::value* metadata = from.if_contains("metadata")) {
        if (metadata->is_object()) entry.metadata = metadata->get_object();
    }
    entry.created_unix_ms = number_of(from, "created");
    entry.recorded_unix_ms = number_of(from, "recorded");
    entry.valid_from_unix_ms = number_of(from, "valid_from");
    entry.valid_to_unix_ms = number_of(from, "valid_to");
    entry.expires_unix_ms = number_of(from, "expires");
    if (const json::value* importance = from.if_contains("importance")) {
        if (importance->is_number()) entry.importance = importance->to_number<float>();
    }
    if (const json::value* pinned = from.if_contains("pinned")) {
        entry.pinned = pinned->is_bool() && pinned->get_bool();
    }
    read_sources(from, entry);
    entry.version = static_cast<std::uint32_t>(number_of(from, "version"));
    return stored;
}

}  // namespace memory::truth
