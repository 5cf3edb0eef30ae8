#pragma once
// Documents, their passages and what they state, as rows. Every statement names the tenant, which
// is that of the passages.

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/store/store.h"
#include "memory/knowledge/knowledge.h"
#include "memory/knowledge/statements.h"

namespace memory::knowledge {

/// For base::store::migrate.
std::vector<std::string> schema_steps(const base::store::Dialect& dialect);

struct Place {
    std::string tenant, base, id;
};

struct PassageRow {
    MemoryId memory;
    std::string hash;  ///< of what is searched, and how
    std::uint64_t begin = 0, end = 0;
    std::uint32_t page = 0;
    std::string place, header;
    std::vector<std::string> section;
    std::uint32_t context_bytes = 0;  ///< of the memory's content, before the passage
    /// The passage, where its memory has nearly the same words as another one that took it in.
    std::string own_text;
};

/// Errors of each: the store's.
base::Result<std::optional<Document>> load_document(base::store::Transaction& tx,
                                                    const Place& place);
/// By its URI, in a base.
base::Result<std::optional<Document>> load_by_uri(base::store::Transaction& tx,
                                                  std::string_view tenant, std::string_view base,
                                                  std::string_view uri);
/// Of `base` ("": of all) with ids after `after`, by base and id; stops when `each` says false.
base::Result<void> each_document(base::store::Transaction& tx, std::string_view tenant,
                                 std::string_view base, std::string_view after,
                                 const std::function<bool(Document&&)>& each);
base::Result<DocumentDetail> load_detail(base::store::Transaction& tx, const Place& place,
                                         Document document);
base::Result<std::string> load_text(base::store::Transaction& tx, const Place& place);
base::Result<std::vector<PassageRow>> load_passages(base::store::Transaction& tx,
                                                    const Place& place);
/// Where the memory `id` stands, with its document; several where a document says it twice.
base::Result<std::vector<std::pair<PassageRow, Document>>> find_passage(
    base::store::Transaction& tx, std::string_view tenant, const MemoryId& id);

/// A statement as it is kept: the document by its id.
base::Result<void> each_statement(base::store::Transaction& tx, std::string_view tenant,
                                  std::string_view base,
                                  const std::function<void(StatementRow&&)>& each);

/// Every text that is kept of documents of all tenants, beside what their passages say as memories.
base::Result<void> each_text(base::store::Transaction& tx,
                             const std::function<void(std::string_view)>& each);

base::Result<void> erase_document(base::store::Transaction& tx, const Place& place);
/// Everything of a document but its memories. Pre: none of it is there.
base::Result<void> insert_document(base::store::Transaction& tx, const Place& place,
                                   const DocumentDetail& detail, std::string_view text,
                                   const std::vector<PassageRow>& passages,
                                   const std::vector<StatementRow>& statements);

}  // namespace memory::knowledge
