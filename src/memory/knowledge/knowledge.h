#pragma once
// Knowledge bases: documents made searchable, each passage cited to its page and place.
// [AInfra 2.2.3]
//
//   auto& bases = store->knowledge();
//   DG_TRY(bases.put("t", {.base = "handbook", .name = "leave.pdf", .bytes = bytes}, {}));
//   const Found found = DG_TRY(bases.search({.tenant = "t", .text = "parental leave"}));
//
// A document is there with all its passages or not at all, for readers and after a crash. A
// document with labels exists only for callers who hold one of them: in searches, lists, counts,
// outlines and conflicts alike. Passages are memories of a tenant of their own (passage_tenant), so
// that search, embeddings and databases are those of memories. Thread-safe.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "memory/entry.h"
#include "memory/filter.h"

namespace memory::knowledge {

/// Labels that a caller holds.
using Labels = std::vector<std::string>;

struct NewDocument {
    std::string base;        ///< made by its first document; 1 to 128 bytes, no control characters
    std::string id = {};     ///< empty: made from `uri`, else from the bytes
    std::string uri = {};    ///< where it comes from; never fetched
    std::string name = {};   ///< of the file: a hint at its type, and its title at last
    std::string title = {};  ///< empty: as the document says
    std::string media_type = {};  ///< empty: told from the bytes and the name
    std::string bytes = {};
    Labels labels = {};                ///< empty: for everybody in the tenant
    base::json::object metadata = {};  ///< on every passage, too, for filters
};

struct Document {
    std::string id, base, uri, name, title, media_type;
    Labels labels;
    base::json::object metadata;
    std::string sha256;  ///< of the bytes it was made from
    std::uint64_t bytes = 0, text_bytes = 0;
    std::uint32_t pages = 0;  ///< pages, sheets or slides; 0: has none
    std::uint32_t passages = 0;
    std::uint32_t version = 1;  ///< counts its replacements
    UnixMs added_unix_ms = 0, changed_unix_ms = 0;
    std::vector<std::string> warnings;  ///< what could not be read of it
};

struct Stored {
    Document document;
    enum class How : std::uint8_t { added, replaced, unchanged } how = How::added;
    std::uint32_t passages_kept = 0;  ///< with their ids and embeddings
    std::uint32_t passages_added = 0, passages_removed = 0;
};

/// Where in a document something stands. Bytes of its extracted text, half open.
struct Citation {
    std::string document, base, title, uri;
    std::uint32_t page = 0;                 ///< from 1; 0: the document has no pages
    std::string place = {};                 ///< of that page: the sheet's or slide's name
    std::vector<std::string> section = {};  ///< headings above it, outermost first
    std::uint64_t begin = 0, end = 0;
    bool operator==(const Citation&) const = default;
};

struct OutlineItem {
    std::string title;
    std::uint32_t level = 1, page = 0;
    std::uint64_t begin = 0;
};

struct DocumentDetail {
    Document document;
    std::vector<OutlineItem> outline = {};
    /// Where each page begins in the text; pages.size() is document.pages.
    std::vector<std::uint64_t> page_begins = {};
    std::vector<std::string> page_names = {};
};

struct Passage {
    MemoryId id;
    Citation at;
    std::string text;         ///< of the document, from at.begin to at.end
    std::string header = {};  ///< of the table that it continues
    float score = 0;
    std::vector<Citation> also = {};  ///< where the same words stand in other documents
};

struct Question {
    std::string tenant;
    std::string base = {};      ///< empty: every base
    std::string document = {};  ///< empty: every document
    std::string text;
    Labels labels = {};
    std::optional<MetadataExpression> metadata = {};
    std::uint32_t limit = 10;      ///< 1..100
    std::uint32_t tokens_max = 0;  ///< of all passages; 0: no budget
};

struct Found {
    std::vector<Passage> passages = {};
    float confidence = 0;  ///< 0..1; low: better say nothing
    bool embedding_missing = false;
};

struct BaseInfo {
    std::string name;
    std::uint64_t documents = 0, passages = 0, text_bytes = 0;
    UnixMs changed_unix_ms = 0;
};

struct DocumentPage {
    std::vector<Document> documents = {};  ///< by id
    std::string next = {};
};

/// What one document says of one attribute of one subject.
struct Statement {
    std::string subject, attribute;
    enum class Kind : std::uint8_t { number, time, text } kind = Kind::number;
    std::string value;   ///< as it is written
    std::string normal;  ///< in base units, as a date, or folded: what is compared
    std::string quote;   ///< the sentence or row
    Citation at;
};

/// Statements of different documents about one thing that cannot all be so.
struct Conflict {
    std::string subject, attribute;
    Statement::Kind kind = Statement::Kind::number;
    std::vector<Statement> statements = {};  ///< by value, then by document
};

class KnowledgeBases {
public:
    virtual ~KnowledgeBases() = default;

    /// Parses, then adds or replaces in one commit. A document with the same id, or the same URI in
    /// its base, is replaced: passages that stayed keep their ids and embeddings. Errors: what
    /// check_document and the parser say; already_exists (the id or URI is that of a document that
    /// the caller may not see), resource_exhausted.
    virtual base::Result<Stored> put(std::string_view tenant, const NewDocument& document,
                                     const Labels& held, std::string_view by = {}) = 0;
    /// Errors: not_found, also for one that the caller may not see.
    virtual base::Result<Document> remove(std::string_view tenant, std::string_view base,
                                          std::string_view id, const Labels& held,
                                          std::string_view by = {}) = 0;
    virtual base::Result<DocumentDetail> get(std::string_view tenant, std::string_view base,
                                             std::string_view id, const Labels& held) = 0;
    /// Its extracted text.
    virtual base::Result<std::string> text(std::string_view tenant, std::string_view base,
                                           std::string_view id, const Labels& held) = 0;
    virtual base::Result<std::vector<BaseInfo>> bases(std::string_view tenant,
                                                      const Labels& held) = 0;
    virtual base::Result<DocumentPage> list(std::string_view tenant, std::string_view base,
                                            const Labels& held, std::uint32_t limit,
                                            std::string_view cursor = {}) = 0;
    virtual base::Result<Found> search(const Question& question) = 0;
    /// Across the documents of `base` (empty: of all) that the caller may see.
    virtual base::Result<std::vector<Conflict>> conflicts(std::string_view tenant,
                                                          std::string_view base, const Labels& held,
                                                          std::uint32_t limit) = 0;
};

/// What the names of tenants whose memories are passages end in.
inline constexpr std::string_view kPassages = " knowledge";
/// The tenant whose memories are the passages of `tenant`. No request can name it: it has a space.
std::string passage_tenant(std::string_view tenant);
bool is_passage_tenant(std::string_view tenant);

/// Errors: invalid_argument naming the field.
base::Result<void> check_document(const NewDocument& document);

}  // namespace memory::knowledge
