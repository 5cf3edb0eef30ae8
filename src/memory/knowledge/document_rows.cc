#include "memory/knowledge/document_rows.h"

#include "base/json/json.h"

namespace memory::knowledge {
namespace {

namespace json = base::json;
using base::Result;
using base::store::Row;
using base::store::Transaction;

constexpr std::string_view kDocument =
    "d.base, d.id, d.uri, d.name, d.title, d.media_type, d.labels, d.metadata, d.sha256, d.bytes,"
    " d.text_bytes, d.pages, d.passages, d.version, d.added, d.changed, d.warnings";
constexpr int kDocumentColumns = 17;
constexpr std::string_view kPassage =
    "p.memory, p.hash, p.begin_at, p.end_at, p.page, p.place_name, p.header, p.section,"
    " p.context_bytes, p.own_text";

std::int64_t number(std::uint64_t value) {
    return static_cast<std::int64_t>(value);
}

std::string texts_json(const std::vector<std::string>& texts) {
    json::array out;
    for (const std::string& text : texts) out.push_back(json::string(text));
    return base::to_text(out);
}

std::vector<std::string> texts_of(std::string_view text) {
    std::vector<std::string> out;
    const auto parsed = base::parse_json(text);
    if (!parsed || !parsed->is_array()) return out;
    for (const json::value& one : parsed->get_array()) {
        if (one.is_string()) out.emplace_back(one.get_string());
    }
    return out;
}

Document read_document(const Row& row, int at = 0) {
    Document out;
    out.base = row.text(at);
    out.id = row.text(at + 1);
    out.uri = row.text(at + 2);
    out.name = row.text(at + 3);
    out.title = row.text(at + 4);
    out.media_type = row.text(at + 5);
    out.labels = texts_of(row.text(at + 6));
    if (const auto parsed = base::parse_json(row.text(at + 7)); parsed && parsed->is_object()) {
        out.metadata = parsed->get_object();
    }
    out.sha256 = row.text(at + 8);
    out.bytes = static_cast<std::uint64_t>(row.integer(at + 9));
    out.text_bytes = static_cast<std::uint64_t>(row.integer(at + 10));
    out.pages = static_cast<std::uint32_t>(row.integer(at + 11));
    out.passages = static_cast<std::uint32_t>(row.integer(at + 12));
    out.version = static_cast<std::uint32_t>(row.integer(at + 13));
    out.added_unix_ms = row.integer(at + 14);
    out.changed_unix_ms = row.integer(at + 15);
    out.warnings = texts_of(row.text(at + 16));
    return out;
}

PassageRow read_passage(const Row& row, int at = 0) {
    PassageRow out;
    out.memory = row.text(at);
    out.hash = row.text(at + 1);
    out.begin = static_cast<std::uint64_t>(row.integer(at + 2));
    out.end = static_cast<std::uint64_t>(row.integer(at + 3));
    out.page = static_cast<std::uint32_t>(row.integer(at + 4));
    out.place = row.text(at + 5);
    out.header = row.text(at + 6);
    out.section = texts_of(row.text(at + 7));
    out.context_bytes = static_cast<std::uint32_t>(row.integer(at + 8));
    out.own_text = row.text(at + 9);
    return out;
}

std::string layout_json(const DocumentDetail& detail) {
    json::array outline, pages;
    for (const OutlineItem& item : detail.outline) {
        outline.push_back(json::array{item.title, item.level, item.page, item.begin});
    }
    for (std::size_t i = 0; i < detail.page_begins.size(); ++i) {
        pages.push_back(json::array{detail.page_begins[i], detail.page_names[i]});
    }
    return base::to_text(
        json::object{{"outline", std::move(outline)}, {"pages", std::move(pages)}});
}

void read_layout(std::string_view text, DocumentDetail& detail) {
    const auto parsed = base::parse_json(text);
    if (!parsed || !parsed->is_object()) return;
    const auto list = [&](std::string_view name) {
        const json::value* value = parsed->get_object().if_contains(name);
        return value != nullptr && value->is_array() ? value->get_array() : json::array();
    };
    const auto at = [](const json::value& row, std::size_t column) {
        return row.as_array().at(column).to_number<std::uint64_t>();
    };
    for (const json::value& row : list("outline")) {
        detail.outline.push_back({std::string(row.as_array().at(0).as_string()),
                                  static_cast<std::uint32_t>(at(row, 1)),
                                  static_cast<std::uint32_t>(at(row, 2)), at(row, 3)});
    }
    for (const json::value& row : list("pages")) {
        detail.page_begins.push_back(at(row, 0));
        detail.page_names.emplace_back(row.as_array().at(1).as_string());
    }
}

const std::string& select_document(std::string_view where) {
    static const std::string kById = "SELECT " + std::string(kDocument) +
                                     " FROM knowledge_document d WHERE d.tenant = $1 AND d.base = "
                                     "$2 AND d.id = $3";
    static const std::string kByUri = "SELECT " + std::string(kDocument) +
                                      " FROM knowledge_document d WHERE d.tenant = $1 AND d.base = "
                                      "$2 AND d.uri = $3 ORDER BY d.id LIMIT 1";
    return where == "id" ? kById : kByUri;
}

Result<std::optional<Document>> load_one(Transaction& tx, const std::string& sql,
                                         std::string_view tenant, std::string_view base,
                                         std::string_view key) {
    std::optional<Document> found;
    DG_TRY(tx.query(sql, {tenant, base, key}, [&](const Row& row) {
        found = read_document(row);
        return false;
    }));
    return found;
}

}  // namespace

std::vector<std::string> schema_steps(const base::store::Dialect&) {
    return {
        "CREATE TABLE knowledge_document(tenant TEXT NOT NULL, base TEXT NOT NULL, id TEXT NOT "
        "NULL, uri TEXT NOT NULL, name TEXT NOT NULL, title TEXT NOT NULL, media_type TEXT NOT "
        "NULL, labels TEXT NOT NULL, metadata TEXT NOT NULL, sha256 TEXT NOT NULL, bytes BIGINT "
        "NOT NULL, text_bytes BIGINT NOT NULL, pages BIGINT NOT NULL, passages BIGINT NOT NULL, "
        "version BIGINT NOT NULL, added BIGINT NOT NULL, changed BIGINT NOT NULL, warnings TEXT "
        "NOT NULL, PRIMARY KEY (tenant, base, id))",
        "CREATE INDEX knowledge_document_uri ON knowledge_document(tenant, base, uri)",
        "CREATE TABLE knowledge_text(tenant TEXT NOT NULL, base TEXT NOT NULL, id TEXT NOT NULL, "
        "content TEXT NOT NULL, layout TEXT NOT NULL, PRIMARY KEY (tenant, base, id))",
        "CREATE TABLE knowledge_passage(tenant TEXT NOT NULL, base TEXT NOT NULL, document TEXT "
        "NOT NULL, ordinal BIGINT NOT NULL, memory TEXT NOT NULL, hash TEXT NOT NULL, begin_at "
        "BIGINT NOT NULL, end_at BIGINT NOT NULL, page BIGINT NOT NULL, place_name TEXT NOT NULL, "
        "header TEXT NOT NULL, section TEXT NOT NULL, context_bytes BIGINT NOT NULL, own_text TEXT "
        "NOT NULL, PRIMARY KEY (tenant, base, document, ordinal))",
        "CREATE INDEX knowledge_passage_memory ON knowledge_passage(tenant, memory)",
        "CREATE TABLE knowledge_statement(tenant TEXT NOT NULL, base TEXT NOT NULL, document TEXT "
        "NOT NULL, ordinal BIGINT NOT NULL, subject TEXT NOT NULL, attribute TEXT NOT NULL, "
        "match_key TEXT NOT NULL, kind BIGINT NOT NULL, said TEXT NOT NULL, normal TEXT NOT NULL, "
        "quote TEXT NOT NULL, section TEXT NOT NULL, place_name TEXT NOT NULL, page BIGINT NOT "
        "NULL, begin_at BIGINT NOT NULL, end_at BIGINT NOT NULL, PRIMARY KEY (tenant, base, "
        "document, ordinal))"};
}

Result<std::optional<Document>> load_document(Transaction& tx, const Place& place) {
    return load_one(tx, select_document("id"), place.tenant, place.base, place.id);
}

Result<std::optional<Document>> load_by_uri(Transaction& tx, std::string_view tenant,
                                            std::string_view base, std::string_view uri) {
    return load_one(tx, select_document("uri"), tenant, base, uri);
}

Result<void> each_document(Transaction& tx, std::string_view tenant, std::string_view base,
                           std::string_view after, const std::function<bool(Document&&)>& each) {
    static const std::string kSql = "SELECT " + std::string(kDocument) +
                                    " FROM knowledge_document d WHERE d.tenant = $1 AND ($2 = '' "
                                    "OR d.base = $2) AND d.id > $3 ORDER BY d.base, d.id";
    return tx.query(kSql, {tenant, base, after},
                    [&](const Row& row) { return each(read_document(row)); });
}

Result<DocumentDetail> load_detail(Transaction& tx, const Place& place, Document document) {
    DocumentDetail detail{.document = std::move(document)};
    DG_TRY(tx.query("SELECT layout FROM knowledge_text WHERE tenant = $1 AND base = $2 AND id = $3",
                    {place.tenant, place.base, place.id}, [&](const Row& row) {
                        read_layout(row.text(0), detail);
                        return false;
                    }));
    return detail;
}

Result<std::string> load_text(Transaction& tx, const Place& place) {
    std::string text;
    DG_TRY(
        tx.query("SELECT content FROM knowledge_text WHERE tenant = $1 AND base = $2 AND id = "
                 "$3",
                 {place.tenant, place.base, place.id}, [&](const Row& row) {
                     text = row.text(0);
                     return false;
                 }));
    return text;
}

Result<std::vector<PassageRow>> load_passages(Transaction& tx, const Place& place) {
    static const std::string kSql = "SELECT " + std::string(kPassage) +
                                    " FROM knowledge_passage p WHERE p.tenant = $1 AND p.base = $2 "
                                    "AND p.document = $3 ORDER BY p.ordinal";
    std::vector<PassageRow> rows;
    DG_TRY(tx.query(kSql, {place.tenant, place.base, place.id}, [&](const Row& row) {
        rows.push_back(read_passage(row));
        return true;
    }));
    return rows;
}

Result<std::vector<std::pair<PassageRow, Document>>> find_passage(Transaction& tx,
                                                                  std::string_view tenant,
                                                                  const MemoryId& id) {
    static const std::string kSql =
        "SELECT " + std::string(kDocument) + ", " + std::string(kPassage) +
        " FROM knowledge_passage p JOIN knowledge_document d ON d.tenant = p.tenant AND d.base = "
        "p.base AND d.id = p.document WHERE p.tenant = $1 AND p.memory = $2 ORDER BY p.ordinal";
    std::vector<std::pair<PassageRow, Document>> rows;
    DG_TRY(tx.query(kSql, {tenant, std::string_view(id)}, [&](const Row& row) {
        rows.emplace_back(read_passage(row, kDocumentColumns), read_document(row));
        return true;
    }));
    return rows;
}

Result<void> each_statement(Transaction& tx, std::string_view tenant, std::string_view base,
                            const std::function<void(StatementRow&&)>& each) {
    return tx.query(
        "SELECT base, document, subject, attribute, match_key, kind, said, normal, quote, section, "
        "place_name, page, begin_at, end_at FROM knowledge_statement WHERE tenant = $1 AND ($2 = "
        "'' OR base = $2) ORDER BY base, document, ordinal",
        {tenant, base}, [&](const Row& row) {
            StatementRow one;
            one.base = row.text(0);
            one.document = row.text(1);
            one.subject = row.text(2);
            one.attribute = row.text(3);
            one.key = row.text(4);
            one.kind = static_cast<Statement::Kind>(row.integer(5));
            one.value = row.text(6);
            one.normal = row.text(7);
            one.quote = row.text(8);
            one.section = texts_of(row.text(9));
            one.place = row.text(10);
            one.page = static_cast<std::uint32_t>(row.integer(11));
            one.begin = static_cast<std::uint64_t>(row.integer(12));
            one.end = static_cast<std::uint64_t>(row.integer(13));
            each(std::move(one));
            return true;
        });
}

Result<void> each_text(Transaction& tx, const std::function<void(std::string_view)>& each) {
    const auto read = [&](const Row& row) {
        each(row.text(0));
        return true;
    };
    for (const char* sql :
         {"SELECT content FROM knowledge_text", "SELECT own_text FROM knowledge_passage",
          "SELECT header FROM knowledge_passage", "SELECT quote FROM knowledge_statement"}) {
        DG_TRY(tx.query(sql, {}, read));
    }
    return {};
}

Result<void> erase_document(Transaction& tx, const Place& place) {
    for (const char* sql :
         {"DELETE FROM knowledge_statement WHERE tenant = $1 AND base = $2 AND document = $3",
          "DELETE FROM knowledge_passage WHERE tenant = $1 AND base = $2 AND document = $3",
          "DELETE FROM knowledge_text WHERE tenant = $1 AND base = $2 AND id = $3",
          "DELETE FROM knowledge_document WHERE tenant = $1 AND base = $2 AND id = $3"}) {
        DG_TRY(tx.run(sql, {place.tenant, place.base, place.id}));
    }
    return {};
}

Result<void> insert_document(Transaction& tx, const Place& place, const DocumentDetail& detail,
                             std::string_view text, const std::vector<PassageRow>& passages,
                             const std::vector<StatementRow>& statements) {
    const Document& document = detail.document;
    const std::string labels = texts_json(document.labels);
    const std::string metadata = base::to_text(document.metadata);
    const std::string warnings = texts_json(document.warnings);
    DG_TRY(tx.run(
        "INSERT INTO knowledge_document(tenant, base, id, uri, name, title, media_type, labels, "
        "metadata, sha256, bytes, text_bytes, pages, passages, version, added, changed, warnings) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        {place.tenant, place.base, place.id, document.uri, document.name, document.title,
         document.media_type, labels, metadata, document.sha256, number(document.bytes),
         number(document.text_bytes), number(document.pages), number(document.passages),
         number(document.version), document.added_unix_ms, document.changed_unix_ms, warnings}));
    const std::string layout = layout_json(detail);
    DG_TRY(
        tx.run("INSERT INTO knowledge_text(tenant, base, id, content, layout) VALUES ($1, $2, "
               "$3, $4, $5)",
               {place.tenant, place.base, place.id, text, layout}));
    std::int64_t ordinal = 0;
    for (const PassageRow& row : passages) {
        const std::string section = texts_json(row.section);
        DG_TRY(tx.run(
            "INSERT INTO knowledge_passage(tenant, base, document, ordinal, memory, hash, "
            "begin_at, "
            "end_at, page, place_name, header, section, context_bytes, own_text) VALUES ($1, $2, "
            "$3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            {place.tenant, place.base, place.id, ordinal++, row.memory, row.hash, number(row.begin),
             number(row.end), number(row.page), row.place, row.header, section,
             number(row.context_bytes), row.own_text}));
    }
    ordinal = 0;
    for (const StatementRow& row : statements) {
        const std::string section = texts_json(row.section);
        DG_TRY(tx.run(
            "INSERT INTO knowledge_statement(tenant, base, document, ordinal, subject, attribute, "
            "match_key, kind, said, normal, quote, section, place_name, page, begin_at, end_at) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
            {place.tenant, place.base, place.id, ordinal++, row.subject, row.attribute, row.key,
             static_cast<std::int64_t>(row.kind), row.value, row.normal, row.quote, section,
             row.place, number(row.page), number(row.begin), number(row.end)}));
    }
    return {};
}

}  // namespace memory::knowledge
