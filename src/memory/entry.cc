#include "memory/entry.h"

#include <array>
#include <cmath>

#include "base/core/utf8.h"

namespace memory {
namespace {

using base::Code;
using base::fail_on;
using base::Result;

constexpr std::array<std::string_view, kMemoryTypes> kTypeNames{
    "short_term", "working", "long_term", "episodic", "semantic"};
constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kSpeakerBytesMax = 1'024;
constexpr std::size_t kUriBytesMax = 4'096;
constexpr std::size_t kSourcesMax = 256;
constexpr std::size_t kJsonDepthMax = 32;
constexpr UnixMs kTimeMax = 8'640'000'000'000'000;  // a hundred million days, as in ECMAScript

Result<void> check_text(std::string_view field, std::string_view text, std::size_t bytes_max) {
    if (text.size() > bytes_max) {
        return fail_on(std::string(field), Code::invalid_argument,
                       "{} has {} bytes, at most {} are kept; shorten or split it", field,
                       text.size(), bytes_max);
    }
    if (const std::size_t good = base::utf8_valid_prefix_bytes(text); good != text.size()) {
        return fail_on(std::string(field), Code::invalid_argument,
                       "{} is not UTF-8 from byte {} on; send text in UTF-8", field, good);
    }
    if (const std::size_t at = text.find('\0'); at != std::string_view::npos) {
        return fail_on(std::string(field), Code::invalid_argument,
                       "{} has a NUL character at byte {}; leave it out", field, at);
    }
    return {};
}

Result<void> check_time(std::string_view field, UnixMs time) {
    if (time >= -kTimeMax && time <= kTimeMax) return {};
    return fail_on(std::string(field), Code::invalid_argument,
                   "{} is {}; give milliseconds since 1970, within {} of it", field, time,
                   kTimeMax);
}

Result<void> check_json(const base::json::value& value, std::size_t depth) {
    if (depth > kJsonDepthMax) {
        return fail_on("metadata", Code::invalid_argument,
                       "metadata is nested deeper than {} levels; flatten it", kJsonDepthMax);
    }
    if (const auto* text = value.if_string()) {
        return check_text("metadata", std::string_view(text->data(), text->size()), SIZE_MAX);
    }
    if (const auto* number = value.if_double(); number != nullptr && !std::isfinite(*number)) {
        return fail_on("metadata", Code::invalid_argument,
                       "metadata has a number that is not finite; leave it out");
    }
    if (const auto* array = value.if_array()) {
        for (const auto& element : *array) DG_TRY(check_json(element, depth + 1));
    }
    if (const auto* object = value.if_object()) {
        for (const auto& [key, element] : *object) {
            DG_TRY(check_text("metadata", std::string_view(key.data(), key.size()), SIZE_MAX));
            DG_TRY(check_json(element, depth + 1));
        }
    }
    return {};
}

Result<void> check_metadata(const base::json::object& metadata, std::size_t bytes_max) {
    if (metadata.empty()) return {};
    DG_TRY(check_json(metadata, 0));
    if (const std::size_t bytes = base::to_text(metadata).size(); bytes > bytes_max) {
        return fail_on("metadata", Code::invalid_argument,
                       "metadata has {} bytes of JSON, at most {} are kept", bytes, bytes_max);
    }
    return {};
}

Result<void> check_scope(const Scope& scope) {
    if (scope.tenant.empty()) {
        return fail_on("scope.tenant", Code::invalid_argument,
                       "scope.tenant is empty; every memory belongs to a tenant");
    }
    DG_TRY(check_text("scope.tenant", scope.tenant, kNameBytesMax));
    DG_TRY(check_text("scope.user", scope.user, kNameBytesMax));
    DG_TRY(check_text("scope.agent", scope.agent, kNameBytesMax));
    DG_TRY(check_text("scope.session", scope.session, kNameBytesMax));
    return check_text("scope.run", scope.run, kNameBytesMax);
}

Result<void> check_sources(const std::vector<SourceSpan>& sources) {
    if (sources.size() > kSourcesMax) {
        return fail_on("sources", Code::invalid_argument, "{} sources, at most {} are kept",
                       sources.size(), kSourcesMax);
    }
    for (const SourceSpan& source : sources) {
        DG_TRY(check_text("sources", source.source, kNameBytesMax));
        if (source.begin <= source.end && source.end <= INT64_MAX) continue;
        return fail_on("sources", Code::invalid_argument,
                       "sources has a span from {} to {}; it ends before it begins", source.begin,
                       source.end);
    }
    return {};
}

Result<void> check_times(const NewEntry& entry) {
    DG_TRY(check_time("created_unix_ms", entry.created_unix_ms));
    DG_TRY(check_time("valid_from_unix_ms", entry.valid_from_unix_ms));
    DG_TRY(check_time("valid_to_unix_ms", entry.valid_to_unix_ms));
    if (entry.ttl_ms < 0 || entry.ttl_ms > kTimeMax) {
        return fail_on("ttl_ms", Code::invalid_argument,
                       "ttl_ms is {}; give milliseconds from 1 on, or 0 for none", entry.ttl_ms);
    }
    const UnixMs from =
        entry.valid_from_unix_ms != 0 ? entry.valid_from_unix_ms : entry.created_unix_ms;
    if (entry.valid_to_unix_ms == 0 || from == 0 || entry.valid_to_unix_ms > from) return {};
    return fail_on("valid_to_unix_ms", Code::invalid_argument,
                   "valid_to_unix_ms {} is not after the time {} it is true from",
                   entry.valid_to_unix_ms, from);
}

Result<void> check_embedding(const std::vector<float>& embedding, std::uint32_t dims) {
    if (embedding.empty()) return {};
    if (embedding.size() != dims) {
        return fail_on("embedding", Code::invalid_argument,
                       "embedding has {} numbers, this store's embedder makes {}; leave it out to "
                       "have it computed",
                       embedding.size(), dims);
    }
    for (std::size_t i = 0; i < embedding.size(); ++i) {
        // What the store keeps has 16 bits: larger ones would become infinite.
        if (std::isfinite(embedding[i]) && std::fabs(embedding[i]) <= 65'504.f) continue;
        return fail_on("embedding", Code::invalid_argument,
                       "embedding[{}] is {}; every number is finite and of at most 65504", i,
                       embedding[i]);
    }
    return {};
}

}  // namespace

std::string_view memory_type_name(MemoryType type) {
    return kTypeNames[static_cast<std::size_t>(type)];
}

std::optional<MemoryType> memory_type_of(std::string_view name) {
    for (std::size_t i = 0; i < kTypeNames.size(); ++i) {
        if (kTypeNames[i] == name) return static_cast<MemoryType>(i);
    }
    return std::nullopt;
}

bool expired(const Entry& entry, UnixMs now) {
    return !entry.pinned && entry.expires_unix_ms != 0 && entry.expires_unix_ms <= now;
}

Result<void> check_entry(const NewEntry& entry, const EntryLimits& limits) {
    if (static_cast<std::size_t>(entry.type) >= kMemoryTypes) {
        return fail_on("type", Code::invalid_argument, "type {} is none of the five",
                       static_cast<int>(entry.type));
    }
    DG_TRY(check_scope(entry.scope));
    if (entry.content.empty()) {
        return fail_on("content", Code::invalid_argument,
                       "content is empty; write what is to be remembered");
    }
    DG_TRY(check_text("content", entry.content, limits.content_bytes_max));
    DG_TRY(check_text("speaker", entry.speaker, kSpeakerBytesMax));
    DG_TRY(check_text("media.uri", entry.media.uri, kUriBytesMax));
    DG_TRY(check_text("idempotency_key", entry.idempotency_key, kNameBytesMax));
    DG_TRY(check_metadata(entry.metadata, limits.metadata_bytes_max));
    DG_TRY(check_sources(entry.sources));
    DG_TRY(check_times(entry));
    if (!(entry.importance >= 0.f && entry.importance <= 1.f)) {
        return fail_on("importance", Code::invalid_argument,
                       "importance is {}; give a number from 0 to 1", entry.importance);
    }
    return check_embedding(entry.embedding, limits.embedding_dims);
}

}  // namespace memory
