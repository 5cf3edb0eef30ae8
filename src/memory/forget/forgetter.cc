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
    return !target.ids.empty() ? "ids" : narrows(target.scope) ? "scope" : "subject";
}

Result<void> check(const Request& request) {
    const Target& target = request.target;
    const int given =
        int{!target.ids.empty()} + int{narrows(target.scope)} + int{!target.subject.empty()};
    if (given != 1) {
        return fail_on("target", Code::invalid_argument,
                       "{} of 'ids', a scope ('user', 'agent', 'session', 'run') and 'subject' are "
                       "given, expected one: what is to be forgotten?",
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
            return store.read([this](Transaction& tx) -> Result<void> {
                open_ += DG_TRY(count_open(tx));
                return {};
            });
        }));
        thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
        return {};
    }

    Result<Preview> preview(const Request& request) override {
        DG_TRY(check(request));
        Belongings belongings(request);
        DG_TRY(truth_.store_of(request.tenant).read([&](Transaction& tx) {
            return belongings.read(tx, sessions_);
        }));
        Preview out;
        for (const auto& [row, kept] : belongings.rows()) {
            out.memories.push_back({kept.id, kept.why});
        }
        std::ranges::sort(out.memories, {}, &Preview::Item::id);
        out.facts.assign(belongings.facts().begin(), belongings.facts().end());
        out.names = belongings.names();
        out.counts = belongings.counts();
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
        // Most is read beside those who write; with them waiting, only what came since.
        Belongings first(request);
        DG_TRY(store.read([&](Transaction& tx) { return first.read(tx, sessions_); }));
        Receipt receipt;
        std::vector<truth::Change> changes;
        DG_TRY(store.write([&](Transaction& tx) -> Result<void> {
            Belongings all = first;  // may run again
            changes.clear();
            receipt = asked;
            DG_TRY(all.read_on(tx));
            receipt.hidden_unix_ms = now();
            return hide(truth_, tx, request.tenant, all, receipt, changes);
        }));
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
        auto found = DG_TRY(read(tenant, id, 1));
        if (!found.empty()) return std::move(found.front());
        return fail_on("id", Code::not_found, "tenant {} has no receipt {}", tenant,
                       id.substr(0, 64));
    }
    Result<std::vector<Receipt>> receipts(std::string_view tenant, std::uint32_t limit) override {
        return read(tenant, "", limit);
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
        for (Open& open : all) DG_TRY(erase(store, open, stop));
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
        DG_TRY(store.read([&](Transaction& tx) {
            return truth::each_text(tx, [&](std::string_view text) {
                hit.each_hit(text, [&](Needle needle) {
                    explained.insert(needle);
                    return true;
                });
            });
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
    static constexpr std::string_view kNames[] = {"named",    "in_scope",    "user",     "speaker",
                                                  "mentions", "fact_source", "made_from"};
    return kNames[static_cast<std::size_t>(why)];
}

std::string asked_hash(const Target& target, std::string_view salt) {
    std::vector<MemoryId> sorted = target.ids;
    std::ranges::sort(sorted);
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
