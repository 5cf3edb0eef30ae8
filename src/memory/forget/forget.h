#pragma once
// Forgetting for good, with a receipt: not found any more when the call returns, and gone from
// every row, version, index, file and log before a deadline that the receipt names. [AInfra 2.2.3]
//
// What belongs to a target:
//   ids      these memories, whatever state they are in, and what was made from them
//   scope    memories, facts, checkpoints and profile blocks with those names in their scope, and
//            what was made from them
//   subject  a name, and every name that means the same by aliases or as the only full name of a
//            first name. To it belong: facts that have it as subject or object, with their history,
//            and its aliases; memories that it spoke, whose user it is, that those facts were drawn
//            from, or that name it as a whole word in any state they had, in content or metadata;
//            checkpoints and profile blocks that name it
//   document one of a knowledge base: its text, its passages and those it had, but those that
//            another document has, too; and of memories and facts, what was made from it
// Where memories are sealed with keys of subjects (memory.h: Encryption), a scope of a user or an
// agent, or of both, is forgotten by its keys: they are erased, with every byte of theirs, before
// forget() returns, and what they sealed can be read by nobody; rows follow.
// "Made from": memories whose sources name a forgotten one; facts all of whose sources are
// forgotten; checkpoints that were kept with a forgotten memory. What is written after the call is
// new.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/result.h"
#include "memory/entry.h"

namespace memory::forget {

using ForgetId = std::string;  ///< "forget-" and 26 characters that sort by time

/// One of a knowledge base.
struct DocumentName {
    std::string base = {}, id = {};
    bool empty() const { return base.empty() && id.empty(); }
};

/// Exactly one of the four.
struct Target {
    std::vector<MemoryId> ids = {};  ///< at most 10,000
    Scope scope = {};                ///< one name besides the tenant at least; its tenant is unused
    std::string subject = {};        ///< at most 1 KiB
    DocumentName document = {};      ///< whoever asks may see it
};

struct Request {
    std::string tenant;
    Target target = {};
    std::string by = {};  ///< who asks
};

enum class Why : std::uint8_t {
    named,
    in_scope,
    user,
    speaker,
    mentions,
    fact_source,
    made_from,
    passage
};
std::string_view why_name(Why why);

/// Rows by kind: "documents", "keys" (of subjects), "memories" and, of them, "of_sessions"
/// (short-term ones in Redis), "facts", "aliases", "checkpoints", "profile_blocks",
/// "idempotency_keys" when they are hidden; "versions", "embeddings", "marks", "access_counts" as
/// they are erased.
using Counts = std::map<std::string, std::uint64_t>;

/// What a forget would take; nothing is changed.
struct Preview {
    struct Item {
        MemoryId id;
        Why why = Why::named;
        bool operator==(const Item&) const = default;
    };
    std::vector<Item> memories = {};      ///< by id
    std::vector<std::string> facts = {};  ///< ids, sorted
    std::vector<std::string> names = {};  ///< of a subject: each that means it, as compared
    Counts counts = {};
    std::string ids_sha256 = {};  ///< what the receipt would say
};

/// Every file of the shard, its log included, read byte by byte for pieces of what was erased.
struct Scan {
    std::uint64_t files = 0, bytes = 0;
    std::uint64_t needles = 0;  ///< pieces of 24 bytes looked for; only their hashes were kept
    std::uint64_t hits = 0;     ///< found, and no memory that stays says the same
    std::uint64_t shared = 0;   ///< found, because a memory that stays says the same
    std::uint64_t rows_left = 0;
    /// 1: some of it was on a database server, whose files are its own: PostgreSQL, or Redis.
    std::uint64_t unscanned = 0;
    bool clean() const { return hits == 0 && rows_left == 0; }
    bool operator==(const Scan&) const = default;
};

/// Durable. Holds nothing of what was forgotten: not the target itself either, only its salted
/// hash, by which who knows the target can find the receipt again.
struct Receipt {
    ForgetId id = {};
    std::string by = {};
    std::string kind = {};                     ///< "ids", "scope", "subject", "document"
    std::string asked_sha256 = {}, salt = {};  ///< asked_hash(target, salt)
    UnixMs requested_unix_ms = 0, hidden_unix_ms = 0, deadline_unix_ms = 0;
    /// Since when nobody can read it, whatever copies there are of the store: its keys were erased
    /// and looked for in every byte of their files. 0: when it is done.
    UnixMs unreadable_unix_ms = 0;
    UnixMs done_unix_ms = 0;  ///< 0: still being erased
    Counts counts = {};
    std::string ids_sha256 =
        {};                  ///< of the removed ids of memories and facts, sorted, each with \n
    Scan scan = {};          ///< once done; before, of keys alone
    std::string error = {};  ///< why the last attempt failed; it is tried again
    double progress = 0;     ///< 0..1
    bool operator==(const Receipt&) const = default;
};

/// What a receipt keeps of its target. Pure.
std::string asked_hash(const Target& target, std::string_view salt);

class Forgetting {
public:
    virtual ~Forgetting() = default;
    /// Errors: invalid_argument (no target, or more than one), not_found (an id, a document).
    virtual base::Result<Preview> preview(const Request& request) = 0;
    /// When it returns nothing finds them any more and the receipt is durable; bytes go in the
    /// background, also after a crash. Nothing belongs to the target: a receipt with counts of 0.
    /// Errors: as preview; the store's, and then nothing was done; unavailable (Redis went away in
    /// between: the rest is forgotten when it is back, as the receipt it names will say).
    virtual base::Result<Receipt> forget(const Request& request) = 0;
    /// Errors: not_found.
    virtual base::Result<Receipt> receipt(std::string_view tenant, std::string_view id) = 0;
    /// Newest first.
    virtual base::Result<std::vector<Receipt>> receipts(std::string_view tenant,
                                                        std::uint32_t limit) = 0;
    /// Not done yet, of all tenants.
    virtual std::uint64_t open() = 0;
    /// Waits until everything asked for so far is done. Errors: what keeps it from being done.
    virtual base::Result<void> finish() = 0;
};

}  // namespace memory::forget
