#include "memory/knowledge/knowledge_store.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/core/utf8.h"
#include "base/files/sha256.h"
#include "memory/knowledge/chunk.h"
#include "memory/knowledge/document_rows.h"
#include "memory/knowledge/statements.h"

namespace memory::knowledge {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::Result;
using base::store::Transaction;

namespace {

constexpr std::size_t kNameBytesMax = 128, kUriBytesMax = 2048, kTitleBytesMax = 512;
constexpr std::size_t kLabelsMax = 64;
constexpr std::size_t kDocumentBytesMax = 256u << 20;
constexpr std::size_t kPassagesMax = 40'000;
constexpr std::uint32_t kLimitMax = 1'000, kHitsMax = 100;
constexpr int kTriesMax = 5;

bool sees(const Labels& held, const Labels& needed) {
    return needed.empty() || std::ranges::any_of(needed, [&](const std::string& label) {
               return std::ranges::find(held, label) != held.end();
           });
}

Result<void> check_name(std::string_view field, std::string_view text, std::size_t bytes_max,
                        bool may_be_empty) {
    if (text.empty() && may_be_empty) return {};
    const bool plain = std::ranges::none_of(
        text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (!text.empty() && text.size() <= bytes_max && plain &&
        base::utf8_valid_prefix_bytes(text) == text.size()) {
        return {};
    }
    return fail_on(std::string(field), Code::invalid_argument,
                   "'{}' must be {} to {} bytes of UTF-8 without control characters; it has {}",
                   field, may_be_empty ? 0 : 1, bytes_max, text.size());
}

std::unexpected<base::Error> no_document(std::string_view base, std::string_view id) {
    return fail_on("id", Code::not_found, "there is no document '{}' in the knowledge base '{}'",
                   id.substr(0, 64), base.substr(0, 64));
}

std::string id_of(const NewDocument& document, const std::string& sha256) {
    if (!document.id.empty()) return document.id;
    constexpr std::size_t kDigits = 24;
    const std::string& what = document.uri.empty() ? sha256 : document.uri;
    return "doc-" + base::sha256_hex(document.base + '\n' + what).substr(0, kDigits);
}

/// What every passage of a document carries: the caller's metadata, and who may see it.
json::object passage_metadata(const Document& document) {
    json::object out = document.metadata;
    if (!document.labels.empty()) {
        json::array labels;
        for (const std::string& label : document.labels) labels.push_back(json::string(label));
        out["labels"] = std::move(labels);
    }
    return out;
}

/// Of a passage, or of a statement.
template <class Row>
Citation citation_of(const Document& document, const Row& row) {
    return {.document = document.id,
            .base = document.base,
            .title = document.title,
            .uri = document.uri,
            .page = row.page,
            .place = row.place,
            .section = row.section,
            .begin = row.begin,
            .end = row.end};
}

std::vector<OutlineItem> outline_of(const Parsed& parsed) {
    std::vector<OutlineItem> outline;
    for (const Block& block : parsed.blocks) {
        if (block.kind != BlockKind::heading) continue;
        const auto after =
            std::ranges::upper_bound(parsed.pages, block.begin, {}, &PageStart::begin);
        outline.push_back({parsed.text.substr(block.begin, block.end - block.begin), block.level,
                           static_cast<std::uint32_t>(after - parsed.pages.begin()), block.begin});
    }
    return outline;
}

/// A document ready to be written: what it says, cut, and which of its passages are new.
struct Prepared {
    DocumentDetail detail;
    std::string text;
    std::vector<PassageRow> passages;
    std::vector<std::string> contents;  ///< what is searched, of each passage
    std::vector<StatementRow> statements;
    json::object metadata;
};

Prepared prepare(Document document, Parsed parsed) {
    Prepared out;
    out.metadata = passage_metadata(document);
    const std::string metadata = base::to_text(out.metadata);
    for (Chunk& chunk : knowledge::chunk(parsed)) {
        std::string content = searched_text(chunk, document.title, parsed.text);
        PassageRow row;
        row.hash = base::sha256_hex(content + '\0' + metadata).substr(0, 32);
        row.begin = chunk.begin;
        row.end = chunk.end;
        row.page = chunk.page;
        row.place = std::move(chunk.place);
        row.header = std::move(chunk.header);
        row.section = std::move(chunk.section);
        row.context_bytes = static_cast<std::uint32_t>(content.size() - (chunk.end - chunk.begin));
        out.passages.push_back(std::move(row));
        out.contents.push_back(std::move(content));
    }
    out.statements = find_statements(parsed);
    document.text_bytes = parsed.text.size();
    document.pages = static_cast<std::uint32_t>(parsed.pages.size());
    document.passages = static_cast<std::uint32_t>(out.passages.size());
    document.warnings = std::move(parsed.warnings);
    out.detail.outline = outline_of(parsed);
    for (PageStart& page : parsed.pages) {
        out.detail.page_begins.push_back(page.begin);
        out.detail.page_names.push_back(std::move(page.name));
    }
    out.detail.document = std::move(document);
    out.text = std::move(parsed.text);
    return out;
}

class Bases final : public KnowledgeBases {
public:
    Bases(PassageStore& passages, std::unique_ptr<DocumentParser> parser, const base::Clock& clock)
        : passages_(passages), parser_(std::move(parser)), clock_(clock) {}

    Result<Stored> put(std::string_view tenant, const NewDocument& document, const Labels& held,
                       std::string_view by) override;
    Result<Document> remove(std::string_view tenant, std::string_view base, std::string_view id,
                            const Labels& held, std::string_view by) override;
    Result<DocumentDetail> get(std::string_view tenant, std::string_view base, std::string_view id,
                               const Labels& held) override;
    Result<std::string> text(std::string_view tenant, std::string_view base, std::string_view id,
                             const Labels& held) override;
    Result<std::vector<BaseInfo>> bases(std::string_view tenant, const Labels& held) override;
    Result<DocumentPage> list(std::string_view tenant, std::string_view base, const Labels& held,
                              std::uint32_t limit, std::string_view cursor) override;
    Result<Found> search(const Question& question) override;
    Result<std::vector<Conflict>> conflicts(std::string_view tenant, std::string_view base,
                                            const Labels& held, std::uint32_t limit) override;

private:
    Result<void> read(std::string_view tenant, const base::store::Work& work) {
        return passages_.store_of(tenant).read(work);
    }
    /// The document if it is there and the caller may see it.
    Result<Document> visible(Transaction& tx, const Place& place, const Labels& held);
    /// The one that `document` replaces, if any.
    Result<std::optional<Document>> replaced(const Place& place, const NewDocument& document,
                                             const Labels& held);
    Result<Stored> write(const Place& place, const Prepared& prepared,
                         const std::optional<Document>& before, std::string_view by);

    PassageStore& passages_;
    const std::unique_ptr<DocumentParser> parser_;
    const base::Clock& clock_;
};

Result<Document> Bases::visible(Transaction& tx, const Place& place, const Labels& held) {
    auto found = DG_TRY(load_document(tx, place));
    if (!found || !sees(held, found->labels)) return no_document(place.base, place.id);
    return std::move(*found);
}

Result<std::optional<Document>> Bases::replaced(const Place& place, const NewDocument& document,
                                                const Labels& held) {
    std::optional<Document> before;
    DG_TRY(read(place.tenant, [&](Transaction& tx) -> Result<void> {
        before = DG_TRY(load_document(tx, place));
        if (document.uri.empty()) return {};
        const auto same_uri = DG_TRY(load_by_uri(tx, place.tenant, place.base, document.uri));
        if (!same_uri || same_uri->id == place.id) return {};
        if (document.id.empty() && !before) {
            before = same_uri;
            return {};
        }
        return fail_on("uri", Code::already_exists,
                       "another document of '{}' has this URI; remove it first, or leave the id "
                       "out to replace it",
                       place.base);
    }));
    if (before && !sees(held, before->labels)) {
        return fail_on("id", Code::already_exists,
                       "a document with this id or URI exists that these labels do not open; give "
                       "one of its labels, or another id");
    }
    return before;
}

Result<Stored> Bases::put(std::string_view tenant, const NewDocument& document, const Labels& held,
                          std::string_view by) {
    DG_TRY(check_document(document));
    Document made;
    made.base = document.base;
    made.uri = document.uri;
    made.name = document.name;
    made.labels = document.labels;
    std::ranges::sort(made.labels);
    made.labels.erase(std::unique(made.labels.begin(), made.labels.end()), made.labels.end());
    made.metadata = document.metadata;
    made.bytes = document.bytes.size();
    made.sha256 = base::sha256_hex(document.bytes);
    made.id = id_of(document, made.sha256);

    Place place{passage_tenant(tenant), document.base, made.id};
    std::optional<Prepared> prepared;
    for (int tries = 1;; ++tries) {
        const auto before = DG_TRY(replaced(place, document, held));
        if (before) place.id = made.id = before->id;
        const UnixMs now = clock_.unix_ns() / 1'000'000;
        if (before && before->sha256 == made.sha256 && before->labels == made.labels &&
            before->metadata == made.metadata && before->name == made.name &&
            before->uri == made.uri &&
            (document.title.empty() || before->title == document.title) &&
            (document.media_type.empty() || before->media_type == document.media_type)) {
            return Stored{.document = *before,
                          .how = Stored::How::unchanged,
                          .passages_kept = before->passages};
        }
        if (!prepared) {
            Parsed parsed = DG_TRY(parser_->parse(
                document.bytes, {.media_type = document.media_type, .name = document.name}));
            made.media_type = parsed.media_type;
            made.title = !document.title.empty()  ? document.title
                         : !parsed.title.empty()  ? parsed.title
                         : !document.name.empty() ? document.name
                         : !document.uri.empty()  ? document.uri
                                                  : made.id;
            prepared = prepare(made, std::move(parsed));
            if (prepared->passages.size() > kPassagesMax) {
                return fail_on("bytes", Code::payload_too_large,
                               "the document has {} passages; the most is {}; split it",
                               prepared->passages.size(), kPassagesMax);
            }
        }
        Document& kept = prepared->detail.document;
        kept.id = made.id;
        kept.version = before ? before->version + 1 : 1;
        kept.added_unix_ms = before ? before->added_unix_ms : now;
        kept.changed_unix_ms = now;
        auto stored = write(place, *prepared, before, by);
        // Another writer was first: what it wrote is read, and replaced in its turn.
        if (!stored && stored.error().code == Code::cancelled && tries < kTriesMax) continue;
        return stored;
    }
}

Result<Stored> Bases::write(const Place& place, const Prepared& prepared,
                            const std::optional<Document>& before, std::string_view by) {
    std::vector<PassageRow> old;
    if (before) {
        DG_TRY(read(place.tenant, [&](Transaction& tx) -> Result<void> {
            old = DG_TRY(load_passages(tx, place));
            return {};
        }));
    }
    std::map<std::string, const PassageRow*> known;
    for (const PassageRow& row : old) known.emplace(row.hash, &row);
    std::vector<PassageRow> rows = prepared.passages;
    std::vector<NewEntry> added;
    std::vector<std::size_t> added_rows;
    std::set<MemoryId> kept;
    Stored stored{.document = prepared.detail.document,
                  .how = before ? Stored::How::replaced : Stored::How::added};
    for (std::size_t i = 0; i < rows.size(); ++i) {
        if (const auto same = known.find(rows[i].hash); same != known.end()) {
            rows[i].memory = same->second->memory;
            rows[i].own_text = same->second->own_text;
            kept.insert(rows[i].memory);
            ++stored.passages_kept;
            continue;
        }
        added.push_back(
            {.type = MemoryType::semantic,
             .scope = {.tenant = place.tenant, .agent = place.base, .session = place.id},
             .content = prepared.contents[i],
             .metadata = prepared.metadata,
             .created_unix_ms = stored.document.changed_unix_ms,
             .pinned = true});
        added_rows.push_back(i);
    }
    std::set<MemoryId> gone;
    for (const PassageRow& row : old) {
        if (!kept.contains(row.memory)) gone.insert(row.memory);
    }
    stored.passages_added = static_cast<std::uint32_t>(added.size());
    stored.passages_removed = static_cast<std::uint32_t>(gone.size());
    const std::vector<MemoryId> gone_ids(gone.begin(), gone.end());
    DG_TRY(passages_.exchange(
        place.tenant, gone_ids, added, by,
        [&](Transaction& tx, const std::vector<Added>& made) -> Result<void> {
            const auto present = DG_TRY(load_document(tx, place));
            const std::uint32_t version = present ? present->version : 0;
            if (version != (before ? before->version : 0)) {
                return fail_on("id", Code::cancelled,
                               "document '{}' was changed by another at the same time; try again",
                               place.id);
            }
            for (std::size_t i = 0; i < made.size(); ++i) {
                PassageRow& row = rows[added_rows[i]];
                row.memory = made[i].id;
                row.own_text = made[i].how == Added::How::merged
                                   ? prepared.text.substr(row.begin, row.end - row.begin)
                                   : "";
            }
            DG_TRY(erase_document(tx, place));
            return insert_document(tx, place, prepared.detail, prepared.text, rows,
                                   prepared.statements);
        }));
    return stored;
}

Result<Document> Bases::remove(std::string_view tenant, std::string_view base, std::string_view id,
                               const Labels& held, std::string_view by) {
    const Place place{passage_tenant(tenant), std::string(base), std::string(id)};
    for (int tries = 1;; ++tries) {
        Document document;
        std::set<MemoryId> gone;
        DG_TRY(read(place.tenant, [&](Transaction& tx) -> Result<void> {
            document = DG_TRY(visible(tx, place, held));
            for (PassageRow& row : DG_TRY(load_passages(tx, place))) {
                gone.insert(std::move(row.memory));
            }
            return {};
        }));
        const std::vector<MemoryId> ids(gone.begin(), gone.end());
        auto done = passages_.exchange(
            place.tenant, ids, {}, by,
            [&](Transaction& tx, const std::vector<Added>&) -> Result<void> {
                const auto present = DG_TRY(load_document(tx, place));
                if (!present || present->version != document.version) {
                    return fail_on("id", Code::cancelled,
                                   "document '{}' was changed by another at the same time", id);
                }
                return erase_document(tx, place);
            });
        if (done) return document;
        if (done.error().code != Code::cancelled || tries >= kTriesMax) {
            return std::unexpected(std::move(done).error());
        }
    }
}

Result<DocumentDetail> Bases::get(std::string_view tenant, std::string_view base,
                                  std::string_view id, const Labels& held) {
    const Place place{passage_tenant(tenant), std::string(base), std::string(id)};
    DocumentDetail detail;
    DG_TRY(read(place.tenant, [&](Transaction& tx) -> Result<void> {
        detail = DG_TRY(load_detail(tx, place, DG_TRY(visible(tx, place, held))));
        return {};
    }));
    return detail;
}

Result<std::string> Bases::text(std::string_view tenant, std::string_view base, std::string_view id,
                                const Labels& held) {
    const Place place{passage_tenant(tenant), std::string(base), std::string(id)};
    std::string text;
    DG_TRY(read(place.tenant, [&](Transaction& tx) -> Result<void> {
        DG_TRY(visible(tx, place, held));
        text = DG_TRY(load_text(tx, place));
        return {};
    }));
    return text;
}

Result<std::vector<BaseInfo>> Bases::bases(std::string_view tenant, const Labels& held) {
    const std::string of = passage_tenant(tenant);
    std::vector<BaseInfo> out;
    DG_TRY(read(of, [&](Transaction& tx) {
        return each_document(tx, of, "", "", [&](Document&& document) {
            if (!sees(held, document.labels)) return true;
            if (out.empty() || out.back().name != document.base) {
                out.push_back({.name = document.base});
            }
            BaseInfo& base = out.back();
            ++base.documents;
            base.passages += document.passages;
            base.text_bytes += document.text_bytes;
            base.changed_unix_ms = std::max(base.changed_unix_ms, document.changed_unix_ms);
            return true;
        });
    }));
    return out;
}

Result<DocumentPage> Bases::list(std::string_view tenant, std::string_view base, const Labels& held,
                                 std::uint32_t limit, std::string_view cursor) {
    if (limit == 0 || limit > kLimitMax) {
        return fail_on("limit", Code::invalid_argument, "'limit' is {}, expected 1 to {}", limit,
                       kLimitMax);
    }
    DG_TRY(check_name("base", base, kNameBytesMax, false));
    const std::string of = passage_tenant(tenant);
    DocumentPage page;
    DG_TRY(read(of, [&](Transaction& tx) {
        return each_document(tx, of, base, cursor, [&](Document&& document) {
            if (!sees(held, document.labels)) return true;
            if (page.documents.size() == limit) {
                page.next = page.documents.back().id;
                return false;
            }
            page.documents.push_back(std::move(document));
            return true;
        });
    }));
    return page;
}

Result<Found> Bases::search(const Question& question) {
    if (question.limit == 0 || question.limit > kHitsMax) {
        return fail_on("limit", Code::invalid_argument, "'limit' is {}, expected 1 to {}",
                       question.limit, kHitsMax);
    }
    Query query;
    query.text = question.text;
    query.filter.scope = {.tenant = passage_tenant(question.tenant),
                          .agent = question.base,
                          .session = question.document};
    query.filter.labels = question.labels;
    query.filter.metadata = question.metadata;
    query.limit = question.limit;
    query.tokens_max = question.tokens_max;
    query.touch = false;
    const Answer answer = DG_TRY(passages_.search(query));
    Found found{.confidence = answer.confidence, .embedding_missing = answer.embedding_missing};
    DG_TRY(read(query.filter.scope.tenant, [&](Transaction& tx) -> Result<void> {
        for (const Hit& hit : answer.hits) {
            const auto places = DG_TRY(find_passage(tx, query.filter.scope.tenant, hit.entry.id));
            // One that was replaced since the index was asked has no place any more; one that
            // other labels need by now is not this caller's.
            if (places.empty() || !sees(question.labels, places.front().second.labels)) continue;
            const auto& [row, document] = places.front();
            Passage passage{.id = hit.entry.id,
                            .at = citation_of(document, row),
                            .text = row.own_text.empty()
                                        ? hit.entry.content.substr(row.context_bytes)
                                        : row.own_text,
                            .header = row.header,
                            .score = hit.score};
            const auto same = std::ranges::find(found.passages, passage.text, &Passage::text);
            if (same != found.passages.end()) {
                same->also.push_back(passage.at);
                continue;
            }
            for (std::size_t i = 1; i < places.size(); ++i) {
                passage.also.push_back(citation_of(places[i].second, places[i].first));
            }
            for (const MemoryId& id : hit.duplicates) {
                for (const auto& [twin, of] :
                     DG_TRY(find_passage(tx, query.filter.scope.tenant, id))) {
                    if (sees(question.labels, of.labels)) {
                        passage.also.push_back(citation_of(of, twin));
                    }
                }
            }
            found.passages.push_back(std::move(passage));
        }
        if (!found.passages.empty() || question.base.empty()) return {};
        // Nothing found and nothing there are different answers.
        bool there = false;
        DG_TRY(each_document(tx, query.filter.scope.tenant, question.base, "",
                             [&](Document&& document) {
                                 there = sees(question.labels, document.labels);
                                 return !there;
                             }));
        if (there) return {};
        return fail_on("base", Code::not_found,
                       "there is no knowledge base '{}'; `dougong knowledge ls` lists them",
                       question.base.substr(0, 64));
    }));
    return found;
}

Result<std::vector<Conflict>> Bases::conflicts(std::string_view tenant, std::string_view base,
                                               const Labels& held, std::uint32_t limit) {
    if (limit == 0 || limit > kLimitMax) {
        return fail_on("limit", Code::invalid_argument, "'limit' is {}, expected 1 to {}", limit,
                       kLimitMax);
    }
    const std::string of = passage_tenant(tenant);
    std::map<std::pair<std::string, std::string>, Document> documents;
    std::vector<StatementRow> rows;
    DG_TRY(read(of, [&](Transaction& tx) -> Result<void> {
        DG_TRY(each_document(tx, of, base, "", [&](Document&& document) {
            if (!sees(held, document.labels)) return true;
            documents.emplace(std::pair{document.base, document.id}, std::move(document));
            return true;
        }));
        return each_statement(tx, of, base, [&](StatementRow&& row) {
            if (documents.contains({row.base, row.document})) rows.push_back(std::move(row));
        });
    }));
    std::vector<Conflict> out;
    for (const auto& group : find_conflicts(std::move(rows))) {
        if (out.size() == limit) break;
        Conflict conflict{.subject = group.front().subject,
                          .attribute = group.front().attribute,
                          .kind = group.front().kind};
        for (const StatementRow& row : group) {
            const Document& document = documents.at({row.base, row.document});
            conflict.statements.push_back({.subject = row.subject,
                                           .attribute = row.attribute,
                                           .kind = row.kind,
                                           .value = row.value,
                                           .normal = row.normal,
                                           .quote = row.quote,
                                           .at = citation_of(document, row)});
        }
        out.push_back(std::move(conflict));
    }
    return out;
}

}  // namespace

std::string passage_tenant(std::string_view tenant) {
    return std::string(tenant) + std::string(kPassages);
}
bool is_passage_tenant(std::string_view tenant) {
    return tenant.ends_with(kPassages);
}

Result<void> check_document(const NewDocument& document) {
    DG_TRY(check_name("base", document.base, kNameBytesMax, false));
    DG_TRY(check_name("id", document.id, kNameBytesMax, true));
    DG_TRY(check_name("uri", document.uri, kUriBytesMax, true));
    DG_TRY(check_name("name", document.name, kTitleBytesMax, true));
    DG_TRY(check_name("title", document.title, kTitleBytesMax, true));
    DG_TRY(check_name("media_type", document.media_type, kNameBytesMax, true));
    if (document.labels.size() > kLabelsMax) {
        return fail_on("labels", Code::invalid_argument, "{} labels; the most is {}",
                       document.labels.size(), kLabelsMax);
    }
    for (const std::string& label : document.labels) {
        DG_TRY(check_name("labels", label, kNameBytesMax, false));
    }
    if (document.metadata.contains("labels")) {
        return fail_on("metadata", Code::invalid_argument,
                       "metadata has 'labels'; give them as labels of the document");
    }
    if (document.bytes.empty()) {
        return fail_on("bytes", Code::invalid_argument, "the document is empty");
    }
    if (document.bytes.size() > kDocumentBytesMax) {
        return fail_on("bytes", Code::payload_too_large,
                       "the document has {} bytes; the most is {}", document.bytes.size(),
                       kDocumentBytesMax);
    }
    return {};
}

Result<std::unique_ptr<KnowledgeBases>> make_knowledge_bases(PassageStore& passages,
                                                             std::unique_ptr<DocumentParser> parser,
                                                             const base::Clock& clock) {
    DG_TRY(passages.each_store([](base::store::Store& store) {
        const auto steps = schema_steps(store.dialect());
        return base::store::migrate(store, "knowledge", steps);
    }));
    return std::make_unique<Bases>(passages, std::move(parser), clock);
}

}  // namespace memory::knowledge
