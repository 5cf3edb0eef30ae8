#include "memory/http/entry_json.h"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "base/json/object_reader.h"

namespace memory {
namespace {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::ObjectReader;
using base::Result;

// Far enough for anybody, near enough that sums of two stay exact in doubles.
constexpr std::int64_t kTimeMax = 253'402'300'800'000;  // the year 10000
constexpr std::size_t kNameBytesMax = 256;
constexpr std::size_t kContentBytesMax = 64u << 20;  // check_entry knows the store's own limit
constexpr std::size_t kDimsMax = 65'536;

constexpr std::array<std::pair<std::string_view, MemoryType>, kMemoryTypes> kTypes = {
    {{"short_term", MemoryType::short_term},
     {"working", MemoryType::working},
     {"long_term", MemoryType::long_term},
     {"episodic", MemoryType::episodic},
     {"semantic", MemoryType::semantic}}};
constexpr std::array<std::pair<std::string_view, Media::Kind>, 3> kMedia = {
    {{"none", Media::Kind::none}, {"image", Media::Kind::image}, {"audio", Media::Kind::audio}}};

void time(ObjectReader& in, std::string_view name, UnixMs& out) {
    in.integer<std::int64_t>(name, out, -kTimeMax, kTimeMax);
}
template <class T, class Read>
void optional(ObjectReader& in, std::string_view name, std::optional<T>& out, Read read) {
    if (!in.has(name)) return;
    T value{};
    read(value);
    out = std::move(value);
}
void real(ObjectReader& in, std::string_view name, float& out, double min, double max) {
    double value = out;
    in.number(name, value, min, max);
    out = static_cast<float>(value);
}
void object_of(ObjectReader& in, std::string_view name, json::object& out) {
    const json::value* value = in.value(name);
    if (value == nullptr) return;
    if (!value->is_object()) return in.fault(name, "must be an object");
    out = value->get_object();
}
void numbers(ObjectReader& in, std::string_view name, std::vector<float>& out) {
    const json::value* value = in.value(name);
    if (value == nullptr) return;
    if (!value->is_array() || value->get_array().size() > kDimsMax) {
        return in.fault(name, "must be an array of numbers");
    }
    for (const json::value& item : value->get_array()) {
        if (!item.is_number()) return in.fault(name, "must be an array of numbers");
        out.push_back(item.to_number<float>());
    }
}
void scope(ObjectReader& in, Scope& out) {
    in.text("user", out.user, kNameBytesMax);
    in.text("agent", out.agent, kNameBytesMax);
    in.text("session", out.session, kNameBytesMax);
    in.text("run", out.run, kNameBytesMax);
}

void range(ObjectReader& in, std::string_view name, TimeRange& out) {
    in.object(name, [&](ObjectReader& part) {
        time(part, "from_unix_ms", out.from_unix_ms);
        time(part, "to_unix_ms", out.to_unix_ms);
    });
}

json::object to_json(const ScoreParts& parts) {
    json::array terms;
    for (const std::string& term : parts.terms) terms.push_back(json::string(term));
    return {
        {"keyword", parts.keyword}, {"vector", parts.vector},   {"entity", parts.entity},
        {"time", parts.time},       {"session", parts.session}, {"substance", parts.substance},
        {"graph", parts.graph},     {"recency", parts.recency}, {"importance", parts.importance},
        {"access", parts.access},   {"rerank", parts.rerank},   {"terms", std::move(terms)}};
}

json::array to_json(const std::vector<Entry>& entries) {
    json::array out;
    for (const Entry& entry : entries) out.push_back(memory::to_json(entry));
    return out;
}

}  // namespace

json::object to_json(const SourceSpan& span) {
    return {{"source", span.source}, {"begin", span.begin}, {"end", span.end}, {"page", span.page}};
}

Result<std::vector<SourceSpan>> read_sources(const json::value* value, std::string_view path) {
    std::vector<SourceSpan> sources;
    if (value == nullptr) return sources;
    const std::string name = fmt::format("{}sources", path);
    if (!value->is_array()) {
        return fail_on(name, Code::invalid_argument, "'{}' must be an array of objects", name);
    }
    for (const json::value& item : value->get_array()) {
        if (!item.is_object()) {
            return fail_on(name, Code::invalid_argument, "'{}' must be an array of objects", name);
        }
        SourceSpan span;
        ObjectReader in(item.get_object(), name);
        in.text("source", span.source, kNameBytesMax);
        in.integer<std::uint64_t>("begin", span.begin, 0, 1ull << 50);
        in.integer<std::uint64_t>("end", span.end, 0, 1ull << 50);
        in.integer<std::uint32_t>("page", span.page, 0, 1u << 30);
        DG_TRY(in.done());
        sources.push_back(std::move(span));
    }
    return sources;
}

json::object to_json(const Entry& entry) {
    json::object out = {{"id", entry.id},
                        {"object", "memory"},
                        {"type", memory_type_name(entry.type)},
                        {"content", entry.content},
                        {"speaker", entry.speaker},
                        {"user", entry.scope.user},
                        {"agent", entry.scope.agent},
                        {"session", entry.scope.session},
                        {"run", entry.scope.run},
                        {"metadata", entry.metadata},
                        {"created_unix_ms", entry.created_unix_ms},
                        {"recorded_unix_ms", entry.recorded_unix_ms},
                        {"valid_from_unix_ms", entry.valid_from_unix_ms},
                        {"valid_to_unix_ms", entry.valid_to_unix_ms},
                        {"accessed_unix_ms", entry.accessed_unix_ms},
                        {"expires_unix_ms", entry.expires_unix_ms},
                        {"access_count", entry.access_count},
                        {"importance", entry.importance},
                        {"pinned", entry.pinned},
                        {"version", entry.version}};
    if (entry.media.kind != Media::Kind::none) {
        out["media"] =
            json::object{{"kind", entry.media.kind == Media::Kind::image ? "image" : "audio"},
                         {"uri", entry.media.uri}};
    }
    json::array sources;
    for (const SourceSpan& span : entry.sources) sources.push_back(to_json(span));
    out["sources"] = std::move(sources);
    return out;
}

json::object to_json(const EntryVersion& version) {
    return {{"version", version.entry.version},
            {"change", version.change},
            {"by", version.by},
            {"recorded_unix_ms", version.recorded_unix_ms},
            {"memory", to_json(version.entry)}};
}

json::object to_json(const Added& added) {
    constexpr std::array<std::string_view, 3> kHow = {"added", "merged", "repeated"};
    return {{"id", added.id},
            {"version", added.version},
            {"how", kHow[static_cast<std::size_t>(added.how)]}};
}

json::object to_json(const Answer& answer, bool explain) {
    json::array hits;
    for (const Hit& hit : answer.hits) {
        json::object one = {{"score", hit.score}, {"memory", to_json(hit.entry)}};
        if (explain) one["parts"] = to_json(hit.parts);
        if (!hit.before.empty()) one["before"] = to_json(hit.before);
        if (!hit.after.empty()) one["after"] = to_json(hit.after);
        if (!hit.duplicates.empty()) {
            json::array duplicates;
            for (const MemoryId& id : hit.duplicates) duplicates.push_back(json::string(id));
            one["duplicates"] = std::move(duplicates);
        }
        hits.push_back(std::move(one));
    }
    json::object out = {{"object", "list"},
                        {"data", std::move(hits)},
                        {"confidence", answer.confidence},
                        {"candidates", answer.candidates},
                        {"embedding_missing", answer.embedding_missing},
                        {"rerank_missing", answer.rerank_missing},
                        {"sessions_missing", answer.sessions_missing}};
    if (explain) out["plan"] = answer.plan;
    return out;
}

json::object to_json(const StoreStats& stats) {
    const bool sealed = stats.encryption == Encryption::subject;
    return {{"object", "memory_stats"},
            {"tenants", stats.tenants},
            {"entries", stats.entries},
            {"passages", stats.passages},
            {"versions", stats.versions},
            {"encryption", sealed ? "subject" : "off"},
            {"keys", stats.keys},
            {"plain", stats.plain},
            {"sessions_compressed", stats.sessions_compressed},
            {"summaries_by_model", stats.summaries_by_model},
            {"summaries_picked", stats.summaries_picked},
            {"summary_error", stats.summary_error},
            {"removed", stats.removed},
            {"embeddings_pending", stats.embeddings_pending},
            {"truth_bytes", stats.truth_bytes},
            {"index_bytes", stats.index_bytes},
            {"indexes_open", stats.indexes_open},
            {"forgets_open", stats.forgets_open},
            {"embedder", stats.embedder},
            {"truth", stats.truth},
            {"sessions", stats.sessions}};
}

Result<NewEntry> read_new_entry(const json::object& body, std::string_view tenant,
                                std::string_view path) {
    NewEntry entry;
    entry.scope.tenant = tenant;
    ObjectReader in(body, std::string(path));
    in.choice("type", entry.type, kTypes);
    in.text("content", entry.content, kContentBytesMax);
    in.text("speaker", entry.speaker, kNameBytesMax);
    scope(in, entry.scope);
    object_of(in, "metadata", entry.metadata);
    in.object("media", [&](ObjectReader& media) {
        media.choice("kind", entry.media.kind, kMedia);
        media.text("uri", entry.media.uri, 4096);
    });
    time(in, "created_unix_ms", entry.created_unix_ms);
    time(in, "valid_from_unix_ms", entry.valid_from_unix_ms);
    time(in, "valid_to_unix_ms", entry.valid_to_unix_ms);
    real(in, "importance", entry.importance, 0, 1);
    in.integer<std::int64_t>("ttl_ms", entry.ttl_ms, 0, kTimeMax);
    in.flag("pinned", entry.pinned);
    in.text("idempotency_key", entry.idempotency_key, kNameBytesMax);
    numbers(in, "embedding", entry.embedding);
    const json::value* sources = in.value("sources");
    DG_TRY(in.done());
    entry.sources = DG_TRY(read_sources(sources, path.empty() ? "" : fmt::format("{}.", path)));
    return entry;
}

Result<EntryPatch> read_patch(const json::object& body) {
    EntryPatch patch;
    ObjectReader in(body);
    optional(in, "type", patch.type, [&](MemoryType& out) { in.choice("type", out, kTypes); });
    optional(in, "content", patch.content,
             [&](std::string& out) { in.text("content", out, kContentBytesMax); });
    optional(in, "speaker", patch.speaker,
             [&](std::string& out) { in.text("speaker", out, kNameBytesMax); });
    optional(in, "metadata", patch.metadata,
             [&](json::object& out) { object_of(in, "metadata", out); });
    optional(in, "valid_from_unix_ms", patch.valid_from_unix_ms,
             [&](UnixMs& out) { time(in, "valid_from_unix_ms", out); });
    optional(in, "valid_to_unix_ms", patch.valid_to_unix_ms,
             [&](UnixMs& out) { time(in, "valid_to_unix_ms", out); });
    optional(in, "importance", patch.importance,
             [&](float& out) { real(in, "importance", out, 0, 1); });
    optional(in, "ttl_ms", patch.ttl_ms,
             [&](std::int64_t& out) { in.integer<std::int64_t>("ttl_ms", out, 0, kTimeMax); });
    optional(in, "pinned", patch.pinned, [&](bool& out) { in.flag("pinned", out); });
    optional(in, "expected_version", patch.expected_version, [&](std::uint32_t& out) {
        in.integer<std::uint32_t>("expected_version", out, 1, 1u << 31);
    });
    DG_TRY(in.done());
    return patch;
}

Result<Query> read_query(const json::object& body, std::string_view tenant) {
    Query query;
    query.filter.scope.tenant = tenant;
    ObjectReader in(body);
    in.text("query", query.text, 1u << 20);
    std::vector<std::string> types;
    in.texts("types", types, kMemoryTypes, 32);
    for (const std::string& name : types) {
        if (const auto type = memory_type_of(name)) {
            query.filter.types.push_back(*type);
        } else {
            in.fault("types", "must hold short_term, working, long_term, episodic or semantic");
        }
    }
    scope(in, query.filter.scope);
    range(in, "created", query.filter.created);
    range(in, "valid", query.filter.valid);
    optional(in, "importance_min", query.filter.importance_min,
             [&](float& out) { real(in, "importance_min", out, 0, 1); });
    optional(in, "pinned", query.filter.pinned, [&](bool& out) { in.flag("pinned", out); });
    std::string metadata;
    in.text("metadata", metadata, 16u << 10);
    in.texts("labels", query.filter.labels, 1024, kNameBytesMax);
    in.integer<std::uint32_t>("limit", query.limit, 1, 1000);
    in.integer<std::uint32_t>("tokens_max", query.tokens_max, 0, 10'000'000);
    in.integer<std::uint32_t>("neighbours", query.neighbours, 0, 50);
    in.integer<std::uint32_t>("rerank", query.rerank, 0, 200);
    in.flag("explain", query.explain);
    in.flag("touch", query.touch);
    real(in, "vector_recall", query.vector_recall, .5, 1);
    time(in, "as_of_unix_ms", query.as_of_unix_ms);
    numbers(in, "embedding", query.embedding);
    in.object("weights", [&](ObjectReader& part) {
        SignalWeights weights;
        for (const auto& [name, member] : {std::pair{"keyword", &SignalWeights::keyword},
                                           {"vector", &SignalWeights::vector},
                                           {"entity", &SignalWeights::entity},
                                           {"time", &SignalWeights::time},
                                           {"session", &SignalWeights::session},
                                           {"substance", &SignalWeights::substance},
                                           {"graph", &SignalWeights::graph}}) {
            real(part, name, weights.*member, 0, 100);
        }
        for (const auto& [name, member] :
             {std::pair{"recency_bound", &SignalWeights::recency_bound},
              {"importance_bound", &SignalWeights::importance_bound},
              {"access_bound", &SignalWeights::access_bound}}) {
            real(part, name, weights.*member, 0, .9);
        }
        query.weights = weights;
    });
    DG_TRY(in.done());
    if (!metadata.empty()) {
        auto parsed = parse_metadata_expression(metadata);
        if (!parsed) {
            base::Error error = std::move(parsed).error().with_context("'metadata'");
            error.subject = "metadata";
            return std::unexpected(std::move(error));
        }
        query.filter.metadata = std::move(*parsed);
    }
    return query;
}

}  // namespace memory
