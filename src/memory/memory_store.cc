#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/core/url_password.h"
#include "memory/embed/embedding_job.h"
#include "memory/facts/fact_store.h"
#include "memory/index_cache.h"
#include "memory/memory.h"
#include "memory/recall/packing.h"
#include "memory/recall/recall.h"
#include "memory/recall/weights.h"
#include "memory/tasks/task_store.h"
#include "memory/truth/session_truth.h"
#include "memory/truth/tiered_truth.h"
#include "memory/truth/truth.h"

namespace memory {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;

constexpr std::size_t kBatchMax = 10'000;
constexpr std::uint32_t kLimitMax = 1'000;
constexpr std::size_t kQueryBytesMax = 16u << 10;

/// What nobody waits for: access counts, expiry.
class Keeper {
public:
    Keeper(truth::Truth& truth, const base::Clock& clock,
           std::function<void(std::span<const truth::Change>)> hear)
        : thread_([this, &truth, &clock, hear = std::move(hear)](const std::stop_token& stop) {
              constexpr int kSweepEvery = 30;
              std::unique_lock lock(mutex_);
              for (int turn = 1; !stop.stop_requested(); ++turn) {
                  wake_.wait_for(lock, stop, std::chrono::seconds(1), [] { return false; });
                  // What fails is tried again: counts stay in memory, expired entries expired.
                  static_cast<void>(truth.flush_touches());
                  if (turn % kSweepEvery != 0) continue;
                  if (auto swept = truth.sweep(clock.unix_ns() / 1'000'000)) hear(*swept);
              }
          }) {}

private:
    std::mutex mutex_;
    std::condition_variable_any wake_;
    std::jthread thread_;
};

class EmbeddedStore final : public MemoryStore {
public:
    using FactStores = std::map<const base::store::Store*, std::unique_ptr<facts::FactStore>>;

    /// `sessions` may be null; `facts` are of `lasting`.
    EmbeddedStore(const StoreOptions& options, std::unique_ptr<truth::Truth> lasting,
                  std::unique_ptr<truth::Truth> sessions, FactStores facts,
                  std::shared_ptr<Embedder> embedder, const base::Clock& clock)
        : location_(base::without_password(options.location)),
          sessions_location_(base::without_password(options.sessions)),
          clock_(clock),
          embedder_(std::move(embedder)),
          limits_{.content_bytes_max = options.content_bytes_max,
                  .embedding_dims = embedder_ ? embedder_->dims() : 0},
          lasting_(std::move(lasting)),
          sessions_(std::move(sessions)),
          tiered_(sessions_ ? truth::make_tiered(*lasting_, *sessions_) : nullptr),
          truth_(tiered_ ? tiered_.get() : lasting_.get()),
          indexes_(*lasting_, sessions_.get(),
                   {.model = embedder_ ? embedder_->id() : "",
                    .dims = limits_.embedding_dims,
                    .bytes_max = options.index_bytes_max,
                    .spill_dir = options.spill_dir}),
          tasks_(*truth_, clock_),
          facts_(std::move(facts)),
          keeper_(*truth_, clock_, [this](auto changes) { tell_each(changes); }) {
        if (embedder_ == nullptr) return;
        job_ = std::make_unique<embed::EmbeddingJob>(*truth_, embedder_,
                                                     [this](auto changes) { tell_each(changes); });
    }
    ~EmbeddedStore() override { static_cast<void>(truth_->flush_touches()); }

    Result<Added> add(const NewEntry& entry, std::string_view by) override {
        auto added = add(std::span(&entry, 1), by);
        if (!added) return std::unexpected(std::move(added).error());
        return std::move(added->front());
    }

    Result<std::vector<Added>> add(std::span<const NewEntry> entries,
                                   std::string_view by) override {
        if (entries.size() > kBatchMax) {
            return fail(Code::payload_too_large, "{} entries in one batch; the most is {}",
                        entries.size(), kBatchMax);
        }
        for (std::size_t i = 0; i < entries.size(); ++i) {
            auto checked = check_entry(entries[i], limits_);
            if (checked && entries[i].scope.tenant != entries[0].scope.tenant) {
                checked = fail_on("scope.tenant", Code::invalid_argument,
                                  "a batch is of one tenant; this entry is of '{}', the first of "
                                  "'{}'",
                                  entries[i].scope.tenant, entries[0].scope.tenant);
            }
            if (checked) continue;
            if (entries.size() == 1) return std::unexpected(checked.error());
            return std::unexpected(std::move(checked).error().with_context(
                fmt::format("entry {} of {}", i + 1, entries.size())));
        }
        if (entries.empty()) return std::vector<Added>();
        auto written = DG_TRY(truth_->add(entries, by, embedder_ ? embedder_->id() : ""));
        indexes_.apply(entries[0].scope.tenant, written.changes);
        if (job_) job_->notify();
        return std::move(written.added);
    }

    Result<Entry> update(std::string_view tenant, const MemoryId& id, const EntryPatch& patch,
                         std::string_view by) override {
        return told(tenant, truth_->update(tenant, id, patch, by));
    }
    Result<void> remove(std::string_view tenant, const MemoryId& id, std::string_view by) override {
        DG_TRY(told(tenant, truth_->remove(tenant, id, by)));
        return {};
    }
    Result<Entry> restore(std::string_view tenant, const MemoryId& id, std::uint32_t version,
                          std::string_view by) override {
        return told(tenant, truth_->restore(tenant, id, version, by));
    }
    void touch(std::string_view tenant, std::span<const MemoryId> ids) override {
        truth_->touch(tenant, ids, now());
    }

    Result<Entry> get(std::string_view tenant, const MemoryId& id) override {
        return truth_->get(tenant, id);
    }
    Result<std::vector<EntryVersion>> history(std::string_view tenant,
                                              const MemoryId& id) override {
        return truth_->history(tenant, id);
    }
    Result<Page> list(const Filter& filter, Order order, std::uint32_t limit,
                      std::string_view cursor) override {
        if (limit == 0 || limit > kLimitMax) return bad_limit(limit);
        return truth_->list(filter, order, limit, cursor);
    }

    Result<Answer> search(const Query& query) override;

    Result<tasks::Checkpoint> save_checkpoint(const Scope& scope,
                                              const tasks::Checkpoint& checkpoint,
                                              std::optional<std::uint32_t> after,
                                              std::string_view by) override {
        auto saved =
            DG_TRY(tasks_.save(scope, checkpoint, after, by, embedder_ ? embedder_->id() : ""));
        indexes_.apply(scope.tenant, saved.changes);
        if (job_ && !saved.changes.empty()) job_->notify();
        return std::move(saved.checkpoint);
    }
    Result<tasks::Checkpoint> resume_task(std::string_view tenant, std::string_view task,
                                          std::string_view name) override {
        return tasks_.resume(tenant, task, name);
    }
    Result<std::vector<tasks::Checkpoint>> checkpoints(std::string_view tenant,
                                                       std::string_view task, std::uint32_t limit,
                                                       std::uint32_t before) override {
        if (limit == 0 || limit > kLimitMax) return bad_limit(limit);
        return tasks_.list(tenant, task, limit, before);
    }
    Result<tasks::TaskSummary> task_summary(std::string_view tenant, std::string_view task,
                                            std::uint32_t recent) override {
        return tasks_.summary(tenant, task, recent);
    }
    Result<std::vector<tasks::Checkpoint>> list_tasks(std::string_view tenant,
                                                      std::uint32_t limit) override {
        if (limit == 0 || limit > kLimitMax) return bad_limit(limit);
        return tasks_.tasks(tenant, limit);
    }
    Result<void> remove_task(std::string_view tenant, std::string_view task) override {
        return tasks_.remove(tenant, task);
    }

    facts::FactStore& facts(std::string_view tenant) override {
        return *facts_.at(&truth_->store_of(tenant));
    }

    StoreStats stats() override {
        StoreStats stats = truth_->stats().value_or(StoreStats{});
        stats.indexes_open = indexes_.open();
        stats.index_bytes = indexes_.bytes();
        stats.embedder = embedder_ ? embedder_->id() : "";
        stats.truth = location_;
        stats.sessions = sessions_location_;
        return stats;
    }
    Result<void> settle() override {
        if (job_) DG_TRY(job_->settle());
        return truth_->flush_touches();
    }

private:
    UnixMs now() const { return clock_.unix_ns() / 1'000'000; }

    static std::unexpected<base::Error> bad_limit(std::uint32_t limit) {
        return fail_on("limit", Code::invalid_argument, "'limit' is {}, expected 1 to {}", limit,
                       kLimitMax);
    }

    /// Indexes hear of a change before its caller does.
    Result<Entry> told(std::string_view tenant, Result<truth::Change> change) {
        if (!change) return std::unexpected(std::move(change).error());
        indexes_.apply(tenant, std::span(&*change, 1));
        if (job_ && !change->gone) job_->notify();
        return std::move(change->entry);
    }
    void tell_each(std::span<const truth::Change> changes) {
        std::map<std::string_view, std::vector<truth::Change>> by_tenant;
        for (const auto& change : changes) by_tenant[change.entry.scope.tenant].push_back(change);
        for (const auto& [tenant, of_it] : by_tenant) indexes_.apply(tenant, of_it);
    }

    const std::string location_, sessions_location_;  // as they may be shown
    const base::Clock& clock_;
    const std::shared_ptr<Embedder> embedder_;  // null: words alone
    const EntryLimits limits_;
    const std::unique_ptr<truth::Truth> lasting_, sessions_, tiered_;  // sessions may be null
    truth::Truth* const truth_;                                        // of both
    IndexCache indexes_;
    tasks::TaskStore tasks_;
    const FactStores facts_;  // by shard
    Keeper keeper_;
    std::unique_ptr<embed::EmbeddingJob> job_;
};

/// What one search found in the index, with rows instead of slots: slots mean nothing once the
/// reader is gone.
struct Found {
    recall::Ranking ranking = {};
    std::vector<truth::RowId> rows = {};  ///< of ranking.ranked
    std::vector<std::vector<truth::RowId>> before = {}, after = {};
};

std::vector<truth::RowId> rows_of(const index::Reader& reader, std::span<const index::Slot> slots) {
    std::vector<truth::RowId> rows;
    for (const index::Slot slot : slots) rows.push_back(reader.facts(slot).row);
    return rows;
}

Result<Found> find(index::TenantIndex& index, const Query& query, std::span<const float> embedding,
                   const SignalWeights& weights, UnixMs now) {
    const auto reader = index.read();
    Found found{.ranking = DG_TRY(recall::rank(*reader, query, embedding, weights, now))};
    for (const auto& ranked : found.ranking.ranked) {
        found.rows.push_back(reader->facts(ranked.slot).row);
        if (query.neighbours == 0) continue;
        found.before.push_back(rows_of(*reader, reader->before(ranked.slot, query.neighbours)));
        found.after.push_back(rows_of(*reader, reader->after(ranked.slot, query.neighbours)));
    }
    return found;
}

bool only_short_term(const Filter& filter) {
    return filter.types.size() == 1 && filter.types[0] == MemoryType::short_term;
}

Result<void> check_query(const Query& query, std::uint32_t dims) {
    if (query.text.empty() && query.embedding.empty()) {
        return fail_on("query", Code::invalid_argument,
                       "there is nothing to search for; to see entries in order, list them");
    }
    if (query.text.size() > kQueryBytesMax) {
        return fail_on("query", Code::payload_too_large, "the query has {} bytes; the most is {}",
                       query.text.size(), kQueryBytesMax);
    }
    if (!query.embedding.empty() && query.embedding.size() != dims) {
        return fail_on("embedding", Code::invalid_argument,
                       "'embedding' has {} numbers; this store's embedder makes {}",
                       query.embedding.size(), dims);
    }
    if (std::ranges::any_of(query.embedding, [](float x) { return !std::isfinite(x); })) {
        return fail_on("embedding", Code::invalid_argument,
                       "'embedding' has a number that is none");
    }
    return {};
}

/// Gives hits their neighbours: each entry once, and not where it is a hit itself.
Result<void> add_neighbours(truth::Truth& truth, const Query& query, const Found& found,
                            std::span<const std::size_t> ranks, std::vector<Hit>& hits) {
    std::set<truth::RowId> shown;
    for (const std::size_t rank : ranks) shown.insert(found.rows[rank]);
    std::vector<truth::RowId> rows;
    std::map<truth::RowId, std::vector<Entry>*> places;
    for (std::size_t i = 0; i < hits.size(); ++i) {
        const auto take = [&](const std::vector<truth::RowId>& side, std::vector<Entry>& into) {
            for (const truth::RowId row : side) {
                if (!shown.insert(row).second) continue;
                rows.push_back(row);
                places.emplace(row, &into);
            }
        };
        take(found.before[ranks[i]], hits[i].before);
        take(found.after[ranks[i]], hits[i].after);
    }
    return truth.each_row(query.filter.scope.tenant, rows, [&](truth::RowId row, Entry&& entry) {
        places.at(row)->push_back(std::move(entry));
    });
}

Result<std::vector<Hit>> fetch(truth::Truth& truth, const Query& query, Found& found) {
    std::vector<Hit> hits;
    std::map<truth::RowId, std::size_t> rank_of;
    std::map<MemoryId, std::size_t> ranks_by_id;
    for (std::size_t i = 0; i < found.rows.size(); ++i) rank_of.emplace(found.rows[i], i);
    // What was removed since the index was asked is left out.
    DG_TRY(
        truth.each_row(query.filter.scope.tenant, found.rows, [&](truth::RowId row, Entry&& entry) {
            const std::size_t rank = rank_of.at(row);
            ranks_by_id.emplace(entry.id, rank);
            auto& parts = found.ranking.ranked[rank].parts;
            Hit hit{.entry = std::move(entry)};
            hit.score = parts.total;
            if (query.explain) hit.parts = std::move(parts);
            hits.push_back(std::move(hit));
        }));
    recall::collapse_duplicates(hits);
    if (hits.size() > query.limit) hits.resize(query.limit);
    if (query.neighbours != 0) {
        std::vector<std::size_t> ranks;
        for (const Hit& hit : hits) ranks.push_back(ranks_by_id.at(hit.entry.id));
        DG_TRY(add_neighbours(truth, query, found, ranks, hits));
    }
    recall::pack(hits, query.tokens_max);
    return hits;
}

Result<Answer> EmbeddedStore::search(const Query& query) {
    if (query.limit == 0 || query.limit > kLimitMax) return bad_limit(query.limit);
    DG_TRY(check_query(query, limits_.embedding_dims));
    Answer answer;
    const SignalWeights weights =
        query.weights.value_or(recall::weights_for(embedder_ ? embedder_->id() : ""));
    std::vector<float> embedding = query.embedding;
    if (embedding.empty() && embedder_ && weights.vector > 0) {
        const std::string_view text = query.text;
        embedding.resize(embedder_->dims());
        const auto done = embedder_->embed(std::span(&text, 1), EmbedSide::query, embedding);
        answer.embedding_missing = !done;
        if (!done) embedding.clear();
    }
    const std::string& tenant = query.filter.scope.tenant;
    const auto [index, sessions_missing] = DG_TRY(indexes_.get(tenant));
    answer.sessions_missing = sessions_missing;
    if (sessions_missing && only_short_term(query.filter)) {
        return fail(Code::unavailable,
                    "short-term memories are in Redis at {}, which cannot be reached; all others "
                    "are found as ever",
                    sessions_location_);
    }
    const UnixMs asked = query.as_of_unix_ms != 0 ? query.as_of_unix_ms : now();
    Found found = DG_TRY(find(*index, query, embedding, weights, asked));
    answer.confidence = found.ranking.confidence;
    answer.candidates = found.ranking.candidates;
    if (query.explain) answer.plan = std::move(found.ranking.plan);
    answer.hits = DG_TRY(fetch(*truth_, query, found));
    if (query.touch) {
        std::vector<MemoryId> ids;
        for (const Hit& hit : answer.hits) ids.push_back(hit.entry.id);
        truth_->touch(tenant, ids, now());
    }
    return answer;
}

}  // namespace

Result<std::unique_ptr<MemoryStore>> MemoryStore::open(const StoreOptions& options,
                                                       std::shared_ptr<Embedder> embedder,
                                                       const base::Clock& clock) {
    auto truth = DG_TRY(truth::Truth::open(options, clock));
    std::unique_ptr<truth::Truth> sessions;
    if (!options.sessions.empty()) sessions = DG_TRY(truth::open_session_truth(options, clock));
    DG_TRY(tasks::TaskStore(*truth, clock).open());
    EmbeddedStore::FactStores facts;
    DG_TRY(truth->each_store([&](base::store::Store& store) -> Result<void> {
        facts.emplace(&store, DG_TRY(facts::FactStore::open(store, clock)));
        return {};
    }));
    return std::make_unique<EmbeddedStore>(options, std::move(truth), std::move(sessions),
                                           std::move(facts), std::move(embedder), clock);
}

}  // namespace memory
