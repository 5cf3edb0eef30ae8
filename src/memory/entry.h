#pragma once
// What a memory is: plain values that travel over HTTP, into the store and back. Checked by
// check_entry before anything is written. [AInfra 2.2.3] AMS: five kinds of memory, importance,
// time to live, access counts.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"

namespace memory {

/// Names an entry within its tenant: "mem-" and 26 characters that sort by time of writing.
using MemoryId = std::string;

/// Wall time, milliseconds since 1970-01-01 UTC.
using UnixMs = std::int64_t;

enum class MemoryType : std::uint8_t {
    short_term,  ///< of the running conversation; gone with it unless promoted
    working,     ///< of a task: plans, intermediate results
    long_term,   ///< lasting: preferences, decisions, summaries
    episodic,    ///< what happened, when: turns of a conversation, steps of a run
    semantic,    ///< what is so: statements about the world
};
inline constexpr std::size_t kMemoryTypes = 5;
std::string_view memory_type_name(MemoryType type);  ///< "short_term", ...
std::optional<MemoryType> memory_type_of(std::string_view name);

/// Whose memory it is. The tenant is a wall: it is in every call, every row and every index, and
/// nothing crosses it. The rest narrows; "" stands for "of none in particular".
struct Scope {
    std::string tenant = {}, user = {}, agent = {}, session = {}, run = {};
    bool operator==(const Scope&) const = default;
};

/// What `content` describes when it is not the thing itself.
struct Media {
    enum class Kind : std::uint8_t { none, image, audio } kind = Kind::none;
    std::string uri = {};  ///< where the bytes are; never fetched by the store
    bool operator==(const Media&) const = default;
};

/// From which part of which source an entry was made; all empty when it is itself the source.
struct SourceSpan {
    std::string source = {};           ///< a memory's or a document's id
    std::uint64_t begin = 0, end = 0;  ///< bytes of the source's text; 0, 0: all of it
    std::uint32_t page = 0;            ///< from 1; 0: the source has no pages
    bool operator==(const SourceSpan&) const = default;
};

/// What the caller decides. Times of 0 are filled in by the store.
struct NewEntry {
    MemoryType type = MemoryType::long_term;
    Scope scope;
    std::string content;  ///< UTF-8, 1 byte to StoreOptions::content_bytes_max; a caption for media
    std::string speaker = {};  ///< who said it, as people would write it; found like content
    Media media = {};
    base::json::object metadata = {};  ///< at most 16 KiB of JSON
    UnixMs created_unix_ms = 0;        ///< when it happened; 0: now
    UnixMs valid_from_unix_ms = 0;     ///< from when it is true; 0: created
    UnixMs valid_to_unix_ms = 0;       ///< until when (not included); 0: open
    float importance = .5f;            ///< 0..1
    std::int64_t ttl_ms = 0;           ///< after recording; 0: none
    bool pinned = false;               ///< never expired, compressed or merged away
    std::vector<SourceSpan> sources = {};
    /// Of the store's current embedder, when the caller has it already; empty: computed.
    std::vector<float> embedding = {};
    /// Repeating a write with the same key within a day answers with the first one's result.
    std::string idempotency_key = {};
};

struct Entry {
    MemoryId id;
    MemoryType type = MemoryType::long_term;
    Scope scope;
    std::string content, speaker;
    Media media;
    base::json::object metadata;
    UnixMs created_unix_ms = 0, recorded_unix_ms = 0;  ///< it happened; this version was written
    UnixMs valid_from_unix_ms = 0, valid_to_unix_ms = 0;
    UnixMs accessed_unix_ms = 0;  ///< last returned to somebody; 0: never
    UnixMs expires_unix_ms = 0;   ///< 0: never
    std::uint64_t access_count = 0;
    float importance = .5f;
    bool pinned = false;
    std::vector<SourceSpan> sources;  ///< of duplicates merged into it, too
    std::uint32_t version = 1;        ///< counts its changes
};

/// Only what is set changes.
struct EntryPatch {
    std::optional<MemoryType> type = {};
    std::optional<std::string> content = {}, speaker = {};
    std::optional<base::json::object> metadata =
        {};  ///< replaces; a key of null is no special case
    std::optional<UnixMs> valid_from_unix_ms = {}, valid_to_unix_ms = {};
    std::optional<float> importance = {};
    std::optional<std::int64_t> ttl_ms = {};  ///< from now; 0: none
    std::optional<bool> pinned = {};
    /// Errors with failed_precondition when the entry has another version by now.
    std::optional<std::uint32_t> expected_version = {};
};

/// One state an entry had, newest first in a history.
struct EntryVersion {
    Entry entry;         ///< as it was; a removal keeps the last state
    std::string change;  ///< "added", "updated", "merged", "removed", "restored", "compressed"
    std::string by;      ///< whoever the caller said it was
    UnixMs recorded_unix_ms = 0;
};

struct EntryLimits {
    std::size_t content_bytes_max = 256u << 10;
    std::size_t metadata_bytes_max = 16u << 10;
    std::uint32_t embedding_dims = 0;  ///< of the store's embedder; 0: none is taken
};

/// Errors: invalid_argument naming the field, what was found and what is allowed: bad UTF-8, empty
/// or too long content, importance outside 0..1, NaN, valid_to before valid_from, wrong dimensions.
base::Result<void> check_entry(const NewEntry& entry, const EntryLimits& limits);

}  // namespace memory
