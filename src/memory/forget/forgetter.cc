#include "memory/forget/forgetter.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/core/rng.h"
#include "memory/forget/belongings.h"
#include "memory/forget/eraser.h"
#include "memory/forget/receipts.h"
#include "memory/forget/request.h"
#include "memory/knowledge/document_rows.h"
#include "memory/truth/memory_id.h"

namespace memory::forget {
namespace {

using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
using base::store::Store;
using base::store::Transaction;
using Wrapped = truth::SubjectKeys::Wrapped;

/// Where the passages of a document are: its names are their scope.
Request of_passages(const Request& request) {
    Request out = request;
    out.tenant = knowledge::passage_tenant(request.tenant);
    out.target.scope = {.agent = request.target.document.base,
                        .session = request.target.document.id};
    return out;
}

/// Of one forget, what two stores have of it.
Receipt joined(Receipt a, const Receipt& b) {
    for (const auto& [kind, count] : b.counts) a.counts[kind] += count;
    a.hidden_unix_ms = std::max(a.hidden_unix_ms, b.hidden_unix_ms);
    const bool done = a.done_unix_ms != 0 && b.done_unix_ms != 0;
    a.done_unix_ms = done ? std::max(a.done_unix_ms, b.done_unix_ms) : 0;
    a.scan.files += b.scan.files;
    a.scan.bytes += b.scan.bytes;
    a.scan.needles += b.scan.needles;
    a.scan.hits += b.scan.hits;
    a.scan.shared += b.scan.shared;
    a.scan.rows_left += b.scan.rows_left;
    a.scan.unscanned = std::max(a.scan.unscanned, b.scan.unscanned);
    if (a.error.empty()) a.error = b.error;
    a.progress = (a.progress + b.progress) / 2;
    return a;
}

class Forgetter final : public Forgetting {
public:
    Forgetter(truth::Truth& truth, truth::SessionTruth* sessions, Hooks hooks,
              const base::Clock& clock, std::int64_t deadline_ms)
        : truth_(truth),
          sessions_(sessions),
          hooks_(std::move(hooks)),
          clock_(clock),
          deadline_ms_(deadline_ms),
          eraser_(truth, sessions, hooks_, clock, deadline_ms) {}

    Result<void> prepare() { return eraser_.start(); }

    Result<Preview> preview(const Request& request) override {
        DG_TRY(check(request));
        Belongings belongings(request, truth_.sealing_of(request.tenant));
        Preview out;
        if (!request.target.document.empty()) {
            const Request passages = of_passages(request);
            Belongings of_it(passages, truth_.sealing_of(passages.tenant));
            DG_TRY(truth_.store_of(passages.tenant).read([&](Transaction& tx) {
                return of_it.read(tx, nullptr);
            }));
            const auto sources = sources_of(of_it, request);
            DG_TRY(truth_.store_of(request.tenant).read([&](Transaction& tx) {
                return belongings.read_made_from(tx, sessions_, sources);
            }));
            for (const auto& [row, kept] : of_it.rows())
                out.memories.push_back({kept.id, kept.why});
            out.counts = of_it.counts();
            belongings.and_elsewhere(of_it.ids());
            out.counts["documents"] = 1;
        } else {
            DG_TRY(truth_.store_of(request.tenant).read([&](Transaction& tx) {
                return belongings.read(tx, sessions_);
            }));
        }
        for (const auto& [row, kept] : belongings.rows()) {
            out.memories.push_back({kept.id, kept.why});
        }
        std::ranges::sort(out.memories, {}, &Preview::Item::id);
        out.facts.assign(belongings.facts().begin(), belongings.facts().end());
        out.names = belongings.names();
        for (const auto& [kind, count] : belongings.counts()) out.counts[kind] += count;
        out.ids_sha256 = belongings.ids_sha256();
        return out;
    }

    Result<Receipt> forget(const Request& request) override {
        DG_TRY(check(request));
        Store& store = truth_.store_of(request.tenant);
        Receipt asked;
        asked.by = request.by;
        asked.kind = kind_of(request.target);
        asked.salt = fmt::format("{:016x}{:016x}", base::entropy64(), base::entropy64());
        asked.asked_sha256 = asked_hash(request.target, asked.salt);
        asked.requested_unix_ms = now();
        asked.deadline_unix_ms = asked.requested_unix_ms + deadline_ms_;
        asked.id =
            "forget-" + truth::make_id(asked.requested_unix_ms, 0, base::entropy64()).substr(4);
        const Eraser::Asking asking(eraser_, asked.id);
        if (!request.target.document.empty()) return forget_document(request, asked);
        const truth::Sealing& sealing = truth_.sealing_of(request.tenant);
        const std::vector<Wrapped> keys = DG_TRY(keys_of(request));
        if (!keys.empty() && sealing.all() && sessions_ == nullptr && !store.shared()) {
            return forget_keys(request, asked, keys);
        }
        return forget_rows(request, asked);
    }

    Result<Receipt> receipt(std::string_view tenant, std::string_view id) override {
        if (id.empty()) return fail_on("id", Code::not_found, "a receipt has an id: forget-...");
        auto found = DG_TRY(read_both(tenant, id, 1));
        if (!found.empty()) return std::move(found.front());
        return fail_on("id", Code::not_found, "tenant {} has no receipt {}", tenant,
                       id.substr(0, 64));
    }
    Result<std::vector<Receipt>> receipts(std::string_view tenant, std::uint32_t limit) override {
        return read_both(tenant, "", limit);
    }
    std::uint64_t open() override { return eraser_.open(); }
    Result<void> finish() override { return eraser_.finish(); }

private:
    UnixMs now() const { return clock_.unix_ns() / 1'000'000; }

    /// Those of a tenant and of its documents; of one forget, one.
    Result<std::vector<Receipt>> read_both(std::string_view tenant, std::string_view id,
                                           std::uint32_t limit) {
        std::map<ForgetId, Receipt> all;
        for (const std::string& of : {std::string(tenant), knowledge::passage_tenant(tenant)}) {
            for (Receipt& one : DG_TRY(read(of, id, limit))) {
                const auto known = all.find(one.id);
                if (known == all.end())
                    all.emplace(one.id, std::move(one));
                else
                    known->second = joined(std::move(known->second), one);
            }
        }
        std::vector<Receipt> newest;
        for (auto at = all.rbegin(); at != all.rend() && newest.size() < limit; ++at) {
            newest.push_back(std::move(at->second));
        }
        return newest;
    }

    static std::vector<truth::RowId> numbers_of(const Belongings& belongings) {
        std::vector<truth::RowId> rows;
        for (const auto& [row, kept] : belongings.rows()) rows.push_back(row);
        return rows;
    }

    /// What memories and facts may name as where they are from.
    static std::vector<std::string> sources_of(const Belongings& passages, const Request& request) {
        std::vector<std::string> ids{request.target.document.id};
        for (const auto& [row, kept] : passages.rows()) ids.push_back(kept.id);
        return ids;
    }

    /// In two transactions where its passages are in another store than what was made from it,
    /// which goes first: a process that dies in between is asked again.
    Result<Receipt> forget_document(const Request& request, Receipt asked) {
        const Request passages = of_passages(request);
        const std::uint64_t of_it_seen = truth_.sealing_of(passages.tenant).rewrites();
        const std::uint64_t made_seen = truth_.sealing_of(request.tenant).rewrites();
        Belongings of_it(passages, truth_.sealing_of(passages.tenant));
        DG_TRY(truth_.store_of(passages.tenant).read([&](Transaction& tx) {
            return of_it.read(tx, nullptr);
        }));
        Belongings made(request, truth_.sealing_of(request.tenant));
        const auto sources = sources_of(of_it, request);
        DG_TRY(truth_.store_of(request.tenant).read([&](Transaction& tx) {
            return made.read_made_from(tx, sessions_, sources);
        }));
        of_it.and_elsewhere(made.ids());
        made.and_elsewhere(of_it.ids());
        std::uint64_t opened = 0;
        Receipt receipt;
        std::vector<truth::Change> changes;
        const auto hide_all = [&](const Request& of, const Belongings& first, std::uint64_t seen,
                                  const auto& read, Receipt& out,
                                  const auto& also) -> Result<void> {
            DG_TRY(truth_.store_of(of.tenant).write([&](Transaction& tx) -> Result<void> {
                const Belongings all = DG_TRY(as_of_now(tx, of, first, seen, read));
                changes.clear();
                out = asked;
                out.hidden_unix_ms = now();
                DG_TRY(also(tx, out));
                return hide(truth_, tx, of.tenant, all, out, changes);
            }));
            ++opened;
            hooks_.reload_facts(of.tenant);
            hooks_.hear(of.tenant, changes);
            return {};
        };
        const bool any = !made.rows().empty() || !made.facts().empty() || !made.sources().empty() ||
                         !made.checkpoints().empty();
        Result<void> hidden;
        Receipt elsewhere;
        if (any) {
            const auto read = [&](Transaction& tx, Belongings& all) -> Result<void> {
                DG_TRY(all.read_made_from(tx, sessions_, sources));
                all.and_elsewhere(of_it.ids());
                return {};
            };
            hidden = hide_all(request, made, made_seen, read, elsewhere,
                              [](Transaction&, Receipt&) { return Result<void>{}; });
            if (hidden) {
                if (auto brief = eraser_.erase_sessions(request.tenant, numbers_of(made)); !brief) {
                    hidden = std::unexpected(brief.error());
                }
            }
        }
        if (hidden) {
            const auto& name = request.target.document;
            const auto read = [&](Transaction& tx, Belongings& all) -> Result<void> {
                DG_TRY(all.read(tx, nullptr));
                all.and_elsewhere(made.ids());
                return {};
            };
            const auto also = [&](Transaction& tx, Receipt& out) {
                out.counts["documents"] = 1;
                return knowledge::erase_document(tx, {passages.tenant, name.base, name.id});
            };
            hidden = hide_all(passages, of_it, of_it_seen, read, receipt, also);
        }
        eraser_.opened(opened);
        DG_TRY(hidden);
        return any ? joined(std::move(receipt), elsewhere) : std::move(receipt);
    }

    /// Of a scope of users or agents: whatever they seal goes. Not of a subject that is a user:
    /// facts about others that this user told are sealed with the same key, and stay.
    Result<std::vector<Wrapped>> keys_of(const Request& request) {
        truth::SubjectKeys* keys = truth_.sealing_of(request.tenant).keys();
        const Scope& scope = request.target.scope;
        const bool whole = (!scope.user.empty() || !scope.agent.empty()) && scope.session.empty() &&
                           scope.run.empty();
        if (keys == nullptr || !whole) return std::vector<Wrapped>{};
        return keys->within(request.tenant, scope);
    }
    static Result<void> erase_keys(const truth::Sealing& sealing, std::span<const Wrapped> keys) {
        std::vector<truth::KeyId> ids;
        for (const auto& key : keys) ids.push_back(key.id);
        return sealing.keys()->erase(ids);
    }

    /// What was read beside those who write, brought up to now; read anew where rows were sealed
    /// meanwhile, whose marks are others then. Within a write.
    template <class Read>
    Result<Belongings> as_of_now(Transaction& tx, const Request& request, const Belongings& first,
                                 std::uint64_t seen, const Read& read) {
        const truth::Sealing& sealing = truth_.sealing_of(request.tenant);
        const bool unsure = sealing.keys() != nullptr &&
                            (seen % 2 != 0 || sealing.rewrites() != seen ||
                             (truth_.store_of(request.tenant).shared() && !sealing.all()));
        if (!unsure) {
            Belongings all = first;  // it may run again
            DG_TRY(all.read_on(tx));
            return all;
        }
        Belongings all(request, sealing);
        DG_TRY(read(tx, all));
        DG_TRY(all.read_on(tx));
        return all;
    }

    /// On the disk before they go: whoever opens the store after a crash erases them first.
    Result<void> intend(const Request& request, const Receipt& asked, std::vector<Wrapped>& keys) {
        return truth_.store_of(request.tenant).write([&](Transaction& tx) -> Result<void> {
            keys = DG_TRY(keys_of(request));
            if (keys.empty()) return {};
            const std::int64_t tenant = DG_TRY(truth::tenant_number(tx, request.tenant));
            DG_TRY(write_keys(tx, asked.id, tenant, keys));
            return write_receipt(tx, request.tenant, asked);
        });
    }

    /// Rows are hidden, and where they have keys those go in the same write: nobody can add what
    /// would be sealed with one in between.
    Result<Receipt> forget_rows(const Request& request, const Receipt& asked) {
        Store& store = truth_.store_of(request.tenant);
        const truth::Sealing& sealing = truth_.sealing_of(request.tenant);
        // Most is read beside those who write; with them waiting, only what came since.
        const std::uint64_t seen = sealing.rewrites();
        Belongings first(request, sealing);
        DG_TRY(store.read([&](Transaction& tx) { return first.read(tx, sessions_); }));
        const auto read = [this](Transaction& tx, Belongings& all) -> Result<void> {
            return all.read(tx, sessions_);
        };
        std::vector<Wrapped> keys;
        Receipt receipt;
        std::vector<truth::Change> changes;
        std::vector<truth::RowId> rows;
        Result<void> done;
        for (bool again = true; again;) {
            if (sealing.keys() != nullptr) done = intend(request, asked, keys);
            if (!done) break;
            done = store.write([&](Transaction& tx) -> Result<void> {
                // A first memory of somebody may have made a key since.
                again = sealing.keys() != nullptr && DG_TRY(keys_of(request)).size() != keys.size();
                if (again) return {};
                const Belongings all = DG_TRY(as_of_now(tx, request, first, seen, read));
                changes.clear();
                receipt = asked;
                receipt.hidden_unix_ms = now();
                DG_TRY(hide(truth_, tx, request.tenant, all, receipt, changes));
                rows = numbers_of(all);
                if (keys.empty()) return {};
                return erase_keys(sealing, keys);
            });
            if (!done) again = false;
        }
        if (done || !keys.empty()) eraser_.opened(1);
        DG_TRY(done);
        const Result<truth::Erased> brief = eraser_.erase_sessions(request.tenant, rows);
        hooks_.reload_facts(request.tenant);
        hooks_.hear(request.tenant, changes);
        if (brief) return receipt;
        return fail_on("memory.sessions", brief.error().code,
                       "short-term memories could not be erased yet, all others are forgotten; "
                       "it is tried again until the receipt {} is done: {}",
                       receipt.id, brief.error().message);
    }

    /// The keys first, in one small commit of a small file; rows follow in the background.
    Result<Receipt> forget_keys(const Request& request, const Receipt& asked,
                                std::span<const Wrapped> keys) {
        Store& store = truth_.store_of(request.tenant);
        const truth::Sealing& sealing = truth_.sealing_of(request.tenant);
        Belongings first(request, sealing);
        DG_TRY(store.read([&](Transaction& tx) { return first.read_keyed(tx, keys); }));
        DG_TRY(store.write([&](Transaction& tx) -> Result<void> {
            DG_TRY(write_keys(tx, asked.id, first.tenant(), keys));
            return write_receipt(tx, request.tenant, asked);
        }));
        Receipt receipt;
        std::vector<truth::Change> changes;
        // With writers waiting: what they write after it gets a key of its own.
        const Result<void> done = store.write([&](Transaction& tx) -> Result<void> {
            Belongings all = first;  // may run again
            changes.clear();
            receipt = asked;
            DG_TRY(all.read_on(tx));
            receipt.hidden_unix_ms = now();
            receipt.counts["keys"] = keys.size();
            DG_TRY(hide(truth_, tx, request.tenant, all, receipt, changes));
            truth::Sequence sequence = DG_TRY(truth_.take_sequences(
                tx, request.tenant, static_cast<std::int64_t>(all.keyed().size())));
            for (const auto& [row, id] : all.keyed()) {
                truth::Change change{.row = row, .sequence = ++sequence, .gone = true};
                change.entry.scope.tenant = request.tenant;
                changes.push_back(std::move(change));
            }
            return erase_keys(sealing, keys);
        });
        if (done) {
            hooks_.reload_facts(request.tenant);
            hooks_.hear(request.tenant, changes);
        }
        const Result<void> proven = done ? prove(request.tenant, keys, receipt) : done;
        eraser_.opened(1);
        if (proven) return receipt;
        return fail(proven.error().code, "it is tried again until the receipt {} is done: {}",
                    asked.id, proven.error().message);
    }

    /// That the keys are in no byte of their files.
    Result<void> prove(std::string_view tenant, std::span<const Wrapped> keys, Receipt& receipt) {
        std::vector<Needle> wanted;
        for (const auto& key : keys) {
            if (const auto needle = needle_of(key.bytes)) wanted.push_back(*needle);
        }
        const NeedleSet needles(wanted);
        Scan scan;
        scan.needles = needles.size();
        for (const std::string& path : truth_.sealing_of(tenant).keys()->files()) {
            const FileHits found = DG_TRY(scan_file(path, needles));
            scan.files += found.bytes > 0 ? 1 : 0;
            scan.bytes += found.bytes;
            scan.hits += found.hits.size();
        }
        receipt.scan = scan;
        if (scan.hits > 0) {
            return fail(Code::data_loss, "{} of {} erased keys are still in their files", scan.hits,
                        scan.needles);
        }
        receipt.unreadable_unix_ms = now();
        return truth_.store_of(tenant).write(
            [&](Transaction& tx) { return write_receipt(tx, tenant, receipt); });
    }

    Result<std::vector<Receipt>> read(std::string_view tenant, std::string_view id,
                                      std::uint32_t limit) {
        std::vector<Receipt> out;
        DG_TRY(truth_.store_of(tenant).read([&](Transaction& tx) -> Result<void> {
            out = DG_TRY(read_receipts(tx, tenant, id, limit));
            return {};
        }));
        eraser_.tell_progress(out);
        return out;
    }

    truth::Truth& truth_;
    truth::SessionTruth* const sessions_;  // null: short-term entries are with the others
    const Hooks hooks_;
    const base::Clock& clock_;
    const std::int64_t deadline_ms_;
    Eraser eraser_;
};

}  // namespace

std::string_view why_name(Why why) {
    static constexpr std::string_view kNames[] = {
        "named", "in_scope", "user", "speaker", "mentions", "fact_source", "made_from", "passage"};
    return kNames[static_cast<std::size_t>(why)];
}

Result<std::unique_ptr<Forgetting>> make_forgetting(truth::Truth& truth,
                                                    truth::SessionTruth* sessions, Hooks hooks,
                                                    const base::Clock& clock,
                                                    std::int64_t deadline_ms) {
    auto made = std::make_unique<Forgetter>(truth, sessions, std::move(hooks), clock, deadline_ms);
    DG_TRY(made->prepare());
    return std::unique_ptr<Forgetting>(std::move(made));
}

}  // namespace memory::forget
