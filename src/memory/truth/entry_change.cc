#include "memory/truth/entry_change.h"

namespace memory::truth {

StoredEntry stored_of(const NewEntry& entry, std::int64_t tenant, std::string_view by, UnixMs now,
                      UnixMs created) {
    StoredEntry stored;
    stored.tenant = tenant;
    stored.change = "added";
    stored.by = by;
    Entry& made = stored.entry;
    made.type = entry.type;
    made.scope = entry.scope;
    made.content = entry.content;
    made.speaker = entry.speaker;
    made.media = entry.media;
    made.metadata = entry.metadata;
    made.created_unix_ms = created;
    made.recorded_unix_ms = now;
    made.valid_from_unix_ms = entry.valid_from_unix_ms != 0 ? entry.valid_from_unix_ms : created;
    made.valid_to_unix_ms = entry.valid_to_unix_ms;
    made.expires_unix_ms = entry.ttl_ms != 0 ? now + entry.ttl_ms : 0;
    made.importance = entry.importance;
    made.pinned = entry.pinned;
    made.sources = entry.sources;
    return stored;
}

void apply(const EntryPatch& patch, Entry& entry, UnixMs now) {
    if (patch.type) entry.type = *patch.type;
    if (patch.content) entry.content = *patch.content;
    if (patch.speaker) entry.speaker = *patch.speaker;
    if (patch.metadata) entry.metadata = *patch.metadata;
    if (patch.valid_from_unix_ms) entry.valid_from_unix_ms = *patch.valid_from_unix_ms;
    if (patch.valid_to_unix_ms) entry.valid_to_unix_ms = *patch.valid_to_unix_ms;
    if (patch.importance) entry.importance = *patch.importance;
    if (patch.pinned) entry.pinned = *patch.pinned;
    if (patch.ttl_ms) entry.expires_unix_ms = *patch.ttl_ms == 0 ? 0 : now + *patch.ttl_ms;
}

NewEntry as_written(const Entry& entry, std::int64_t ttl_ms) {
    return {.type = entry.type,
            .scope = entry.scope,
            .content = entry.content,
            .speaker = entry.speaker,
            .media = entry.media,
            .metadata = entry.metadata,
            .created_unix_ms = entry.created_unix_ms,
            .valid_from_unix_ms = entry.valid_from_unix_ms,
            .valid_to_unix_ms = entry.valid_to_unix_ms,
            .importance = entry.importance,
            .ttl_ms = ttl_ms,
            .pinned = entry.pinned,
            .sources = entry.sources};
}

}  // namespace memory::truth
