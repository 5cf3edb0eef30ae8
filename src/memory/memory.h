#pragma once
// What agents know: written once and never lost, found in a millisecond. [AInfra 2.2.3] AMS.
//
//   auto store = DG_TRY(MemoryStore::open(options, embedder, clock));
//   DG_TRY(store->add({.scope = {.tenant = "t", .user = "ann"}, .content = "Ann is allergic to
//   nuts"})); const Answer answer = DG_TRY(store->search({.text = "allergies", .filter = {.scope =
//   {.tenant = "t"}}}));
//
// A write that returned is durable. Everything that finds is rebuilt from what was written. No call
// reaches across tenants. Thread-safe.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"
#include "memory/embedder.h"
#include "memory/entry.h"
#include "memory/filter.h"
#include "memory/query.h"
#include "memory/reranker.h"
#include "memory/tasks/task.h"

namespace memory::facts {
class Extractor;
class FactStore;
}  // namespace memory::facts

namespace memory::knowledge {
class KnowledgeBases;
}
namespace memory::forget {
class Forgetting;
}
namespace memory::compress {
class Compressor;
class Summarizer;
}  // namespace memory::compress
namespace memory::profile {
class Profiles;
}

namespace memory {

/// How what memories say lies on the disk.
enum class Encryption : std::uint8_t {
    off,
    subject,  ///< sealed with a key for each user and agent, which forgetting them erases first
};

/// When a session is compressed without being asked: whichever is reached first; 0: never.
struct CompressWhen {
    std::uint32_t entries_per_session_max = 0;
    std::uint64_t tokens_per_session_max = 0;
    std::uint32_t summary_sentences_max = 10;
    bool never() const { return entries_per_session_max == 0 && tokens_per_session_max == 0; }
};

struct StoreOptions {
    /// A folder of shard files, or "postgresql://..." for truth that several nodes share.
    std::string location;
    /// "redis://...": where short-term entries are kept, shared as well; empty: with the others.
    std::string sessions = {};
    std::uint32_t shards = 8;  ///< of a new folder; an old one keeps its own number
    std::size_t content_bytes_max = 256u << 10;
    /// Memory for indexes of tenants; those used longest ago are dropped and rebuilt when asked.
    std::uint64_t index_bytes_max = 1ull << 30;
    /// For what indexes need not hold in memory; empty: with the shard files, or /tmp.
    std::string spill_dir = {};
    std::int64_t versions_keep_ms = 30ll * 24 * 3600 * 1000;  ///< how long undo reaches back
    /// Reads facts out of what is written, in the background; null: nobody does.
    std::shared_ptr<facts::Extractor> extractor = {};
    std::shared_ptr<Reranker> reranker = {};  ///< for queries that ask for it; null: none
    std::int64_t forget_deadline_ms =
        3600ll * 1000;  ///< until no byte of what is forgotten is left
    /// What was written before is sealed in the background; what was sealed is read with either.
    /// Then indexes are in memory alone. Redis holds short-term entries as they are.
    Encryption encryption = Encryption::off;
    /// Of the key that wraps the keys of subjects; made when it is first needed. Empty: memory.key
    /// with the shard files.
    std::string key_file = {};
    CompressWhen compress_when = {};
    std::shared_ptr<compress::Summarizer> summarizer = {};  ///< null: sentences are picked
};

/// What became of one write.
struct Added {
    MemoryId id;
    std::uint32_t version = 1;
    enum class How : std::uint8_t { added, merged, repeated } how = How::added;
    ///< merged: an equal or nearly equal entry took its sources; repeated: same idempotency key
};

struct Page {
    std::vector<Entry> entries;
    std::string next = {};  ///< cursor; empty: that was all
};

enum class Order : std::uint8_t { created_ascending, created_descending };

struct StoreStats {
    std::uint64_t tenants = 0, entries = 0, versions = 0, removed = 0;
    std::uint64_t passages = 0;  ///< of documents; not among the entries
    std::uint64_t embeddings_pending = 0;
    std::uint64_t truth_bytes = 0, index_bytes = 0;
    std::uint32_t indexes_open = 0;
    std::uint64_t forgets_open = 0;  ///< hidden, and still being erased
    Encryption encryption = Encryption::off;
    std::uint64_t keys = 0;  ///< of subjects
    /// Entries that still wait to be sealed. 0: and no page holds one in plain.
    std::uint64_t plain = 0;
    std::uint64_t sessions_compressed = 0;  ///< without being asked, since the start
    std::uint64_t summaries_by_model = 0, summaries_picked = 0;  ///< of those; since the start
    std::string summary_error = {};  ///< why the model did not write the last one that was picked
    std::string embedder;
    std::string truth = {}, sessions = {};  ///< where they are, without passwords
};

/// What check() looked at.
struct Finding {
    std::string what;  ///< "files", "indexes", "embeddings", "facts"
    bool sound = true;
    std::string detail;  ///< for people: counts, or what is wrong and what to do
};

class MemoryStore {
public:
    /// Errors: failed_precondition (another process has it; a newer format), data_loss (names the
    /// file and what to do), unavailable.
    static base::Result<std::unique_ptr<MemoryStore>> open(const StoreOptions& options,
                                                           std::shared_ptr<Embedder> embedder,
                                                           const base::Clock& clock);
    virtual ~MemoryStore() = default;  ///< flushes what is counted; writes are durable already

    // --- writing -------------------------------------------------------------------------------
    /// Errors: check_entry's; resource_exhausted (full disk: nothing was written).
    virtual base::Result<Added> add(const NewEntry& entry, std::string_view by = {}) = 0;
    /// All or none, one commit. At most 10,000, of one tenant.
    virtual base::Result<std::vector<Added>> add(std::span<const NewEntry> entries,
                                                 std::string_view by = {}) = 0;
    /// Errors: not_found, check_entry's, failed_precondition (expected_version).
    virtual base::Result<Entry> update(std::string_view tenant, const MemoryId& id,
                                       const EntryPatch& patch, std::string_view by = {}) = 0;
    /// Gone from every search at once; undo and history know it until versions_keep_ms.
    virtual base::Result<void> remove(std::string_view tenant, const MemoryId& id,
                                      std::string_view by = {}) = 0;
    /// Back to what it was at `version`, as a new version; also brings a removed one back.
    virtual base::Result<Entry> restore(std::string_view tenant, const MemoryId& id,
                                        std::uint32_t version, std::string_view by = {}) = 0;
    /// Counts an access. In memory at once, on disk within a second; never waits for the disk.
    virtual void touch(std::string_view tenant, std::span<const MemoryId> ids) = 0;

    // --- reading -------------------------------------------------------------------------------
    virtual base::Result<Entry> get(std::string_view tenant, const MemoryId& id) = 0;
    virtual base::Result<std::vector<EntryVersion>> history(std::string_view tenant,
                                                            const MemoryId& id) = 0;
    virtual base::Result<Page> list(const Filter& filter, Order order, std::uint32_t limit,
                                    std::string_view cursor = {}) = 0;
    /// Errors: invalid_argument; never unavailable because of the embedder (Answer says so).
    virtual base::Result<Answer> search(const Query& query) = 0;

    // --- long tasks ----------------------------------------------------------------------------
    /// Gives it back with its number, without its state. `after`: the number that must be the last
    /// so far (0: none), so that of two workers on a task one goes on. Errors: tasks::
    /// check_checkpoint's, failed_precondition (another went on), already_exists (its name).
    virtual base::Result<tasks::Checkpoint> save_checkpoint(const Scope& scope,
                                                            const tasks::Checkpoint& checkpoint,
                                                            std::optional<std::uint32_t> after = {},
                                                            std::string_view by = {}) = 0;
    /// The last one, or the one of that name. Errors: not_found.
    virtual base::Result<tasks::Checkpoint> resume_task(std::string_view tenant,
                                                        std::string_view task,
                                                        std::string_view name = {}) = 0;
    /// Newest first, numbers below `before` (0: all), without their states.
    virtual base::Result<std::vector<tasks::Checkpoint>> checkpoints(std::string_view tenant,
                                                                     std::string_view task,
                                                                     std::uint32_t limit,
                                                                     std::uint32_t before = 0) = 0;
    /// Of the last `recent` checkpoints. Errors: not_found.
    virtual base::Result<tasks::TaskSummary> task_summary(std::string_view tenant,
                                                          std::string_view task,
                                                          std::uint32_t recent = 5) = 0;
    /// The last checkpoint of each task, the one that moved last first.
    virtual base::Result<std::vector<tasks::Checkpoint>> list_tasks(std::string_view tenant,
                                                                    std::uint32_t limit) = 0;
    virtual base::Result<void> remove_task(std::string_view tenant, std::string_view task) = 0;

    // --- facts ---------------------------------------------------------------------------------
    /// Statements of that tenant, with two time axes, and their graph. Lives as long as the store.
    virtual facts::FactStore& facts(std::string_view tenant) = 0;

    // --- documents -----------------------------------------------------------------------------
    /// Knowledge bases of every tenant. Lives as long as the store.
    virtual knowledge::KnowledgeBases& knowledge() = 0;

    // --- forgetting ----------------------------------------------------------------------------
    /// For good, with a receipt. Lives as long as the store.
    virtual forget::Forgetting& forgetting() = 0;

    // --- compressing, profiles -----------------------------------------------------------------
    // Both live as long as the store.
    virtual compress::Compressor& compressor() = 0;
    virtual profile::Profiles& profiles() = 0;

    // --- keeping -------------------------------------------------------------------------------
    virtual StoreStats stats() = 0;
    /// Reads all that is on disk, and holds the tenant's index against it. Slow.
    virtual std::vector<Finding> check(std::string_view tenant) = 0;
    /// Waits until everything written before is in every index, embeddings too, and was read for
    /// facts.
    virtual base::Result<void> settle() = 0;
};

}  // namespace memory
