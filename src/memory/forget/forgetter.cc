#include "memory/forget/forgetter.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <stop_token>
#include <thread>
#include <utility>

#include "base/core/rng.h"
#include "base/files/sha256.h"
#include "base/json/json.h"
#include "memory/forget/belongings.h"
#include "memory/forget/receipts.h"
#include "memory/knowledge/document_rows.h"
#include "memory/truth/memory_id.h"

namespace memory::forget {
namespace {

namespace json = base::json;
using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
using base::store::Store;
using base::store::Transaction;

constexpr std::size_t kIdsMax = 10'000, kSubjectBytesMax = 1024;
constexpr std::size_t kRowsAtOnce = 10'000;  // of one transaction: others write in between
constexpr int kScrubsMax = 3;                // until what is still found is told instead
constexpr std::chrono::seconds kRetryAfter{5};
/// A file is rewritten as often as leaves it this many times as long for everything else.
constexpr int kQuietFactor = 10;

bool narrows(const Scope& scope) {
    return !scope.user.empty() || !scope.agent.empty() || !scope.session.empty() ||
           !scope.run.empty();
}

std::string kind_of(const Target& target) {
    if (!target.document.empty()) return "document";
    return !target.ids.empty() ? "ids" : narrows(target.scope) ? "scope" : "subject";
}

Result<void> check(const Request& request) {
    const Target& target = request.target;
    const int given = int{!target.ids.empty()} + int{narrows(target.scope)} +
                      int{!target.subject.empty()} + int{!target.document.empty()};
    if (given != 1) {
        return fail_on("target", Code::invalid_argument,
                       "{} of 'ids', a scope ('user', 'agent', 'session', 'run'), 'subject' and "
                       "'document' are given, expected one: what is to be forgotten?",
                       given);
    }
    if (target.ids.size() > kIdsMax) {
        return fail_on("ids", Code::payload_too_large, "{} ids; the most is {}", target.ids.size(),
                       kIdsMax);
    }
    if (target.subject.size() > kSubjectBytesMax) {
        return fail_on("subject", Code::payload_too_large,
                       "the subject has {} bytes; the most is {}", target.subject.size(),
                       kSubjectBytesMax);
    }
    if (!target.subject.empty() && facts::normal_name(target.subject).empty()) {
        return fail_on("subject", Code::invalid_argument, "'subject' has no letter to go by");
    }
    return {};
}

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
          deadline_ms_(deadline_ms) {}

    Result<void> prepare() {
        DG_TRY(truth_.each_store([this](Store& store) -> Result<void> {
            DG_TRY(base::store::migrate(store, "forget", schema_steps(store.dialect())));
            std::vector<Open> unfinished;
            DG_TRY(store.read([&](Transaction& tx) -> Result<void> {
                unfinished = DG_TRY(read_open(tx));
                return {};
            }));
            open_ += unfinished.size();
            // A process that died in between: before anything can be asked for.
            for (const Open& open : unfinished) DG_TRY(erase_keys(open));
            return {};
        }));
        thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
        return {};
    }

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
        if (!request.target.document.empty()) return forget_document(request, asked);
        const truth::Sealing& sealing = truth_.sealing_of(request.tenant);
        std::vector<truth::SubjectKeys::Wrapped> keys = DG_TRY(keys_of(request));
        if (!keys.empty() && sealing.all() && sessions_ == nullptr && !store.shared()) {
            return forget_keys(request, asked, keys);
        }
        // Most is read beside those who write; with them waiting, only what came since.
        Belongings first(request, sealing);
        DG_TRY(store.read([&](Transaction& tx) { return first.read(tx, sessions_); }));
        Receipt receipt;
        std::vector<truth::Change> changes;
        DG_TRY(store.write([&](Transaction& tx) -> Result<void> {
            Belongings all = first;  // may run again
            changes.clear();
            receipt = asked;
            DG_TRY(all.read_on(tx));
            receipt.hidden_unix_ms = now();
            DG_TRY(hide(truth_, tx, request.tenant, all, receipt, changes));
            if (keys.empty()) return {};
            // What was hidden cannot be read any more either, once they are gone.
            const std::int64_t tenant = all.tenant();
            return write_keys(tx, receipt.id, tenant, keys);
        }));
        if (!keys.empty()) {
            DG_TRY(store.write([&](Transaction&) { return erase_keys(sealing, keys); }));
        }
        const Result<truth::Erased> brief = erase_sessions(request.tenant, numbers_of(first));
        hooks_.reload_facts(request.tenant);
        hooks_.hear(request.tenant, changes);
        {
            const std::lock_guard lock(mutex_);
            ++open_;
            wanted_ = true;
        }
        wake_.notify_all();
        if (brief) return receipt;
        return fail_on("memory.sessions", brief.error().code,
                       "short-term memories could not be erased yet, all others are forgotten; "
                       "it is tried again until the receipt {} is done: {}",
                       receipt.id, brief.error().message);
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
    std::uint64_t open() override {
        const std::lock_guard lock(mutex_);
        return open_;
    }

    Result<void> finish() override {
        std::unique_lock lock(mutex_);
        if (open_ == 0) return {};
        wanted_ = hurry_ = true;
        const std::uint64_t after = failures_;
        wake_.notify_all();
        wake_.wait(lock, [&] { return open_ == 0 || failures_ != after; });
        if (open_ == 0) return {};
        return std::unexpected(last_error_);
    }

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
        const auto hide_all = [&](const Request& of, const Belongings& first, Receipt& out,
                                  const auto& also) -> Result<void> {
            DG_TRY(truth_.store_of(of.tenant).write([&](Transaction& tx) -> Result<void> {
                Belongings all = first;  // may run again
                changes.clear();
                out = asked;
                DG_TRY(all.read_on(tx));
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
            hidden = hide_all(request, made, elsewhere,
                              [](Transaction&, Receipt&) { return Result<void>{}; });
            if (hidden) {
                if (auto brief = erase_sessions(request.tenant, numbers_of(made)); !brief) {
                    hidden = std::unexpected(brief.error());
                }
            }
        }
        if (hidden) {
            const auto& name = request.target.document;
            hidden = hide_all(passages, of_it, receipt, [&](Transaction& tx, Receipt& out) {
                out.counts["documents"] = 1;
                return knowledge::erase_document(tx, {passages.tenant, name.base, name.id});
            });
        }
        {
            const std::lock_guard lock(mutex_);
            open_ += opened;
            wanted_ = true;
        }
        wake_.notify_all();
        DG_TRY(hidden);
        return any ? joined(std::move(receipt), elsewhere) : std::move(receipt);
    }

    /// Of a scope of users or agents, or of those who are the subject: whatever they seal goes.
    Result<std::vector<truth::SubjectKeys::Wrapped>> keys_of(const Request& request) {
        truth::SubjectKeys* keys = truth_.sealing_of(request.tenant).keys();
        const Scope& scope = request.target.scope;
        const bool whole = (!scope.user.empty() || !scope.agent.empty()) && scope.session.empty() &&
                           scope.run.empty();
        if (keys == nullptr || !whole) return std::vector<truth::SubjectKeys::Wrapped>{};
        return keys->within(request.tenant, scope);
    }
    static Result<void> erase_keys(const truth::Sealing& sealing,
                                   std::span<const truth::SubjectKeys::Wrapped> keys) {
        std::vector<truth::KeyId> ids;
        for (const auto& key : keys) ids.push_back(key.id);
        return sealing.keys()->erase(ids);
    }
    Result<void> erase_keys(const Open& open) {
        if (open.keys.empty()) return {};
        truth::SubjectKeys* keys = truth_.sealing_of(open.tenant).keys();
        if (keys == nullptr) return {};  // nothing is sealed any more
        return keys->erase(open.keys);
    }

    /// The keys first, in one small commit of a small file; rows follow in the background.
    Result<Receipt> forget_keys(const Request& request, const Receipt& asked,
                                std::span<const truth::SubjectKeys::Wrapped> keys) {
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
        {
            const std::lock_guard lock(mutex_);
            ++open_;
            wanted_ = true;
        }
        wake_.notify_all();
        if (proven) return receipt;
        return fail(proven.error().code, "it is tried again until the receipt {} is done: {}",
                    asked.id, proven.error().message);
    }

    /// That the keys are in no byte of their files.
    Result<void> prove(std::string_view tenant, std::span<const truth::SubjectKeys::Wrapped> keys,
                       Receipt& receipt) {
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
        const std::lock_guard lock(mutex_);
        for (Receipt& receipt : out) {
            const auto at = progress_.find(receipt.id);
            if (at != progress_.end() && receipt.done_unix_ms == 0) receipt.progress = at->second;
        }
        return out;
    }

    void run(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        wanted_ = open_ > 0;
        while (!stop.stop_requested()) {
            wake_.wait(lock, stop, [this] { return wanted_; });
            if (stop.stop_requested()) return;
            wanted_ = false;
            const bool hurry = std::exchange(hurry_, false);
            lock.unlock();
            bool later = false;
            const Result<void> done =
                truth_.each_store([&](Store& store) { return work_on(store, hurry, stop, later); });
            lock.lock();
            if (!done) {
                last_error_ = done.error();
                ++failures_;
                wake_.notify_all();
            }
            if (done && !later) continue;
            // Asked again, or after a while: a full disk may have room by then.
            wake_.wait_for(lock, stop, done ? std::chrono::seconds(1) : kRetryAfter,
                           [this] { return hurry_; });
            wanted_ = true;
        }
    }

    void told(const Open& open, double progress) {
        const std::lock_guard lock(mutex_);
        progress_[open.receipt.id] = progress;
    }

    /// Everything open of one store, with one rewrite of its file.
    Result<void> work_on(Store& store, bool hurry, const std::stop_token& stop, bool& later) {
        std::vector<Open> all;
        DG_TRY(store.read([&](Transaction& tx) -> Result<void> {
            all = DG_TRY(read_open(tx));
            return {};
        }));
        if (all.empty() || stop.stop_requested()) return {};
        const Result<void> done = erase_all(store, all, hurry, stop, later);
        if (done) return {};
        // Best effort: on a full disk the receipt cannot say so either.
        static_cast<void>(store.write([&](Transaction& tx) -> Result<void> {
            for (Open& open : all) {
                if (open.receipt.done_unix_ms != 0) continue;
                open.receipt.error = done.error().message;
                DG_TRY(write_receipt(tx, open.tenant, open.receipt));
            }
            return {};
        }));
        return done;
    }

    Result<void> erase_all(Store& store, std::vector<Open>& all, bool hurry,
                           const std::stop_token& stop, bool& later) {
        for (Open& open : all) {
            DG_TRY(erase_keyed(store, open, stop));
            DG_TRY(erase(store, open, stop));
        }
        if (stop.stop_requested()) return {};
        const auto quiet = quiet_until_.find(&store);
        const bool due = std::ranges::any_of(all, [&](const Open& open) {
            return open.receipt.deadline_unix_ms - now() < deadline_ms_ / 2;
        });
        if (!hurry && !due && quiet != quiet_until_.end() && clock_.now() < quiet->second) {
            later = true;
            return {};
        }
        for (const Open& open : all) hooks_.purge_index(open.tenant);
        for (int turn = 1;; ++turn) {
            const base::Instant began = clock_.now();
            DG_TRY(store.scrub());
            const base::Instant ended = clock_.now();
            quiet_until_[&store] = ended + (ended - began) * kQuietFactor;
            bool clean = true;
            for (Open& open : all) {
                told(open, .8);
                open.receipt.scan = DG_TRY(verify(store, open));
                clean = clean && open.receipt.scan.clean();
            }
            if (clean || turn == kScrubsMax) break;
        }
        DG_TRY(store.write([&](Transaction& tx) -> Result<void> {
            for (Open& open : all) {
                open.receipt.done_unix_ms = now();
                open.receipt.error.clear();
                DG_TRY(write_receipt(tx, open.tenant, open.receipt));
                DG_TRY(clear_work(tx, open.receipt.id));
            }
            return {};
        }));
        const std::lock_guard lock(mutex_);
        open_ -= all.size();
        for (const Open& open : all) progress_.erase(open.receipt.id);
        wake_.notify_all();
        return {};
    }

    /// Those of `rows`, ascending, that are in Redis.
    static std::span<const truth::RowId> of_sessions(std::span<const truth::RowId> rows) {
        return rows.subspan(static_cast<std::size_t>(
            std::ranges::lower_bound(rows, truth::kSessionRow) - rows.begin()));
    }
    static std::vector<truth::RowId> numbers_of(const Belongings& belongings) {
        std::vector<truth::RowId> rows;
        for (const auto& [row, kept] : belongings.rows()) rows.push_back(row);
        return rows;
    }
    Result<truth::Erased> erase_sessions(std::string_view tenant,
                                         std::span<const truth::RowId> rows) {
        const auto brief = of_sessions(rows);
        if (brief.empty()) return truth::Erased{};
        if (sessions_ != nullptr) return sessions_->erase(tenant, brief);
        return fail_on("memory.sessions", Code::failed_precondition,
                       "{} short-term memories that are to be forgotten are in Redis; start with "
                       "the memory.sessions that they were written with",
                       brief.size());
    }

    /// What its keys sealed: nobody can read it, now it goes.
    Result<void> erase_keyed(Store& store, Open& open, const std::stop_token& stop) {
        if (open.keys.empty()) return {};
        DG_TRY(erase_keys(open));
        bool any = false;
        for (std::uint64_t blanked = 1; blanked > 0 && !stop.stop_requested();) {
            std::vector<truth::Change> changes;
            DG_TRY(store.write([&](Transaction& tx) -> Result<void> {
                changes.clear();
                blanked = DG_TRY(blank_keyed(truth_, tx, open, kRowsAtOnce, changes));
                return {};
            }));
            any = any || blanked > 0;
            hooks_.hear(open.tenant, changes);
        }
        if (stop.stop_requested()) return {};
        std::uint64_t marks = 0;
        // Marks are spread over all numbers: a part of them at a time.
        constexpr int kParts = 32;
        constexpr std::int64_t kPart = INT64_MAX / (kParts / 2);
        for (int part = 0; part < kParts && any; ++part) {
            const std::int64_t from = part == 0 ? INT64_MIN : (part - kParts / 2) * kPart;
            const std::int64_t to =
                part == kParts - 1 ? INT64_MAX : (part + 1 - kParts / 2) * kPart - 1;
            DG_TRY(store.write([&](Transaction& tx) -> Result<void> {
                marks += DG_TRY(truth::erase_marks_of(tx, open.tenant_number,
                                                      rows_of(open.receipt.id), from, to));
                return {};
            }));
        }
        open.receipt.counts["marks"] += marks;
        DG_TRY(store.read([&](Transaction& tx) { return read_rows(tx, open); }));
        return {};
    }

    Result<void> erase(Store& store, Open& open, const std::stop_token& stop) {
        DG_TRY(erase_sessions(open.tenant, open.rows));  // again, where a process died in between
        for (std::size_t at = 0; at < open.rows.size() && !stop.stop_requested();) {
            const std::size_t count = std::min(kRowsAtOnce, open.rows.size() - at);
            Receipt counted;
            DG_TRY(store.write([&](Transaction& tx) -> Result<void> {
                const truth::Erased erased =
                    DG_TRY(truth::erase_beside(tx, open.tenant_number, rows_of(open.receipt.id),
                                               open.rows[at], open.rows[at + count - 1]));
                counted = open.receipt;
                counted.counts["versions"] += erased.versions;
                counted.counts["embeddings"] += erased.embeddings;
                counted.counts["access_counts"] += erased.access_counts;
                return write_receipt(tx, open.tenant, counted);
            }));
            open.receipt = std::move(counted);
            at += count;
            told(open, .6 * static_cast<double>(at) / static_cast<double>(open.rows.size()));
        }
        return {};
    }

    Result<Scan> verify(Store& store, const Open& open) {
        Scan scan;
        DG_TRY(store.read([&](Transaction& tx) -> Result<void> {
            scan.rows_left =
                DG_TRY(truth::rows_left(tx, open.tenant_number, rows_of(open.receipt.id)));
            return {};
        }));
        const auto brief = of_sessions(open.rows);
        if (!brief.empty()) scan.rows_left += DG_TRY(sessions_->rows_left(open.tenant, brief));
        const NeedleSet needles(open.needles);
        scan.needles = needles.size();
        const auto files = truth_.files_of(open.tenant);
        scan.unscanned = files.empty() || !brief.empty() ? 1 : 0;
        std::vector<Needle> hits;
        for (const std::string& path : files) {
            const FileHits found = DG_TRY(scan_file(path, needles));
            scan.files += found.bytes > 0 ? 1 : 0;
            scan.bytes += found.bytes;
            hits.insert(hits.end(), found.hits.begin(), found.hits.end());
        }
        const NeedleSet hit(hits);
        if (hit.size() == 0) return scan;
        std::unordered_set<Needle> explained;
        DG_TRY(store.read([&](Transaction& tx) -> Result<void> {
            const auto explain = [&](std::string_view text) {
                hit.each_hit(text, [&](Needle needle) {
                    explained.insert(needle);
                    return true;
                });
            };
            DG_TRY(truth::each_text(tx, explain));
            return knowledge::each_text(tx, explain);
        }));
        scan.shared = explained.size();
        scan.hits = hit.size() - scan.shared;
        return scan;
    }

    truth::Truth& truth_;
    truth::SessionTruth* const sessions_;  // null: short-term entries are with the others
    const Hooks hooks_;
    const base::Clock& clock_;
    const std::int64_t deadline_ms_;
    std::map<const Store*, base::Instant> quiet_until_;  // of the thread alone
    std::mutex mutex_;                                   // guards what follows
    std::condition_variable_any wake_;
    std::uint64_t open_ = 0, failures_ = 0;
    bool wanted_ = false, hurry_ = false;
    base::Error last_error_;
    std::map<ForgetId, double> progress_;
    std::jthread thread_;  // stopped first
};

}  // namespace

std::string_view why_name(Why why) {
    static constexpr std::string_view kNames[] = {
        "named", "in_scope", "user", "speaker", "mentions", "fact_source", "made_from", "passage"};
    return kNames[static_cast<std::size_t>(why)];
}

std::string asked_hash(const Target& target, std::string_view salt) {
    std::vector<MemoryId> sorted = target.ids;
    std::ranges::sort(sorted);
    if (!target.document.empty()) {
        return base::sha256_hex(std::string(salt) + "\n" +
                                base::to_text(json::object{{"base", target.document.base},
                                                           {"document", target.document.id}}));
    }
    json::array ids;
    for (const MemoryId& id : sorted) ids.push_back(json::string(id));
    const Scope& scope = target.scope;
    return base::sha256_hex(
        std::string(salt) + "\n" +
        base::to_text(json::object{{"ids", std::move(ids)},
                                   {"user", scope.user},
                                   {"agent", scope.agent},
                                   {"session", scope.session},
                                   {"run", scope.run},
                                   {"subject", facts::normal_name(target.subject)}}));
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
