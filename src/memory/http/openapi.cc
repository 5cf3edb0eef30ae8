#include "memory/http/openapi.h"

#include <array>
#include <string_view>

#include "base/api/operations.h"

namespace memory {
namespace {

namespace json = base::json;
using base::api::Operation;

json::object parsed(std::string_view text) {
    return base::parse_json(text)->as_object();
}
json::object entry_example() {
    return parsed(R"({"type": "long_term", "content": "Ann is allergic to nuts", "speaker": "",
        "user": "ann", "agent": "", "session": "", "run": "", "metadata": {},
        "media": {"kind": "none", "uri": ""}, "created_unix_ms": 0, "valid_from_unix_ms": 0,
        "valid_to_unix_ms": 0, "importance": 0.5, "ttl_ms": 0, "pinned": false,
        "idempotency_key": "", "embedding": [0.5],
        "sources": [{"source": "", "begin": 0, "end": 0, "page": 0}],
        "memories": [{"content": "many at once, instead of the fields above"}]})");
}
json::object patch_example() {
    return parsed(R"({"type": "long_term", "content": "", "speaker": "", "metadata": {},
        "valid_from_unix_ms": 0, "valid_to_unix_ms": 0, "importance": 0.5, "ttl_ms": 0,
        "pinned": false, "expected_version": 1})");
}
json::object search_example() {
    return parsed(R"({"query": "what is Ann allergic to", "types": ["long_term"], "user": "ann",
        "agent": "", "session": "", "run": "", "created": {"from_unix_ms": 0, "to_unix_ms": 0},
        "valid": {"from_unix_ms": 0, "to_unix_ms": 0}, "importance_min": 0.5, "pinned": false,
        "metadata": "topic = \"health\" and priority >= 2", "labels": ["hr"], "limit": 10,
        "tokens_max": 2000, "neighbours": 1, "rerank": 20, "explain": true, "touch": true,
        "vector_recall": 0.99, "as_of_unix_ms": 0, "embedding": [0.5],
        "weights": {"keyword": 1, "vector": 0.7, "entity": 0, "time": 0, "session": 0.15, "substance": 0.6,
                    "graph": 0, "recency_bound": 0, "importance_bound": 0.1,
                    "access_bound": 0}})");
}
json::object checkpoint_example() {
    return parsed(R"({"name": "", "state": {"next": 12}, "result": "read 12 of 40 files",
        "reflection": "the index is slow on old files", "next_steps": ["read file 13"],
        "progress": 0.3, "finished": false, "after": 11, "created_unix_ms": 0, "user": "",
        "agent": "", "session": "", "run": ""})");
}
json::object fact_example() {
    return parsed(R"({"subject": "Ann", "predicate": "lives_in", "object": "Rome",
        "cardinality": "one", "confidence": 1, "ends": false, "valid_from_unix_ms": 0,
        "valid_to_unix_ms": 0, "user": "", "agent": "",
        "sources": [{"source": "mem-...", "begin": 0, "end": 0, "page": 0}],
        "facts": [{"subject": "many at once, instead of the fields above"}]})");
}
json::object alias_example() {
    return parsed(R"({"alias": "Annie", "name": "Ann Smith"})");
}
json::object extract_example() {
    return parsed(R"({"text": "I moved to Rome in May 2024.", "speaker": "Ann", "listener": "",
        "source": "mem-...", "said_at_unix_ms": 0})");
}
json::object knowledge_example() {
    return parsed(R"({"query": "how long is parental leave", "base": "handbook", "document": "",
        "labels": ["hr"], "metadata": "year >= 2024", "limit": 10, "tokens_max": 2000})");
}
json::object forget_example() {
    return parsed(R"({"ids": ["mem-..."], "user": "", "agent": "", "session": "", "run": "",
        "subject": "", "dry_run": true, "wait": false})");
}
json::object compress_example() {
    return parsed(R"({"user": "", "agent": "", "session": "", "run": "", "dry_run": true,
        "policy": {"entries_per_session_max": 1000, "importance_min": 0.3,
                   "merge_similarity": 0.8, "retain_recent_hours": 24,
                   "summary_sentences_max": 3, "merge_over_limit": false}, "idempotency_key": ""})");
}
json::object block_example() {
    return parsed(R"({"text": "Ann. Prefers short answers.", "description": "Who I talk to.",
        "limit_chars": 2000, "read_only": false, "expected_version": 1, "unlock": false})");
}
json::object line_example() {
    return parsed(R"({"line": "Allergic to nuts."})");
}
json::object replace_example() {
    return parsed(R"({"before": "short answers", "after": "long answers"})");
}
json::object ids_example() {
    return parsed(R"({"ids": ["mem-..."]})");
}
json::object tool_example() {
    return parsed(R"({"arguments": {"query": "what is Ann allergic to"}, "user": "ann",
        "agent": "", "session": "", "run": "", "labels": ["hr"]})");
}
json::object version_example() {
    return parsed(R"({"version": 1})");
}

constexpr std::array<std::string_view, 11> kList = {
    "user",         "agent",      "session", "run",   "type",  "metadata",
    "from_unix_ms", "to_unix_ms", "order",   "limit", "cursor"};

constexpr std::array<std::string_view, 1> kLimit = {"limit"}, kName = {"name"},
                                          kRecent = {"recent"};
constexpr std::array<std::string_view, 2> kOwner = {"user", "agent"};
constexpr std::array<std::string_view, 2> kBefore = {"limit", "before"};

constexpr std::array<std::string_view, 7> kFacts = {
    "subject", "predicate", "object", "valid_at_unix_ms", "recorded_at_unix_ms",
    "history", "limit"};
constexpr std::array<std::string_view, 3> kNear = {"name", "depth", "limit"};
constexpr std::array<std::string_view, 4> kPath = {"from", "to", "length", "limit"};

constexpr std::array<std::string_view, 1> kHeld = {"label"};
constexpr std::array<std::string_view, 3> kDocumentList = {"label", "limit", "cursor"},
                                          kConflicts = {"base", "label", "limit"};
constexpr std::array<std::string_view, 8> kUpload = {"id",         "uri",      "name",  "title",
                                                     "media_type", "metadata", "label", "holds"};
constexpr std::string_view kDocuments = "/v1/knowledge/{base}/documents",
                           kDocument = "/v1/knowledge/{base}/documents/{id}";

// One line per route of the plane.
const std::array kOperations = {
    Operation{.method = "post",
              .path = "/v1/memories",
              .summary = "Remember one entry, or a batch of them, all or none.",
              .answer = "Its id, or what it was merged into.",
              .body = entry_example,
              .makes = true},
    Operation{.method = "get",
              .path = "/v1/memories",
              .summary = "The caller's, by time.",
              .answer = "Entries, and a cursor for the next page.",
              .query = kList},
    Operation{.method = "post",
              .path = "/v1/memories/search",
              .summary = "Find by words and meaning.",
              .answer = "Hits, best first, and how sure the best one is.",
              .body = search_example},
    Operation{.method = "get",
              .path = "/v1/memories/stats",
              .summary = "Sizes and what waits.",
              .answer = "Counts of the whole store."},
    Operation{.method = "post",
              .path = "/v1/memories/check",
              .summary = "Read all that is on disk and hold the caller's index against it. Slow.",
              .answer = "What was looked at, and whether it is sound."},
    Operation{.method = "get",
              .path = "/v1/memories/tools",
              .summary = "What agents can do with memories, as MCP lists tools.",
              .answer = "Names, descriptions and schemas of arguments."},
    Operation{.method = "post",
              .path = "/v1/memories/tools/{name}",
              .summary = "Call one of them for a user.",
              .answer = "What the tool answers.",
              .body = tool_example},
    Operation{.method = "post",
              .path = "/v1/memories/touch",
              .summary = "Count an access.",
              .answer = "How many were named.",
              .body = ids_example},
    Operation{.method = "post",
              .path = "/v1/memories/forget",
              .summary = "Forget for good: memories by ids, by scope or by subject, or a document; "
                         "dry_run lists what would go.",
              .answer = "A receipt, or what would go.",
              .body = forget_example},
    Operation{.method = "get",
              .path = "/v1/memories/forgets",
              .summary = "Receipts of what was forgotten, newest first.",
              .answer = "Receipts.",
              .query = kLimit},
    Operation{.method = "get",
              .path = "/v1/memories/forgets/{id}",
              .summary = "One receipt.",
              .answer = "Counts, the deadline, and once it is done the check of every file."},
    Operation{.method = "post",
              .path = "/v1/memories/compress",
              .summary = "Merge what is alike and drop what matters least, by a policy; dry_run "
                         "shows the plan.",
              .answer = "What was done, or the plan with the reason of every decision.",
              .body = compress_example},
    Operation{.method = "get",
              .path = "/v1/memories/compressions",
              .summary = "What was compressed, newest first.",
              .answer = "Compressions.",
              .query = kLimit},
    Operation{.method = "get",
              .path = "/v1/memories/compressions/{id}",
              .summary = "One compression.",
              .answer = "Counts, and until when it can be taken back."},
    Operation{.method = "post",
              .path = "/v1/memories/compressions/{id}/undo",
              .summary = "Take it back: summaries go, their sources are there again.",
              .answer = "The compression."},
    Operation{.method = "get",
              .path = "/v1/memories/{id}",
              .summary = "One entry.",
              .answer = "The entry."},
    Operation{.method = "patch",
              .path = "/v1/memories/{id}",
              .summary = "Change fields of it.",
              .answer = "The entry, with its new version.",
              .body = patch_example},
    Operation{.method = "delete",
              .path = "/v1/memories/{id}",
              .summary = "Take it out; its history stays for a while.",
              .answer = "What was removed."},
    Operation{.method = "get",
              .path = "/v1/memories/{id}/history",
              .summary = "Every state it had.",
              .answer = "Versions, newest first."},
    Operation{.method = "post",
              .path = "/v1/memories/{id}/restore",
              .summary = "Back to a version; also of a removed one.",
              .answer = "The entry.",
              .body = version_example},
    Operation{.method = "get",
              .path = "/v1/profiles",
              .summary = "Profile blocks of a user and agent.",
              .answer = "The blocks, and the text of them that goes into a prompt.",
              .query = kOwner},
    Operation{.method = "get",
              .path = "/v1/profiles/{name}",
              .summary = "One block.",
              .answer = "The block.",
              .query = kOwner},
    Operation{.method = "put",
              .path = "/v1/profiles/{name}",
              .summary = "Make or change a block.",
              .answer = "The block, with its new version.",
              .body = block_example,
              .query = kOwner},
    Operation{.method = "delete",
              .path = "/v1/profiles/{name}",
              .summary = "Remove a block and its history.",
              .answer = "What was removed.",
              .query = kOwner},
    Operation{.method = "post",
              .path = "/v1/profiles/{name}/append",
              .summary = "Add a line to a block.",
              .answer = "The block.",
              .body = line_example,
              .query = kOwner},
    Operation{.method = "post",
              .path = "/v1/profiles/{name}/replace",
              .summary = "Replace a piece of a block that is there exactly once.",
              .answer = "The block.",
              .body = replace_example,
              .query = kOwner},
    Operation{.method = "get",
              .path = "/v1/profiles/{name}/history",
              .summary = "Every state it had, the last 100.",
              .answer = "Versions, newest first.",
              .query = kOwner},
    Operation{.method = "post",
              .path = "/v1/profiles/{name}/restore",
              .summary = "Back to a version.",
              .answer = "The block.",
              .body = version_example,
              .query = kOwner},
    Operation{.method = "get",
              .path = "/v1/tasks",
              .summary = "Long tasks of the caller.",
              .answer = "The last checkpoint of each.",
              .query = kLimit},
    Operation{.method = "get",
              .path = "/v1/tasks/{task}",
              .summary = "Resume: the last checkpoint with its state, or the one of that name.",
              .answer = "The checkpoint, and a summary of recent progress.",
              .query = kName},
    Operation{.method = "delete",
              .path = "/v1/tasks/{task}",
              .summary = "Remove a task's checkpoints.",
              .answer = "What was removed."},
    Operation{.method = "post",
              .path = "/v1/tasks/{task}/checkpoints",
              .summary = "Keep where a task is.",
              .answer = "The checkpoint, with its number.",
              .body = checkpoint_example,
              .makes = true},
    Operation{.method = "get",
              .path = "/v1/tasks/{task}/checkpoints",
              .summary = "Its checkpoints, newest first.",
              .answer = "Without their states.",
              .query = kBefore},
    Operation{.method = "get",
              .path = "/v1/tasks/{task}/summary",
              .summary = "The most recent progress.",
              .answer = "Lists, and a text of them.",
              .query = kRecent},
    Operation{.method = "post",
              .path = "/v1/facts",
              .summary = "State facts: a newer value of a subject closes the older one.",
              .answer = "Their ids.",
              .body = fact_example,
              .makes = true},
    Operation{.method = "get",
              .path = "/v1/facts",
              .summary = "What is so, what was so then, or as it was known then.",
              .answer = "Facts with the interval in which each holds.",
              .query = kFacts},
    Operation{.method = "delete",
              .path = "/v1/facts/{id}",
              .summary = "Take one back: it never was; what was known before still knows it.",
              .answer = "What was retracted."},
    Operation{.method = "get",
              .path = "/v1/facts/contradictions",
              .summary = "Statements that cannot both be so.",
              .answer = "Pairs of ids.",
              .query = kFacts},
    Operation{.method = "get",
              .path = "/v1/facts/neighbours",
              .summary = "Who and what is near a name in the graph of facts.",
              .answer = "Names, nearest first.",
              .query = kNear},
    Operation{.method = "get",
              .path = "/v1/facts/graph",
              .summary = "A name's part of the graph of facts.",
              .answer = "Names by depth, and the facts that hold among them.",
              .query = kNear},
    Operation{.method = "get",
              .path = "/v1/facts/paths",
              .summary = "How two names hang together.",
              .answer = "Paths of facts, shortest first.",
              .query = kPath},
    Operation{.method = "post",
              .path = "/v1/facts/aliases",
              .summary = "Another name for somebody.",
              .answer = "The alias.",
              .body = alias_example,
              .makes = true},
    Operation{.method = "post",
              .path = "/v1/facts/extract",
              .summary = "What the rules see in a text; nothing is kept.",
              .answer = "Statements that POST /v1/facts takes.",
              .body = extract_example},
    Operation{.method = "get",
              .path = "/v1/knowledge",
              .summary = "Knowledge bases with documents that the labels open.",
              .answer = "Names and counts.",
              .query = kHeld},
    Operation{.method = "post",
              .path = "/v1/knowledge/search",
              .summary = "Find passages of documents.",
              .answer = "Passages, best first, each with its page and place.",
              .body = knowledge_example},
    Operation{.method = "get",
              .path = "/v1/knowledge/conflicts",
              .summary = "Statements of different documents that cannot all be so.",
              .answer = "Groups, each statement with its place.",
              .query = kConflicts},
    Operation{.method = "get",
              .path = kDocuments,
              .summary = "Documents of a base, by id.",
              .answer = "Documents, and a cursor for the next page.",
              .query = kDocumentList},
    Operation{.method = "post",
              .path = kDocuments,
              .summary = "Add or replace a document: the body is its bytes, or a form with a "
                         "file.",
              .answer = "The document, and what became of its passages.",
              .query = kUpload,
              .makes = true},
    Operation{.method = "put",
              .path = kDocuments,
              .summary = "The same.",
              .answer = "The document, and what became of its passages.",
              .query = kUpload,
              .makes = true},
    Operation{.method = "get",
              .path = kDocument,
              .summary = "One document with its outline and pages.",
              .answer = "The document.",
              .query = kHeld},
    Operation{.method = "delete",
              .path = kDocument,
              .summary = "Take a document out with all its passages.",
              .answer = "What was removed.",
              .query = kHeld},
    Operation{.method = "get",
              .path = "/v1/knowledge/{base}/documents/{id}/text",
              .summary = "Its extracted text, which citations count in.",
              .answer = "The text.",
              .query = kHeld},
};

}  // namespace

json::object memory_paths() {
    constexpr std::array<std::string_view, 9> kNumbers = {
        "from_unix_ms",     "to_unix_ms",          "limit", "before", "recent",
        "valid_at_unix_ms", "recorded_at_unix_ms", "depth", "length"};
    return base::api::paths_of(kOperations, kNumbers);
}

}  // namespace memory
