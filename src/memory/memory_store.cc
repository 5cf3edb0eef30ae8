#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>
#include <utility>

#include "base/core/url_password.h"
#include "memory/compress/compressor.h"
#include "memory/compress/overflow_job.h"
#include "memory/embed/embedding_job.h"
#include "memory/facts/extraction_job.h"
#include "memory/facts/fact_store.h"
#include "memory/forget/forgetter.h"
#include "memory/index_cache.h"
#include "memory/knowledge/knowledge_store.h"
#include "memory/memory.h"
#include "memory/profile/profile_store.h"
#include "memory/recall/packing.h"
#include "memory/recall/recall.h"
#include "memory/recall/weights.h"
#include "memory/tasks/task_store.h"
#include "memory/text/analyzer.h"
#include "memory/truth/memory_id.h"
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
constexpr std::uint32_t kLimitMax = 1'000, kRerankMax = 200, kNearMax = 64;
constexpr std::size_t kQueryBytesMax = 16u << 10;

/// With the shard files, so that what an index need not hold in memory is not held there.
std::string spill_dir_of(const StoreOptions& options) {
    // Words and metadata of sealed memories stay off the disk.
    if (options.encryption != Encryption::off) return "";
    if (!options.spill_dir.empty()) return options.spill_dir;
    return options.location.find("://") == std::string::npos ? options.location : "/tmp";
}

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

std::vector<truth::RowId> rows_of(const index::Reader& reader, std::span<const index::Slot> slots) {
    std::vector<truth::RowId> rows;
    for (const index::Slot slot : slots) rows.push_back(reader.facts(slot).row);
    return rows;
}

class EmbeddedStore final : public MemoryStore, private knowledge::PassageStore {
public:
    using FactStores = std::map<const base::store::Store*, std::unique_ptr<facts::FactStore>>;

    /// `sessions` may be null; `facts` are of `lasting`.
    EmbeddedStore(const StoreOptions& options, std::unique_ptr<truth::Truth> lasting,
                  std::unique_ptr<truth::SessionTruth> sessions, FactStores facts,
                  std::shared_ptr<Embedder> embedder, const base::Clock& clock)
        : location_(base::without_password(options.location)),
          sessions_location_(base::without_password(options.sessions)),
          clock_(clock),
          embedder_(std::move(embedder)),
          reranker_(options.reranker),
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
                    .spill_dir = spill_dir_of(options)}),
          tasks_(*truth_, clock_),
          facts_(std::move(facts)),
          extraction_(options.extractor ? std::make_unique<facts::ExtractionJob>(
                                              *truth_, stores_of_facts(),
                                              [](std::string_view tenant) {
                                                  return !knowledge::is_passage_tenant(tenant);
                                              },
                                              options.extractor)
                                        : nullptr),
          job_(embedder_ ? std::make_unique<embed::EmbeddingJob>(
                               *truth_, embedder_, [this](auto changes) { tell_each(changes); })
                         : nullptr),
          keeper_(*truth_, clock_, [this](auto changes) { tell_each(changes); }) {}
    /// Before anything is asked of it.
    Result<void> prepare(const StoreOptions& options) {
        bases_ = DG_TRY(
            knowledge::make_knowledge_bases(*this, knowledge::make_parser_process(), clock_));
        profiles_ = DG_TRY(profile::make_profiles(*truth_, clock_));
        compressor_ = DG_TRY(compress::make_compressor(
            *truth_, embedder_ ? embedder_->id() : "", options.versions_keep_ms, clock_,
            [this](std::string_view tenant, std::span<const truth::Change> changes) {
                heard(tenant, changes);
            },
            options.summarizer));
        if (!options.compress_when.never()) {
            overflow_ = std::make_unique<compress::OverflowJob>(
                *compressor_, options.compress_when, options.summarizer != nullptr,
                [this](const Scope& scope, truth::RowId row) { return measure(scope, row); });
            overflowing_ = overflow_.get();
        }
        forget::Hooks hooks;
        hooks.hear = [this](std::string_view tenant, auto changes) { heard(tenant, changes); };
        hooks.purge_index = [this](std::string_view tenant) { indexes_.purge(tenant); };
        hooks.reload_facts = [this](std::string_view tenant) { facts(tenant).reload(tenant); };
        forgetting_ = DG_TRY(forget::make_forgetting(*truth_, sessions_.get(), std::move(hooks),
                                                     clock_, options.forget_deadline_ms));
        return {};
    }
    ~EmbeddedStore() override {
        overflowing_ = nullptr;
        static_cast<void>(truth_->flush_touches());
    }

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
        heard(entries[0].scope.tenant, written.changes);
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
        if (!saved.changes.empty()) heard(scope.tenant, saved.changes);
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

    knowledge::KnowledgeBases& knowledge() override { return *bases_; }
    Result<std::vector<Added>> exchange(std::string_view tenant, std::span<const MemoryId> gone,
                                        std::span<const NewEntry> entries, std::string_view by,
                                        const Also& also) override {
        for (const NewEntry& entry : entries) DG_TRY(check_entry(entry, limits_));
        auto written = DG_TRY(
            truth_->exchange(tenant, gone, entries, by, embedder_ ? embedder_->id() : "", also));
        heard(tenant, written.changes);
        return std::move(written.added);
    }
    base::store::Store& store_of(std::string_view tenant) override {
        return truth_->store_of(tenant);
    }
    Result<void> each_store(const std::function<Result<void>(base::store::Store&)>& each) override {
        return truth_->each_store(each);
    }
    forget::Forgetting& forgetting() override { return *forgetting_; }
    compress::Compressor& compressor() override { return *compressor_; }
    profile::Profiles& profiles() override { return *profiles_; }

    StoreStats stats() override {
        StoreStats stats = truth_->stats(knowledge::kPassages).value_or(StoreStats{});
        stats.indexes_open = indexes_.open();
        stats.index_bytes = indexes_.bytes();
        stats.forgets_open = forgetting_->open();
        if (overflow_) overflow_->stats(stats);
        stats.embedder = embedder_ ? embedder_->id() : "";
        stats.truth = location_;
        stats.sessions = sessions_location_;
        return stats;
    }
    std::vector<Finding> check(std::string_view tenant) override;
    Result<void> settle() override {
        if (job_) DG_TRY(job_->settle());
        if (overflow_) DG_TRY(overflow_->settle());
        if (extraction_) DG_TRY(extraction_->settle());
        return truth_->flush_touches();
    }

private:
    UnixMs now() const { return clock_.unix_ns() / 1'000'000; }

    static std::unexpected<base::Error> bad_limit(std::uint32_t limit) {
        return fail_on("limit", Code::invalid_argument, "'limit' is {}, expected 1 to {}", limit,
                       kLimitMax);
    }

    facts::ExtractionJob::StoreOf stores_of_facts() {
        return [this](std::string_view tenant) -> facts::FactStore& { return facts(tenant); };
    }
    void heard(std::string_view tenant, std::span<const truth::Change> changes) {
        indexes_.apply(tenant, changes);
        if (job_) job_->notify();
        if (extraction_) extraction_->notify(tenant);
        compress::OverflowJob* overflowing = overflowing_;
        if (overflowing != nullptr && !knowledge::is_passage_tenant(tenant)) {
            overflowing->notify(changes);
        }
    }
    /// A session by its index: what the tenant has beside it is not read.
    Result<compress::SessionSize> measure(const Scope& scope, truth::RowId row) {
        std::vector<truth::RowId> rows;
        {
            const auto index = DG_TRY(indexes_.get(scope.tenant)).index;
            const auto reader = index->read();
            const auto slot = reader->slot_of(row);
            if (!slot) return compress::SessionSize{};  // gone again: the next one tells
            rows = rows_of(*reader, reader->session_slots(reader->facts(*slot).session));
        }
        std::ranges::sort(rows);  // those that changed are there more than once
        rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
        compress::SessionSize size;
        DG_TRY(truth_->each_row(scope.tenant, rows, [&](truth::RowId, Entry&& entry) {
            if (entry.scope != scope) return;
            ++size.entries;
            size.tokens += text::count_tokens(entry.content);
        }));
        return size;
    }
    /// Indexes hear of a change before its caller does.
    Result<Entry> told(std::string_view tenant, Result<truth::Change> change) {
        if (!change) return std::unexpected(std::move(change).error());
        heard(tenant, std::span(&*change, 1));
        return std::move(change->entry);
    }
    void tell_each(std::span<const truth::Change> changes) {
        std::map<std::string_view, std::vector<truth::Change>> by_tenant;
        for (const auto& change : changes) by_tenant[change.entry.scope.tenant].push_back(change);
        for (const auto& [tenant, of_it] : by_tenant) {
            indexes_.apply(tenant, of_it);
            const bool gone = std::ranges::any_of(of_it, [](const auto& one) { return one.gone; });
            if (gone && extraction_) extraction_->notify(tenant);
        }
    }

    const std::string location_, sessions_location_;  // as they may be shown
    const base::Clock& clock_;
    const std::shared_ptr<Embedder> embedder_;  // null: words alone
    const std::shared_ptr<Reranker> reranker_;  // null: none
    const EntryLimits limits_;
    const std::unique_ptr<truth::Truth> lasting_;
    const std::unique_ptr<truth::SessionTruth> sessions_;  // may be null
    const std::unique_ptr<truth::Truth> tiered_;           // of both; null without sessions
    truth::Truth* const truth_;                            // of both
    IndexCache indexes_;
    tasks::TaskStore tasks_;
    const FactStores facts_;  // by shard
    std::unique_ptr<knowledge::KnowledgeBases> bases_;
    // What runs in the background uses all that stands above.
    std::unique_ptr<facts::ExtractionJob> extraction_;
    std::unique_ptr<embed::EmbeddingJob> job_;
    Keeper keeper_;
    std::unique_ptr<profile::Profiles> profiles_;
    std::unique_ptr<compress::Compressor> compressor_;
    std::unique_ptr<compress::OverflowJob> overflow_;            // null: never
    std::atomic<compress::OverflowJob*> overflowing_ = nullptr;  // while it takes notice
    std::unique_ptr<forget::Forgetting> forgetting_;             // stopped first
};

/// What one search found in the index, with rows instead of slots: slots mean nothing once the
/// reader is gone.
struct Found {
    recall::Ranking ranking = {};
    std::vector<truth::RowId> rows = {};  ///< of ranking.ranked
    std::vector<std::vector<truth::RowId>> before = {}, after = {};
};

Result<Found> find(index::TenantIndex& index, const Query& query, std::span<const float> embedding,
                   const SignalWeights& weights, UnixMs now,
                   std::span<const facts::NearSource> near) {
    const auto reader = index.read();
    std::vector<index::Scored> slots;
    for (const auto& [source, weight] : near) {
        const auto row = truth::row_of(source);
        const auto slot = row ? reader->slot_of(*row) : std::nullopt;
        if (slot) slots.push_back({*slot, weight});
    }
    Found found{.ranking = DG_TRY(recall::rank(*reader, query, embedding, weights, now, slots))};
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
                            std::vector<Hit>& hits) {
    std::map<truth::RowId, std::size_t> rank_of;
    for (std::size_t i = 0; i < found.rows.size(); ++i) rank_of.emplace(found.rows[i], i);
    std::vector<std::size_t> ranks;
    std::set<truth::RowId> shown;
    for (const Hit& hit : hits) {
        const truth::RowId row = *truth::row_of(hit.entry.id);
        ranks.push_back(rank_of.at(row));
        shown.insert(row);
    }
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

/// At least `wanted` hits, if there are so many, best first, without duplicates. What was found
/// beyond them is read only where it may be one of their duplicates, or to stand in for what was
/// removed since the index was asked.
Result<std::vector<Hit>> fetch(truth::Truth& truth, const Query& query, const Found& found,
                               std::size_t wanted) {
    const auto& ranked = found.ranking.ranked;
    std::vector<std::size_t> ranks, spare;
    std::set<std::uint64_t> words;
    for (std::size_t i = 0; i < ranked.size(); ++i) {
        const bool is_read = words.size() < wanted || words.contains(ranked[i].words);
        (is_read ? ranks : spare).push_back(i);
        if (is_read) words.insert(ranked[i].words);
    }
    std::vector<std::pair<std::size_t, Hit>> read;  // with their ranks
    const auto load = [&](const std::vector<std::size_t>& of) {
        std::vector<truth::RowId> rows;
        for (const std::size_t rank : of) rows.push_back(found.rows[rank]);
        std::size_t at = 0;  // in rows: they come in that order, some are gone
        return truth.each_row(query.filter.scope.tenant, rows,
                              [&](truth::RowId row, Entry&& entry) {
                                  while (rows[at] != row) ++at;
                                  Hit hit{.entry = std::move(entry)};
                                  hit.parts = ranked[of[at]].parts;
                                  hit.score = hit.parts.total;
                                  read.emplace_back(of[at], std::move(hit));
                              });
    };
    DG_TRY(load(ranks));
    if (read.size() < ranks.size() && !spare.empty()) DG_TRY(load(spare));
    std::ranges::stable_sort(read, {}, [](const auto& one) { return one.first; });
    std::vector<Hit> hits;
    std::vector<std::uint64_t> of_hits;
    for (auto& [rank, hit] : read) {
        of_hits.push_back(ranked[rank].words);
        hits.push_back(std::move(hit));
    }
    recall::collapse_duplicates(hits, of_hits);
    return hits;
}

/// Orders the first hits by what the reranker says of them; those behind stay behind.
Result<void> rerank(Reranker& reranker, const Query& query, std::vector<Hit>& hits) {
    const std::size_t read = std::min<std::size_t>(query.rerank, hits.size());
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < read; ++i) {
        const Entry& entry = hits[i].entry;
        texts.push_back(entry.speaker.empty() ? entry.content
                                              : entry.speaker + ": " + entry.content);
    }
    const std::vector<float> scores = DG_TRY(reranker.score(query.text, texts));
    if (scores.size() != read) {
        return fail(Code::internal, "{} gave {} scores for {} texts", reranker.id(), scores.size(),
                    read);
    }
    for (std::size_t i = 0; i < read; ++i) hits[i].score = hits[i].parts.rerank = scores[i];
    std::stable_sort(hits.begin(), hits.begin() + static_cast<std::ptrdiff_t>(read),
                     [](const Hit& a, const Hit& b) { return a.score > b.score; });
    return {};
}

Result<Answer> EmbeddedStore::search(const Query& query) {
    if (query.limit == 0 || query.limit > kLimitMax) return bad_limit(query.limit);
    if (query.rerank > kRerankMax) {
        return fail_on("rerank", Code::invalid_argument, "'rerank' is {}, expected 0 to {}",
                       query.rerank, kRerankMax);
    }
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
    auto [index, sessions_missing] = DG_TRY(indexes_.get(tenant));
    answer.sessions_missing = sessions_missing;
    if (sessions_missing && only_short_term(query.filter)) {
        return fail(Code::unavailable,
                    "short-term memories are in Redis at {}, which cannot be reached; all others "
                    "are found as ever",
                    sessions_location_);
    }
    const UnixMs asked = query.as_of_unix_ms != 0 ? query.as_of_unix_ms : now();
    Query wide = query;
    wide.limit = std::max(query.limit, query.rerank);
    std::vector<facts::NearSource> near;
    if (weights.graph > 0 && !query.text.empty()) {
        near = DG_TRY(facts(tenant).near_sources(tenant, query.text, kNearMax));
    }
    Found found = DG_TRY(find(*index, wide, embedding, weights, asked, near));
    if (!index->sound()) {  // the disk failed while it was read: once more, made anew
        index = DG_TRY(indexes_.get(tenant)).index;
        found = DG_TRY(find(*index, wide, embedding, weights, asked, near));
        DG_TRY(index->sound());
    }
    answer.confidence = found.ranking.confidence;
    answer.candidates = found.ranking.candidates;
    if (query.explain) answer.plan = std::move(found.ranking.plan);
    answer.hits = DG_TRY(fetch(*truth_, query, found, wide.limit));
    if (query.rerank > 0 && !query.text.empty()) {
        answer.rerank_missing = !reranker_ || !rerank(*reranker_, query, answer.hits);
    }
    if (answer.hits.size() > query.limit) answer.hits.resize(query.limit);
    if (query.neighbours != 0) DG_TRY(add_neighbours(*truth_, query, found, answer.hits));
    recall::pack(answer.hits, query.tokens_max);
    if (query.touch) {
        std::vector<MemoryId> ids;
        for (const Hit& hit : answer.hits) ids.push_back(hit.entry.id);
        truth_->touch(tenant, ids, now());
    }
    return answer;
}

Finding finding(std::string what, const Result<std::string>& found) {
    return {.what = std::move(what),
            .sound = found.has_value(),
            .detail = found ? *found : found.error().message};
}

/// Whether the index has what the truth has, entry by entry in number.
Result<std::string> check_index(truth::Truth& truth, IndexCache& indexes, std::string_view tenant,
                                UnixMs now) {
    const auto index = DG_TRY(indexes.get(tenant)).index;
    std::uint64_t live = 0;
    DG_TRY(truth.changes(tenant, 0, "", [&](truth::Change&& change) {
        live += change.gone || change.entry.type == MemoryType::short_term ? 0 : 1;
        return true;
    }));
    Filter all;  // but those that may be elsewhere
    all.types = {MemoryType::working, MemoryType::long_term, MemoryType::episodic,
                 MemoryType::semantic};
    all.scope.tenant = tenant;
    const auto reader = index->read();
    const std::uint64_t indexed = reader->count(*DG_TRY(reader->select(all, now)));
    if (indexed == live) return fmt::format("{} entries of '{}' are indexed", indexed, tenant);
    return fail(Code::data_loss,
                "the index of '{}' has {} entries, the files {}; restart to build it anew", tenant,
                indexed, live);
}

std::vector<Finding> EmbeddedStore::check(std::string_view tenant) {
    std::vector<Finding> out;
    const StoreStats now_there = stats();
    const auto files = truth_->check();
    out.push_back(finding(
        "files", files ? Result<std::string>(fmt::format("{} entries, {} versions, {} bytes: sound",
                                                         now_there.entries, now_there.versions,
                                                         now_there.truth_bytes))
                       : std::unexpected(files.error())));
    out.push_back(finding("indexes", check_index(*truth_, indexes_, tenant, now())));
    const auto job = [&](std::string what, std::string done, auto* runs) {
        if (runs == nullptr) return out.push_back({std::move(what), true, "off"});
        const auto settled = runs->settle();
        out.push_back(finding(std::move(what), settled ? Result<std::string>(std::move(done))
                                                       : std::unexpected(settled.error())));
    };
    job("embeddings", "every entry has a vector of " + now_there.embedder, job_.get());
    job("facts", "every entry was read", extraction_.get());
    return out;
}

}  // namespace

Result<std::unique_ptr<MemoryStore>> MemoryStore::open(const StoreOptions& options,
                                                       std::shared_ptr<Embedder> embedder,
                                                       const base::Clock& clock) {
    auto truth = DG_TRY(truth::Truth::open(options, clock));
    std::unique_ptr<truth::SessionTruth> sessions;
    if (!options.sessions.empty()) sessions = DG_TRY(truth::open_session_truth(options, clock));
    DG_TRY(tasks::TaskStore(*truth, clock).open());
    EmbeddedStore::FactStores facts;
    DG_TRY(truth->each_store([&](base::store::Store& store) -> Result<void> {
        facts.emplace(&store,
                      DG_TRY(facts::FactStore::open(store, clock, truth->sealing_in(store))));
        return {};
    }));
    auto store = std::make_unique<EmbeddedStore>(options, std::move(truth), std::move(sessions),
                                                 std::move(facts), std::move(embedder), clock);
    DG_TRY(store->prepare(options));
    return std::unique_ptr<MemoryStore>(std::move(store));
}

}  // namespace memory
