#include "memory/truth/rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/json/json.h"

namespace memory::truth {
namespace {

using base::Code;
using base::fail;
using base::Result;
using base::store::Parameter;
using base::store::Row;
namespace json = base::json;

constexpr std::array<std::string_view, kColumns> kNames{
    "row_id",   "tenant_id", "state",    "sequence",   "id",        "type",       "user_name",
    "agent",    "session",   "run",      "content",    "speaker",   "media_kind", "media_uri",
    "metadata", "created",   "recorded", "valid_from", "valid_to",  "expires",    "importance",
    "pinned",   "sources",   "version",  "change",     "changed_by"};

std::string names(std::string_view prefix) {
    std::string list;
    for (const std::string_view name : kNames) {
        if (!list.empty()) list += ", ";
        list += prefix;
        list += name;
    }
    return list;
}

/// "" for what is empty: most entries have neither, and JSON is not free.
std::string sources_text(const std::vector<SourceSpan>& sources) {
    if (sources.empty()) return "";
    json::array list;
    for (const SourceSpan& source : sources) {
        list.push_back(json::array{source.source, source.begin, source.end, source.page});
    }
    return base::to_text(list);
}

Result<std::vector<SourceSpan>> sources_from(std::string_view text) {
    std::vector<SourceSpan> sources;
    if (text.empty()) return sources;
    const json::value parsed = DG_TRY(base::parse_json(text));
    if (!parsed.is_array()) return fail(Code::data_loss, "sources are no list");
    for (const json::value& each : parsed.get_array()) {
        const json::array* part = each.if_array();
        if (part == nullptr || part->size() != 4 || !(*part)[0].is_string()) {
            return fail(Code::data_loss, "a source is no list of four");
        }
        const auto number = [&](std::size_t at) {
            const json::value& value = (*part)[at];
            return value.is_number() ? value.to_number<std::uint64_t>() : 0;
        };
        sources.push_back({std::string((*part)[0].get_string()), number(1), number(2),
                           static_cast<std::uint32_t>(number(3))});
    }
    return sources;
}

Result<json::object> metadata_from(std::string_view text) {
    if (text.empty()) return json::object{};
    json::value parsed = DG_TRY(base::parse_json(text));
    if (!parsed.is_object()) return fail(Code::data_loss, "metadata is no object");
    return std::move(parsed.get_object());
}

}  // namespace

const std::string kSelectColumns =
    "SELECT " + names("e.") + ", COALESCE(a.access_count, 0), COALESCE(a.accessed, 0)";
const std::string kFromEntry =
    " FROM entry e LEFT JOIN access a ON a.row_id = e.row_id AND a.tenant_id = e.tenant_id";
const std::string kInsertEntry = [] {
    std::string places;
    for (std::size_t i = 1; i <= kColumns; ++i) places += fmt::format("{}${}", i > 1 ? "," : "", i);
    return "INSERT INTO entry(" + names("") + ") VALUES (" + places + ")";
}();
const std::string kUpdateEntry = [] {
    std::string set;
    for (std::size_t i = 2; i < kColumns; ++i) {
        set += fmt::format("{}{} = ${}", i > 2 ? ", " : "", kNames[i], i + 1);
    }
    return "UPDATE entry SET " + set + " WHERE row_id = $1 AND tenant_id = $2";
}();
const std::string kCopyVersion = "INSERT INTO version(" + names("") + ", superseded) SELECT " +
                                 names("") + ", $3 FROM entry WHERE row_id = $1 AND tenant_id = $2";

std::vector<std::string> schema_steps(const base::store::Dialect& dialect) {
    const std::string columns =
        "tenant_id BIGINT NOT NULL, state SMALLINT NOT NULL, sequence BIGINT NOT NULL, "
        "id TEXT NOT NULL, type SMALLINT NOT NULL, user_name TEXT NOT NULL, agent TEXT NOT NULL, "
        "session TEXT NOT NULL, run TEXT NOT NULL, content TEXT NOT NULL, speaker TEXT NOT NULL, "
        "media_kind SMALLINT NOT NULL, media_uri TEXT NOT NULL, metadata TEXT NOT NULL, "
        "created BIGINT NOT NULL, recorded BIGINT NOT NULL, valid_from BIGINT NOT NULL, "
        "valid_to BIGINT NOT NULL, expires BIGINT NOT NULL, importance DOUBLE PRECISION NOT NULL, "
        "pinned SMALLINT NOT NULL, sources TEXT NOT NULL, version BIGINT NOT NULL, "
        "change TEXT NOT NULL, changed_by TEXT NOT NULL";
    const std::string key(dialect.integer_key), blob(dialect.blob), keyed(dialect.keyed_table);
    return {
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        // Numbers are never given twice; the time of ids never goes back.
        "CREATE TABLE counter (only_row " + key +
            ", row_id BIGINT NOT NULL, sequence BIGINT NOT NULL, id_time BIGINT NOT NULL)",
        "INSERT INTO counter(only_row, row_id, sequence, id_time) VALUES (1, 0, 0, 0)",
        "CREATE TABLE tenant (tenant_id " + key + ", name TEXT NOT NULL UNIQUE)",
        "CREATE TABLE model (model_id " + key + ", name TEXT NOT NULL UNIQUE)",
        "CREATE TABLE entry (row_id " + key + ", " + columns + ")",
        "CREATE INDEX entry_created ON entry(tenant_id, created, row_id) WHERE state = 0",
        "CREATE INDEX entry_sequence ON entry(tenant_id, sequence)",
        "CREATE INDEX entry_expires ON entry(expires) WHERE state = 0 AND expires > 0",
        "CREATE INDEX entry_gone ON entry(recorded) WHERE state = 1 OR state = 2",
        "CREATE TABLE version (row_id BIGINT NOT NULL, " + columns +
            ", superseded BIGINT NOT NULL, PRIMARY KEY (row_id, version))",
        "CREATE INDEX version_superseded ON version(superseded)",
        "CREATE TABLE mark (tenant_id BIGINT NOT NULL, mark BIGINT NOT NULL, row_id BIGINT NOT "
        "NULL, PRIMARY KEY (tenant_id, mark, row_id))" +
            keyed,
        "CREATE TABLE embedding (embedding_key " + key + ", tenant_id BIGINT NOT NULL, vector " +
            blob + " NOT NULL)",
        "CREATE TABLE unembedded (row_id " + key + ", tenant_id BIGINT NOT NULL)",
        "CREATE TABLE access (row_id " + key +
            ", tenant_id BIGINT NOT NULL, access_count BIGINT NOT NULL, accessed BIGINT NOT NULL)",
        "CREATE TABLE idempotency (tenant_id BIGINT NOT NULL, request_key TEXT NOT NULL, "
        "written BIGINT NOT NULL, id TEXT NOT NULL, version BIGINT NOT NULL, "
        "PRIMARY KEY (tenant_id, request_key))" +
            keyed,
        "CREATE INDEX idempotency_written ON idempotency(written)",
        // Marks of rows up to this one are in the table; those of later ones may follow.
        "INSERT INTO meta(name, value) SELECT 'marked', CAST(row_id AS TEXT) FROM counter",
    };
}

std::span<const std::string> claim_steps() {
    static const std::vector<std::string> steps{
        "CREATE TABLE embedding_claim (row_id BIGINT PRIMARY KEY, claimer BIGINT NOT NULL, "
        "claimed_until BIGINT NOT NULL)",
    };
    return steps;
}

Result<StoredEntry> read_entry(const Row& row, std::string_view tenant_name) {
    StoredEntry stored;
    Entry& entry = stored.entry;
    int column = 0;
    const auto integer = [&] { return row.integer(column++); };
    const auto text = [&] { return std::string(row.text(column++)); };
    stored.row = integer();
    stored.tenant = integer();
    stored.state = static_cast<RowState>(integer());
    stored.sequence = integer();
    entry.id = text();
    entry.type = static_cast<MemoryType>(integer());
    entry.scope.tenant = tenant_name;
    entry.scope.user = text();
    entry.scope.agent = text();
    entry.scope.session = text();
    entry.scope.run = text();
    entry.content = text();
    entry.speaker = text();
    entry.media.kind = static_cast<Media::Kind>(integer());
    entry.media.uri = text();
    const auto damaged = [&](base::Error error) {
        return fail(Code::data_loss, "row {} of tenant {}: {}; restore it from a backup",
                    stored.row, tenant_name, error.message);
    };
    auto metadata = metadata_from(row.text(column++));
    if (!metadata) return damaged(metadata.error());
    entry.metadata = std::move(*metadata);
    entry.created_unix_ms = integer();
    entry.recorded_unix_ms = integer();
    entry.valid_from_unix_ms = integer();
    entry.valid_to_unix_ms = integer();
    entry.expires_unix_ms = integer();
    entry.importance = static_cast<float>(row.real(column++));
    entry.pinned = integer() != 0;
    auto sources = sources_from(row.text(column++));
    if (!sources) return damaged(sources.error());
    entry.sources = std::move(*sources);
    entry.version = static_cast<std::uint32_t>(integer());
    stored.change = text();
    stored.by = text();
    entry.access_count = static_cast<std::uint64_t>(integer());
    entry.accessed_unix_ms = integer();
    return stored;
}

EntryParameters::EntryParameters(const StoredEntry& stored)
    : metadata_(stored.entry.metadata.empty() ? "" : base::to_text(stored.entry.metadata)),
      sources_(sources_text(stored.entry.sources)) {
    const Entry& entry = stored.entry;
    const auto text = [](const std::string& value) { return std::string_view(value); };
    const auto number = [](auto value) { return static_cast<std::int64_t>(value); };
    parameters_ = {stored.row,
                   stored.tenant,
                   number(stored.state),
                   stored.sequence,
                   text(entry.id),
                   number(entry.type),
                   text(entry.scope.user),
                   text(entry.scope.agent),
                   text(entry.scope.session),
                   text(entry.scope.run),
                   text(entry.content),
                   text(entry.speaker),
                   number(entry.media.kind),
                   text(entry.media.uri),
                   text(metadata_),
                   entry.created_unix_ms,
                   entry.recorded_unix_ms,
                   entry.valid_from_unix_ms,
                   entry.valid_to_unix_ms,
                   entry.expires_unix_ms,
                   static_cast<double>(entry.importance),
                   number(entry.pinned),
                   text(sources_),
                   number(entry.version),
                   text(stored.change),
                   text(stored.by)};
}

}  // namespace memory::truth
