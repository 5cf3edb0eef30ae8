#include "memory/compress/compressor.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/core/rng.h"
#include "base/core/utf8.h"
#include "base/json/json.h"
#include "memory/text/analyzer.h"
#include "memory/truth/forgotten.h"
#include "memory/truth/memory_id.h"
#include "memory/truth/rewrite.h"

namespace memory::compress {
namespace {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::Result;
using base::store::Row;
using base::store::Transaction;

constexpr std::size_t kEntriesMax = 100'000;
constexpr std::string_view kChange = "compressed";
constexpr std::string_view kMark = "compression";  // metadata of a summary

const std::vector<std::string>& schema_steps() {
    static const std::vector<std::string> kSteps = {
        "CREATE TABLE compression (tenant TEXT NOT NULL, id TEXT NOT NULL, request_key TEXT NOT "
        "NULL, done_by TEXT NOT NULL, scope_user TEXT NOT NULL, scope_agent TEXT NOT NULL, "
        "scope_session TEXT NOT NULL, scope_run TEXT NOT NULL, applied BIGINT NOT NULL, undone "
        "BIGINT NOT NULL, entries_before BIGINT NOT NULL, entries_after BIGINT NOT NULL, "
        "tokens_before BIGINT NOT NULL, tokens_after BIGINT NOT NULL, merged BIGINT NOT NULL, "
        "dropped BIGINT NOT NULL, summaries BIGINT NOT NULL, PRIMARY KEY (tenant, id))",
        "CREATE UNIQUE INDEX compression_key ON compression(tenant, request_key) WHERE request_key "
        "<> ''",
        "CREATE TABLE compression_entry (tenant TEXT NOT NULL, compression TEXT NOT NULL, memory "
        "TEXT NOT NULL, summary BIGINT NOT NULL, PRIMARY KEY (tenant, compression, memory))",
        "ALTER TABLE compression ADD COLUMN by_model BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE compression ADD COLUMN summary_error TEXT NOT NULL DEFAULT ''"};
    return kSteps;
}

constexpr std::string_view kColumns =
    "id, done_by, scope_user, scope_agent, scope_session, scope_run, applied, undone, "
    "entries_before, entries_after, tokens_before, tokens_after, merged, dropped, summaries, "
    "by_model, "
    "summary_error";

/// What a plan was made of.
struct Gathered {
    std::vector<Entry> entries;
    std::vector<std::vector<float>> vectors;
    std::map<MemoryId, const Entry*> by_id() const {
        std::map<MemoryId, const Entry*> out;
        for (const Entry& entry : entries) out[entry.id] = &entry;
        return out;
    }
};

/// Fields that all have with the same value.
json::object common_metadata(const std::vector<const Entry*>& entries) {
    json::object out = entries.front()->metadata;
    for (const Entry* entry : entries) {
        std::vector<std::string> other;
        for (const auto& field : out) {
            const json::value* value = entry->metadata.if_contains(field.key());
            if (value == nullptr || *value != field.value()) other.emplace_back(field.key());
        }
        for (const std::string& name : other) out.erase(name);
    }
    return out;
}

NewEntry summary_of(const Merge& merge, const std::map<MemoryId, const Entry*>& by_id,
                    const CompressionId& id) {
    std::vector<const Entry*> of;
    for (const MemoryId& one : merge.ids) of.push_back(by_id.at(one));
    const Entry& first = *of.front();
    NewEntry out{.type = first.type, .scope = first.scope, .content = merge.summary};
    const bool one_speaker = std::ranges::all_of(
        of, [&](const Entry* entry) { return entry->speaker == first.speaker; });
    if (one_speaker) out.speaker = first.speaker;
    out.metadata = common_metadata(of);
    // Also keeps it from being merged into one of its sources.
    out.metadata[kMark] = id;
    out.created_unix_ms = merge.created_unix_ms;
    out.importance = merge.importance;
    out.sources = merge.sources;
    return out;
}

/// A merge with a model's summary: each sentence names what it is of, and then every entry whole.
/// Errors: the model's; internal, where what it wrote is none.
Result<void> write_summary(Summarizer& writer, const std::map<MemoryId, const Entry*>& by_id,
                           std::uint32_t sentences_max, Merge& merge) {
    std::vector<std::string> texts;
    std::uint64_t tokens = 0;
    for (const MemoryId& id : merge.ids) {
        const Entry& entry = *by_id.at(id);
        texts.push_back(entry.speaker.empty() ? entry.content
                                              : entry.speaker + ": " + entry.content);
        tokens += text::count_tokens(texts.back());
    }
    const auto sentences = DG_TRY(writer.summarize(texts, sentences_max));
    std::string summary;
    std::vector<SourceSpan> sources;
    const auto bad = [&](std::string_view what) {
        return base::fail(Code::internal, "{} wrote no summary of {} memories: {}", writer.id(),
                          texts.size(), what);
    };
    if (sentences.empty() || sentences.size() > sentences_max)
        return bad("too few or many sentences");
    for (const Sentence& one : sentences) {
        if (one.text.empty() || one.of.empty()) return bad("a sentence without words or sources");
        if (base::utf8_valid_prefix_bytes(one.text) != one.text.size()) return bad("no UTF-8");
        summary += (summary.empty() ? "" : " ") + one.text;
        for (const std::uint32_t of : one.of) {
            if (of >= merge.ids.size()) return bad("a source that there is not");
            const SourceSpan span{.source = merge.ids[of]};
            if (std::ranges::find(sources, span) == sources.end()) sources.push_back(span);
        }
    }
    if (text::count_tokens(summary) >= tokens) return bad("it is as long as what it is of");
    for (const MemoryId& id : merge.ids) {
        const SourceSpan span{.source = id};
        if (std::ranges::find(sources, span) == sources.end()) sources.push_back(span);
    }
    merge.summary = std::move(summary);
    merge.sources = std::move(sources);
    return {};
}

class SqlCompressor final : public Compressor {
public:
    SqlCompressor(truth::Truth& truth, std::string model, std::int64_t undo_ms,
                  const base::Clock& clock, Hear hear, std::shared_ptr<Summarizer> summarizer)
        : truth_(truth),
          model_(std::move(model)),
          undo_ms_(undo_ms),
          clock_(clock),
          hear_(std::move(hear)),
          summarizer_(std::move(summarizer)) {}

    Result<void> prepare() {
        return truth_.each_store([](base::store::Store& store) {
            return base::store::migrate(store, "compress", schema_steps());
        });
    }

    Result<Preview> preview(const Request& request) override {
        return planned(DG_TRY(gather(request)), request.policy);
    }

    Result<Compression> apply(const Request& request) override {
        if (!request.idempotency_key.empty()) {
            auto before = DG_TRY(find(request.scope.tenant, "", request.idempotency_key, 1));
            if (!before.empty()) return std::move(before.front());
        }
        const Gathered gathered = DG_TRY(gather(request));
        Preview preview = planned(gathered, request.policy);
        const auto by_id = gathered.by_id();
        std::uint64_t by_model = 0;
        std::string why;
        if (request.by_model && summarizer_ != nullptr) {
            for (Merge& merge : preview.plan.merge) {
                preview.tokens_after -= text::count_tokens(merge.summary);
                const auto wrote =
                    write_summary(*summarizer_, by_id, request.policy.summary_sentences_max, merge);
                preview.tokens_after += text::count_tokens(merge.summary);
                by_model += wrote ? 1 : 0;
                if (!wrote) why = wrote.error().message;
            }
        }
        Compression done = record_of(request, preview);
        done.summaries_by_model = by_model;
        done.summary_error = std::move(why);
        std::vector<NewEntry> summaries;
        for (const Merge& merge : preview.plan.merge) {
            summaries.push_back(summary_of(merge, by_id, done.id));
        }
        std::vector<MemoryId> gone;
        for (const Merge& merge : preview.plan.merge) {
            gone.insert(gone.end(), merge.ids.begin(), merge.ids.end());
        }
        for (const Decision& drop : preview.plan.drop) gone.push_back(drop.id);
        std::vector<truth::Change> removed;
        const auto take_out = [&](Transaction& tx,
                                  const std::vector<Added>& added) -> Result<void> {
            removed.clear();
            truth::Rewrite how = DG_TRY(rewrite(tx, request.scope.tenant, request.by));
            truth::Sequence sequence = DG_TRY(numbers(tx, request.scope.tenant, gone));
            for (const MemoryId& id : gone) {
                removed.push_back(
                    DG_TRY(truth::remove_entry(tx, how, id, by_id.at(id)->version, ++sequence)));
                DG_TRY(write_entry(tx, request.scope.tenant, done.id, id, false));
            }
            for (const Added& one : added) {
                DG_TRY(write_entry(tx, request.scope.tenant, done.id, one.id, true));
            }
            return write_record(tx, done, request.idempotency_key);
        };
        std::vector<truth::Change> changes;
        if (summaries.empty()) {
            DG_TRY(truth_.store_of(request.scope.tenant).write([&](Transaction& tx) {
                return take_out(tx, {});
            }));
        } else {
            changes = DG_TRY(truth_.add(summaries, request.by, model_, take_out)).changes;
        }
        std::ranges::move(removed, std::back_inserter(changes));
        hear_(request.scope.tenant, changes);
        return done;
    }

    Result<Compression> undo(std::string_view tenant, std::string_view id,
                             std::string_view by) override {
        Compression of = DG_TRY(get(tenant, id));
        std::vector<truth::Change> changes;
        DG_TRY(truth_.store_of(tenant).write([&](Transaction& tx) -> Result<void> {
            changes.clear();
            const std::int64_t marked = DG_TRY(
                tx.run("UPDATE compression SET undone = $3 WHERE tenant = $1 AND id = $2 AND "
                       "undone = 0",
                       {tenant, id, now()}));
            if (marked == 0) {
                return fail_on("id", Code::failed_precondition, "{} was taken back already", id);
            }
            if (now() >= of.undo_until_unix_ms) {
                return fail_on("id", Code::failed_precondition,
                               "{} is too old to be taken back: what it removed is kept for {} "
                               "days",
                               id, undo_ms_ / 86'400'000);
            }
            return bring_back(tx, tenant, id, by, changes);
        }));
        hear_(tenant, changes);
        return get(tenant, id);
    }

    Result<Compression> get(std::string_view tenant, std::string_view id) override {
        auto found = id.empty() ? std::vector<Compression>{} : DG_TRY(find(tenant, id, "", 1));
        if (!found.empty()) return std::move(found.front());
        return fail_on("id", Code::not_found, "tenant {} has no compression {}", tenant,
                       id.substr(0, 64));
    }
    Result<std::vector<Compression>> list(std::string_view tenant, std::uint32_t limit) override {
        return find(tenant, "", "", limit);
    }

private:
    UnixMs now() const { return clock_.unix_ns() / 1'000'000; }

    Result<Gathered> gather(const Request& request) {
        DG_TRY(check_policy(request.policy));
        const Filter filter{.scope = request.scope, .labels = {}};
        Gathered out;
        DG_TRY(truth_.changes(request.scope.tenant, 0, model_, [&](truth::Change&& change) {
            if (change.gone || !matches(filter, change.entry, now())) return true;
            out.entries.push_back(std::move(change.entry));
            out.vectors.push_back(std::move(change.embedding));
            return out.entries.size() <= kEntriesMax;
        }));
        if (out.entries.size() <= kEntriesMax) return out;
        return fail_on("scope", Code::payload_too_large,
                       "more than {} memories; narrow it to a user or a session", kEntriesMax);
    }

    Preview planned(const Gathered& gathered, const Policy& policy) const {
        Preview out;
        // Vectors of two models cannot be compared, nor some without: then words decide for all.
        const bool vectors = std::ranges::none_of(
            gathered.vectors, [](const auto& vector) { return vector.empty(); });
        out.plan =
            plan(gathered.entries,
                 vectors ? std::span(gathered.vectors) : std::span<const std::vector<float>>{},
                 policy, now());
        std::map<MemoryId, std::uint64_t> tokens;
        for (const Entry& entry : gathered.entries) {
            const std::uint64_t count = text::count_tokens(entry.content);
            tokens[entry.id] = count;
            out.tokens_before += count;
        }
        for (const Decision& one : out.plan.keep) out.tokens_after += tokens[one.id];
        for (const Merge& one : out.plan.merge) out.tokens_after += text::count_tokens(one.summary);
        out.entries_before = gathered.entries.size();
        out.entries_after = out.plan.keep.size() + out.plan.merge.size();
        return out;
    }

    Compression record_of(const Request& request, const Preview& preview) const {
        Compression out;
        out.id = "compress-" + truth::make_id(now(), 0, base::entropy64()).substr(4);
        out.scope = request.scope;
        out.by = request.by;
        out.applied_unix_ms = now();
        out.undo_until_unix_ms = out.applied_unix_ms + undo_ms_;
        out.entries_before = preview.entries_before;
        out.entries_after = preview.entries_after;
        out.tokens_before = preview.tokens_before;
        out.tokens_after = preview.tokens_after;
        for (const Merge& merge : preview.plan.merge) out.merged += merge.ids.size();
        out.dropped = preview.plan.drop.size();
        out.summaries = preview.plan.merge.size();
        return out;
    }

    Result<truth::Rewrite> rewrite(Transaction& tx, std::string_view tenant, std::string_view by) {
        return truth::Rewrite{tenant,  DG_TRY(truth::tenant_number(tx, tenant)),
                              kChange, by,
                              now(),   truth_.sealing_of(tenant)};
    }

    /// For changes of just these; gives the one before the first.
    Result<truth::Sequence> numbers(Transaction& tx, std::string_view tenant,
                                    std::span<const MemoryId> ids) {
        std::vector<truth::RowId> rows;
        for (const MemoryId& id : ids) rows.push_back(truth::row_of(id).value_or(0));
        truth_.doubt_marks(tenant, rows);
        return truth_.take_sequences(tx, tenant, static_cast<std::int64_t>(rows.size()));
    }

    static Result<void> write_entry(Transaction& tx, std::string_view tenant,
                                    const CompressionId& id, const MemoryId& memory, bool summary) {
        DG_TRY(
            tx.run("INSERT INTO compression_entry(tenant, compression, memory, summary) VALUES "
                   "($1, $2, $3, $4)",
                   {tenant, id, memory, std::int64_t{summary}}));
        return {};
    }

    static Result<void> write_record(Transaction& tx, const Compression& of, std::string_view key) {
        const auto number = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
        DG_TRY(tx.run(fmt::format("INSERT INTO compression({}, tenant, request_key) VALUES ($1, "
                                  "$2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, "
                                  "$16, $17, $18, $19)",
                                  kColumns),
                      {of.id, of.by, of.scope.user, of.scope.agent, of.scope.session, of.scope.run,
                       of.applied_unix_ms, of.undone_unix_ms, number(of.entries_before),
                       number(of.entries_after), number(of.tokens_before), number(of.tokens_after),
                       number(of.merged), number(of.dropped), number(of.summaries),
                       number(of.summaries_by_model), of.summary_error, of.scope.tenant, key}));
        return {};
    }

    Result<void> bring_back(Transaction& tx, std::string_view tenant, std::string_view id,
                            std::string_view by, std::vector<truth::Change>& changes) {
        struct Item {
            MemoryId memory;
            bool summary = false;
        };
        std::vector<Item> items;
        DG_TRY(tx.query(
            "SELECT memory, summary FROM compression_entry WHERE tenant = $1 AND compression = $2",
            {tenant, id}, [&](const Row& row) {
                items.push_back({std::string(row.text(0)), row.integer(1) != 0});
                return true;
            }));
        const truth::Rewrite how = DG_TRY(rewrite(tx, tenant, by));
        truth::Rewrite summaries = how;
        summaries.change = "removed";
        std::vector<MemoryId> ids;
        for (const Item& item : items) ids.push_back(item.memory);
        truth::Sequence sequence = DG_TRY(numbers(tx, tenant, ids));
        for (const Item& item : items) {
            ++sequence;
            if (item.summary) {
                auto removed = DG_TRY(truth::remove_any(tx, summaries, item.memory, sequence));
                if (removed) changes.push_back(std::move(*removed));
            } else {
                auto back = DG_TRY(truth::revive_entry(tx, how, item.memory, sequence));
                if (back) changes.push_back(std::move(*back));
            }
        }
        return {};
    }

    Result<std::vector<Compression>> find(std::string_view tenant, std::string_view id,
                                          std::string_view key, std::uint32_t limit) {
        std::vector<Compression> out;
        DG_TRY(truth_.store_of(tenant).read([&](Transaction& tx) {
            return tx.query(
                fmt::format("SELECT {} FROM compression WHERE tenant = $1 AND ($2 = '' OR id = $2) "
                            "AND ($3 = '' OR request_key = $3) ORDER BY id DESC LIMIT $4",
                            kColumns),
                {tenant, id, key, std::int64_t{limit}}, [&](const Row& row) {
                    out.push_back(read(row, tenant));
                    return true;
                });
        }));
        return out;
    }

    Compression read(const Row& row, std::string_view tenant) const {
        Compression out;
        const auto text = [&](int column) { return std::string(row.text(column)); };
        const auto number = [&](int column) {
            return static_cast<std::uint64_t>(row.integer(column));
        };
        out.id = text(0);
        out.by = text(1);
        out.scope = {std::string(tenant), text(2), text(3), text(4), text(5)};
        out.applied_unix_ms = row.integer(6);
        out.undone_unix_ms = row.integer(7);
        out.undo_until_unix_ms = out.applied_unix_ms + undo_ms_;
        out.entries_before = number(8);
        out.entries_after = number(9);
        out.tokens_before = number(10);
        out.tokens_after = number(11);
        out.merged = number(12);
        out.dropped = number(13);
        out.summaries = number(14);
        out.summaries_by_model = number(15);
        out.summary_error = text(16);
        return out;
    }

    truth::Truth& truth_;
    const std::string model_;
    const std::int64_t undo_ms_;
    const base::Clock& clock_;
    const Hear hear_;
    const std::shared_ptr<Summarizer> summarizer_;  // null: none
};

}  // namespace

Result<void> check_policy(const Policy& policy) {
    const auto share = [](std::string_view field, float value) -> Result<void> {
        if (value >= 0 && value <= 1) return {};
        return fail_on(std::string(field), Code::invalid_argument, "'{}' is {}, expected 0 to 1",
                       field, value);
    };
    DG_TRY(share("importance_min", policy.importance_min));
    DG_TRY(share("merge_similarity", policy.merge_similarity));
    if (policy.entries_per_session_max == 0) {
        return fail_on("entries_per_session_max", Code::invalid_argument,
                       "'entries_per_session_max' is 0; a session keeps one memory at least");
    }
    if (policy.summary_sentences_max < 1 || policy.summary_sentences_max > 50) {
        return fail_on("summary_sentences_max", Code::invalid_argument,
                       "'summary_sentences_max' is {}, expected 1 to 50",
                       policy.summary_sentences_max);
    }
    return {};
}

Result<std::unique_ptr<Compressor>> make_compressor(truth::Truth& truth, std::string model,
                                                    std::int64_t undo_ms, const base::Clock& clock,
                                                    Hear hear,
                                                    std::shared_ptr<Summarizer> summarizer) {
    auto made = std::make_unique<SqlCompressor>(truth, std::move(model), undo_ms, clock,
                                                std::move(hear), std::move(summarizer));
    DG_TRY(made->prepare());
    return std::unique_ptr<Compressor>(std::move(made));
}

}  // namespace memory::compress
