#pragma once
// Which memories stay, which become one, which go: policy and entries in, plan out. Pure, so that a
// dry run is the run. [AInfra 2.2.3] CompressionPolicy: entries per session, importance,
// similarity, recent hours.
//
// In this order: what is pinned stays. What expired goes. What is recent stays as it is. Of the
// rest, similar ones of a session become one summary; what is important stays, summaries too; the
// others go. A session that is still too large loses its least important ones, recent ones last;
// or, with merge_over_limit, old ones that follow each other become one until it is not.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memory/entry.h"

namespace memory::compress {

struct Policy {
    std::uint32_t entries_per_session_max = 1'000;  ///< pinned ones count and never go
    float importance_min = .3f;                     ///< 0..1; at least this stays
    float merge_similarity = .8f;  ///< 0..1; shared part of the words, or cosine of vectors
    std::uint32_t retain_recent_hours = 24;
    std::uint32_t summary_sentences_max = 3;
    bool merge_over_limit = false;  ///< as many as fit instead of dropping; recent ones stay
};

enum class Reason : std::uint8_t {
    pinned,
    recent,
    important,
    expired,      ///< its time to live is over
    unimportant,  ///< old and below importance_min
    over_limit,   ///< its session had more than entries_per_session_max
};
std::string_view reason_name(Reason reason);

struct Decision {
    MemoryId id;
    Reason reason = Reason::important;
    bool operator==(const Decision&) const = default;
};

/// Entries that become one of the same type and scope.
struct Merge {
    std::vector<MemoryId> ids;        ///< by time
    std::string summary;              ///< sentences of theirs, unchanged, in order of time
    std::vector<SourceSpan> sources;  ///< of each sentence, then every entry whole
    float importance = 0;             ///< the greatest of theirs
    UnixMs created_unix_ms = 0;       ///< of the first
    bool operator==(const Merge&) const = default;
};

/// Every entry is in exactly one of the three.
struct Plan {
    std::vector<Decision> keep, drop;  ///< by id
    std::vector<Merge> merge;          ///< by first id
    bool operator==(const Plan&) const = default;
};

/// `vectors`: one per entry, in order, of one model, each empty or of the same length; or none at
/// all. The order of entries does not matter. Time: quadratic in the old entries of one session.
Plan plan(std::span<const Entry> entries, std::span<const std::vector<float>> vectors,
          const Policy& policy, UnixMs now);

}  // namespace memory::compress
