#include "memory/truth/rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

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
    "row_id",   "tenant_id", "state",    "sequence",   "id",         "type",       "user_name",
    "agent",    "session",   "run",      "content",    "speaker",    "media_kind", "media_uri",
    "metadata", "created",   "recorded", "valid_from", "valid_to",   "expires",    "importance",
    "pinned",   "sources",   "version",  "change",     "changed_by", "key_id",     "sealed"};

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

std::string insert_sql() {
    std::string places;
    for (std::size_t i = 1; i <= kColumns; ++i) places += fmt::format("{}${}", i > 1 ? "," : "", i);
    return "INSERT INTO entry(" + names("") + ") VALUES (" + places + ")";
}

std::string update_sql(std::string_view table) {
    std::string set;
    for (std::size_t i = 2; i < kColumns; ++i) {
        set += fmt::format("{}{} = ${}", i > 2 ? ", " : "", kNames[i], i + 1);
    }
    return fmt::format("UPDATE {} SET {} WHERE row_id = $1 AND tenant_id = $2", table, set);
}

/// What sealed bytes are bound to: a state of one entry.
std::string place_of(const StoredEntry& stored) {
    return fmt::format("entry {} {} {}", stored.tenant, stored.row, stored.entry.version);
}
std::string place_of(std::int64_t embedding_key) {
    return fmt::format("vector {}", embedding_key);
}

/// Runs `sql`, whose parameters are the columns in their order.
Result<void> write_columns(base::store::Transaction& tx, std::string_view sql,
                           const StoredEntry& stored, const Sealing& sealing) {
    const Entry& entry = stored.entry;
    const bool plain = stored.key == 0;
    const std::string sealed =
        plain ? "" : DG_TRY(sealing.seal(stored.key, said_of(entry), place_of(stored)));
    const std::string metadata =
        !plain || entry.metadata.empty() ? "" : base::to_text(entry.metadata);
    const std::string sources = sources_text(entry.sources);
    const auto text = [](const std::string& value) { return std::string_view(value); };
    const auto said = [&](const std::string& value) { return plain ? text(value) : ""; };
    const auto number = [](auto value) { return static_cast<std::int64_t>(value); };
    const std::array<Parameter, kColumns> columns{
        stored.row,
        stored.tenant,
        number(stored.state),
        stored.sequence,
        text(entry.id),
        number(entry.type),
        text(entry.scope.user),
        text(entry.scope.agent),
        text(entry.scope.session),
        text(entry.scope.run),
        said(entry.content),
        said(entry.speaker),
        number(entry.media.kind),
        said(entry.media.uri),
        text(metadata),
        entry.created_unix_ms,
        entry.recorded_unix_ms,
        entry.valid_from_unix_ms,
        entry.valid_to_unix_ms,
        entry.expires_unix_ms,
        static_cast<double>(entry.importance),
        number(entry.pinned),
        text(sources),
        number(entry.version),
        text(stored.change),
        text(stored.by),
        stored.key,
        plain ? Parameter(nullptr) : Parameter(base::store::Blob{sealed})};
    DG_TRY(tx.run(sql, std::span<const Parameter>(columns)));
    return {};
}

}  // namespace

const std::string kSelectColumns =
    "SELECT " + names("e.") + ", COALESCE(a.access_count, 0), COALESCE(a.accessed, 0)";
const std::string kFromEntry =
    " FROM entry e LEFT JOIN access a ON a.row_id = e.row_id AND a.tenant_id = e.tenant_id";
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
        "ALTER TABLE entry ADD COLUMN key_id BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE entry ADD COLUMN sealed " + blob,
        "ALTER TABLE version ADD COLUMN key_id BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE version ADD COLUMN sealed " + blob,
        "ALTER TABLE embedding ADD COLUMN key_id BIGINT NOT NULL DEFAULT 0",
        "CREATE INDEX entry_key ON entry(key_id, row_id) WHERE key_id <> 0",
        "CREATE INDEX entry_sourced ON entry(tenant_id, row_id) WHERE sources <> ''",
    };
}

std::span<const std::string> claim_steps() {
    static const std::vector<std::string> steps{
        "CREATE TABLE embedding_claim (row_id BIGINT PRIMARY KEY, claimer BIGINT NOT NULL, "
        "claimed_until BIGINT NOT NULL)",
    };
    return steps;
}

Result<StoredEntry> read_entry(const Row& row, std::string_view tenant_name,
                               const Sealing& sealing) {
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
    stored.key = integer();
    const std::string_view sealed = row.text(column++);
    entry.access_count = static_cast<std::uint64_t>(integer());
    entry.accessed_unix_ms = integer();
    if (stored.key == 0) return stored;
    auto said = sealing.unseal(stored.key, sealed, place_of(stored));
    if (!said) return damaged(said.error());
    if (!*said) {
        stored.state = RowState::wiped;
        return stored;
    }
    if (auto read = read_said(**said, entry); !read) return damaged(read.error());
    return stored;
}

Result<void> insert_entry(base::store::Transaction& tx, const StoredEntry& stored,
                          const Sealing& sealing) {
    static const std::string kSql = insert_sql();
    return write_columns(tx, kSql, stored, sealing);
}

Result<void> update_entry(base::store::Transaction& tx, const StoredEntry& stored,
                          const Sealing& sealing) {
    static const std::string kSql = update_sql("entry");
    return write_columns(tx, kSql, stored, sealing);
}

Result<void> update_version(base::store::Transaction& tx, const StoredEntry& stored,
                            const Sealing& sealing) {
    static const std::string kSql = update_sql("version") + " AND version = $24";
    static_assert(kNames[23] == "version");
    return write_columns(tx, kSql, stored, sealing);
}

Result<void> write_vector(base::store::Transaction& tx, std::int64_t embedding_key,
                          std::int64_t tenant, KeyId key, std::string_view half,
                          const Sealing& sealing) {
    const std::string sealed =
        key == 0 ? "" : DG_TRY(sealing.seal(key, half, place_of(embedding_key)));
    DG_TRY(
        tx.run("INSERT INTO embedding(embedding_key, tenant_id, vector, key_id) VALUES ($1, $2, "
               "$3, $4) ON CONFLICT (embedding_key) DO UPDATE SET vector = excluded.vector, key_id "
               "= excluded.key_id",
               {embedding_key, tenant, base::store::Blob{key == 0 ? half : sealed}, key}));
    return {};
}

Result<std::string> read_vector(std::int64_t embedding_key, KeyId key, std::string_view kept,
                                const Sealing& sealing) {
    if (key == 0) return std::string(kept);
    auto half = DG_TRY(sealing.unseal(key, kept, place_of(embedding_key)));
    return half ? std::move(*half) : std::string();
}

}  // namespace memory::truth
