#include "memory/forget/eraser.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "memory/forget/receipts.h"
#include "memory/knowledge/document_rows.h"
#include "memory/truth/forgotten.h"

namespace memory::forget {
namespace {

using base::Code;
using base::fail_on;
using base::Result;
using base::store::Store;
using base::store::Transaction;

constexpr std::size_t kRowsAtOnce = 10'000;  // of one transaction: others write in between
constexpr int kScrubsMax = 3;                // until what is still found is told instead
constexpr std::chrono::seconds kRetryAfter{5};
/// A file is rewritten as often as leaves it this many times as long for everything else.
constexpr int kQuietFactor = 10;

/// Those of `rows`, ascending, that are in Redis.
std::span<const truth::RowId> of_sessions(std::span<const truth::RowId> rows) {
    return rows.subspan(static_cast<std::size_t>(
        std::ranges::lower_bound(rows, truth::kSessionRow) - rows.begin()));
}

}  // namespace

Result<void> Eraser::start() {
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

Eraser::Asking::Asking(Eraser& eraser, ForgetId id) : eraser_(eraser), id_(std::move(id)) {
    const std::lock_guard lock(eraser_.mutex_);
    eraser_.asking_.insert(id_);
}

Eraser::Asking::~Asking() {
    {
        const std::lock_guard lock(eraser_.mutex_);
        eraser_.asking_.erase(id_);
        eraser_.wanted_ = true;
    }
    eraser_.wake_.notify_all();
}

void Eraser::opened(std::uint64_t receipts) {
    const std::lock_guard lock(mutex_);
    open_ += receipts;
}

std::uint64_t Eraser::open() {
    const std::lock_guard lock(mutex_);
    return open_;
}

void Eraser::tell_progress(std::span<Receipt> receipts) {
    const std::lock_guard lock(mutex_);
    for (Receipt& receipt : receipts) {
        const auto at = progress_.find(receipt.id);
        if (at != progress_.end() && receipt.done_unix_ms == 0) receipt.progress = at->second;
    }
}

Result<void> Eraser::finish() {
    std::unique_lock lock(mutex_);
    if (open_ == 0) return {};
    wanted_ = hurry_ = true;
    const std::uint64_t after = failures_;
    wake_.notify_all();
    wake_.wait(lock, [&] { return open_ == 0 || failures_ != after; });
    if (open_ == 0) return {};
    return std::unexpected(last_error_);
}

Result<void> Eraser::erase_keys(const Open& open) {
    if (open.keys.empty()) return {};
    truth::SubjectKeys* keys = truth_.sealing_of(open.tenant).keys();
    if (keys == nullptr) return {};  // nothing is sealed any more
    return keys->erase(open.keys);
}

void Eraser::run(const std::stop_token& stop) {
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

void Eraser::told(const Open& open, double progress) {
    const std::lock_guard lock(mutex_);
    progress_[open.receipt.id] = progress;
}

/// Everything open of one store, with one rewrite of its file.
Result<void> Eraser::work_on(Store& store, bool hurry, const std::stop_token& stop, bool& later) {
    std::vector<Open> all;
    DG_TRY(store.read([&](Transaction& tx) -> Result<void> {
        all = DG_TRY(read_open(tx));
        return {};
    }));
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(all, [&](const Open& one) { return asking_.contains(one.receipt.id); });
    }
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

Result<void> Eraser::erase_all(Store& store, std::vector<Open>& all, bool hurry,
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

Result<truth::Erased> Eraser::erase_sessions(std::string_view tenant,
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
Result<void> Eraser::erase_keyed(Store& store, Open& open, const std::stop_token& stop) {
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
            marks += DG_TRY(
                truth::erase_marks_of(tx, open.tenant_number, rows_of(open.receipt.id), from, to));
            return {};
        }));
    }
    open.receipt.counts["marks"] += marks;
    DG_TRY(store.read([&](Transaction& tx) { return read_rows(tx, open); }));
    return {};
}

Result<void> Eraser::erase(Store& store, Open& open, const std::stop_token& stop) {
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

Result<Scan> Eraser::verify(Store& store, const Open& open) {
    Scan scan;
    DG_TRY(store.read([&](Transaction& tx) -> Result<void> {
        scan.rows_left = DG_TRY(truth::rows_left(tx, open.tenant_number, rows_of(open.receipt.id)));
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

}  // namespace memory::forget
