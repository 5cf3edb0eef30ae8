#include "flow/log/journal_run_log.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>

#include "flow/run/tenant_key.h"

namespace flow {

using base::Code;
using base::fail;
using base::Result;
using base::journal::Address;
using base::journal::Group;

namespace {

constexpr std::size_t kBatchMax = 5'000;  // rows in one transaction of the index

// The index follows at this pace: many changes of a run become one row.
constexpr std::chrono::milliseconds kIndexPace{200};

/// What changes from record to record, taken over from the newer head.
void bring_up_to_date(RunHead& head, const RunHead& newer) {
    head.status = newer.status;
    head.updated_ms = newer.updated_ms;
    head.finished_ms = newer.finished_ms;
    head.due_ms = newer.due_ms;
    head.calls_out = newer.calls_out;
    head.error = newer.error;
    head.waiting = newer.waiting;
    head.events = newer.events;
    head.totals = newer.totals;
}

/// The last row of each run, with the names of its whole head where there is one.
template <class Rows>
std::vector<IndexRow> last_of_each(const Rows& rows) {
    std::vector<IndexRow> out;
    std::unordered_map<RunId, std::size_t> places;
    for (const auto& written : rows) {
        const IndexRow& row = written.row;
        const auto [place, added] = places.emplace(row.head.id, out.size());
        if (added) {
            out.push_back(row);
        } else if (row.whole_head) {
            out[place->second] = row;
        } else {
            bring_up_to_date(out[place->second].head, row.head);
            out[place->second].last = row.last;
        }
    }
    return out;
}

template <class Rows>
std::vector<PageMark> marks_of(const Rows& rows) {
    std::vector<PageMark> out;
    for (const auto& each : rows) {
        if (!each.mark) continue;
        out.push_back(*each.mark);
        out.back().address = each.row.last;
    }
    return out;
}

std::unexpected<base::Error> strange(RunId id) {
    return fail(Code::data_loss, "the journal has another run's record where one of {} was",
                to_text(id));
}

}  // namespace

JournalRunLog::JournalRunLog(base::journal::Journal& journal, std::unique_ptr<RunIndex> index)
    : journal_(journal), index_(std::move(index)) {}

JournalRunLog::~JournalRunLog() {
    journal_.flush();  // its callbacks come to us
    job_.reset();
}

Result<std::unique_ptr<JournalRunLog>> JournalRunLog::open(base::journal::Journal& journal,
                                                           const std::string& index_path,
                                                           bool threaded) {
    auto index = DG_TRY(RunIndex::open(index_path));
    std::unique_ptr<JournalRunLog> log(new JournalRunLog(journal, std::move(index)));
    DG_TRY(log->read_tail());
    if (threaded) {
        log->job_ = std::make_unique<base::BatchJob>(
            [self = log.get()] { return self->index_batch(); }, kIndexPace);
    }
    return log;
}

JournalRunLog::Written JournalRunLog::written(const RunChange& change, std::uint64_t count,
                                              bool whole_head, std::uint64_t address) {
    Written out{{change.head, address, whole_head}, {}};
    out.row.head.events = change.first + count;
    if (has_mark(change.first, count)) out.mark = PageMark{change.head.id, change.first, 0};
    return out;
}

/// What the index lacks, from the journal. Places of runs are looked up when they are needed.
Result<void> JournalRunLog::read_tail() {
    const std::uint64_t position = DG_TRY(index_->position());
    const bool known = position != 0 && Address{position} >= journal_.begin() &&
                       Address{position} < journal_.end();
    std::vector<Written> rows;
    const auto put = [&]() -> Result<void> {
        if (rows.empty()) return {};
        DG_TRY(index_->apply(last_of_each(rows), marks_of(rows), rows.back().row.last));
        rows.clear();
        return {};
    };
    DG_TRY(journal_.scan(known ? Address{position} : Address{},
                         [&](Address at, std::string_view bytes) -> Result<bool> {
                             Record record = DG_TRY(decode_record(bytes, false));
                             rows.push_back(
                                 written(record.change, record.count, record.whole_head, at.n));
                             if (rows.size() >= kBatchMax) DG_TRY(put());
                             return true;
                         }));
    return put();
}

void JournalRunLog::append(std::span<const RunChange> changes, Done done) {
    auto rows = std::make_shared<std::vector<Written>>();
    rows->reserve(changes.size());
    Group group;
    for (const RunChange& change : changes) {
        if (change.created) continue;
        if (auto known = place_of(change.head.id); !known) {
            done(std::unexpected(std::move(known).error()));
            return;
        }
    }
    // One lock over all: the journal may say that it is done before append returns, and has to find
    // the addresses then.
    std::unique_lock lock(mutex_);
    const bool broken = std::ranges::any_of(changes, [&](const RunChange& change) {
        const auto place = places_.find(change.head.id);
        return place != places_.end() && place->second.broken;
    });
    if (broken) {
        lock.unlock();
        done(fail(Code::unavailable, "an earlier write of this run has failed"));
        return;
    }
    for (const RunChange& change : changes) {
        const bool whole_head = change.created || !change.snapshot.empty();
        Place& place = places_[change.head.id];
        ++place.writes;
        group.add(encode_record(change, place.last, whole_head));
        rows->push_back(written(change, change.events.size(), whole_head, 0));
    }
    const auto first = journal_.append(group, [this, rows, done](Result<void> result) {
        settled(*rows, result.has_value());
        done(std::move(result));
    });
    for (std::size_t i = 0; first && i < rows->size(); ++i) {
        IndexRow& row = (*rows)[i].row;
        row.last = group.address(*first, i).n;
        places_[row.head.id].last = row.last;
    }
    lock.unlock();
    if (!first) {
        settled(*rows, false);
        done(std::unexpected(first.error()));
    }
}

/// Has the place of a run in the table that nothing was written of lately.
Result<void> JournalRunLog::place_of(RunId id) {
    {
        const std::lock_guard lock(mutex_);
        if (places_.contains(id)) return {};
    }
    const auto row = DG_TRY(index_->find(id));
    if (!row) return fail(Code::not_found, "there is no run {}", to_text(id));
    const std::lock_guard lock(mutex_);
    places_.emplace(id, Place{.last = row->last, .durable = row->last, .over = true});
    return {};
}

void JournalRunLog::settled(std::vector<Written>& rows, bool written) {
    const std::lock_guard lock(mutex_);
    for (Written& each : rows) {
        const IndexRow& row = each.row;
        Place& place = places_[row.head.id];
        --place.writes;
        if (!written) {
            place.broken = place.writes != 0;
            if (place.writes == 0) place.last = place.durable;
            if (place.durable == 0 && place.writes == 0) places_.erase(row.head.id);
            continue;
        }
        place.durable = row.last;
        place.over = is_final(row.head.status);
        if (row.whole_head && !row.head.idempotency_key.empty()) {
            keys_[tenant_key(row.head.tenant, row.head.idempotency_key)] = row.head.id;
        }
        waiting_.push_back(std::move(each));
    }
    if (job_ != nullptr && waiting_.size() >= kBatchMax) job_->notify();
}

Result<std::size_t> JournalRunLog::index_batch() {
    const std::lock_guard one(indexing_);
    std::vector<Written> rows;
    {
        const std::lock_guard lock(mutex_);
        const std::size_t count = std::min(waiting_.size(), kBatchMax);
        rows.assign(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    }
    if (rows.empty()) return 0;
    DG_TRY(index_->apply(last_of_each(rows), marks_of(rows), rows.back().row.last));
    const std::lock_guard lock(mutex_);
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(rows.size()));
    for (const Written& each : rows) {
        const IndexRow& row = each.row;
        if (row.whole_head && !row.head.idempotency_key.empty()) {
            keys_.erase(tenant_key(row.head.tenant, row.head.idempotency_key));
        }
        const auto place = places_.find(row.head.id);
        if (place != places_.end() && place->second.over && place->second.writes == 0 &&
            place->second.durable == row.last) {
            places_.erase(place);
        }
    }
    return rows.size();
}

Result<void> JournalRunLog::catch_up() {
    while (DG_TRY(index_batch()) != 0) {
    }
    return {};
}

Result<std::uint64_t> JournalRunLog::address_of(RunId id) {
    {
        const std::lock_guard lock(mutex_);
        const auto place = places_.find(id);
        if (place != places_.end() && place->second.durable != 0) return place->second.durable;
    }
    const auto row = DG_TRY(index_->find(id));
    if (!row) return fail(Code::not_found, "there is no run {}", to_text(id));
    return row->last;
}

Result<StoredRun> JournalRunLog::load(RunId id) {
    std::uint64_t address = DG_TRY(address_of(id));
    StoredRun out;
    std::vector<Record> records;
    for (bool newest = true; address != 0; newest = false) {
        Record record = DG_TRY(decode_record(DG_TRY(journal_.read(Address{address}))));
        if (record.change.head.id != id) {
            return strange(id);
        }
        RunHead& head = record.change.head;
        if (newest) {
            out.head = head;
        } else if (record.whole_head) {
            // What never changes stands in whole heads alone.
            RunHead whole = head;
            bring_up_to_date(whole, out.head);
            out.head = std::move(whole);
        }
        address = record.previous;
        const bool enough = !record.change.snapshot.empty();
        records.push_back(std::move(record));
        if (enough) break;
    }
    if (records.empty()) return fail(Code::not_found, "there is no run {}", to_text(id));
    out.snapshot = std::move(records.back().change.snapshot);
    if (!out.snapshot.empty()) records.pop_back();  // its events are in the snapshot
    for (auto record = records.rbegin(); record != records.rend(); ++record) {
        std::ranges::move(record->change.events, std::back_inserter(out.events));
    }
    return out;
}

Result<std::vector<Event>> JournalRunLog::history(RunId id, std::uint64_t skip,
                                                  std::uint32_t limit) {
    // Back from the first mark behind what is wanted; where there is none, from the end.
    const std::uint64_t end = skip + limit;
    std::uint64_t address = DG_TRY(index_->mark_from(id, end));
    if (address == 0) address = DG_TRY(address_of(id));
    std::vector<RunChange> parts;  // the newest first, down to the one that has the first wanted
    while (address != 0) {
        const std::string bytes = DG_TRY(journal_.read(Address{address}));
        Record record = DG_TRY(decode_record(bytes, false));
        address = record.change.first <= skip ? 0 : record.previous;
        if (record.change.first >= end) continue;
        record = DG_TRY(decode_record(bytes));
        if (record.change.head.id != id) return strange(id);
        parts.push_back(std::move(record.change));
    }
    std::vector<Event> out;
    for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
        std::uint64_t place = part->first;
        for (Event& event : part->events) {
            if (place++ >= skip && out.size() < limit) out.push_back(std::move(event));
        }
    }
    return out;
}

Result<std::uint64_t> JournalRunLog::length(RunId id) {
    const std::uint64_t address = DG_TRY(address_of(id));
    const Record record =
        DG_TRY(decode_record(DG_TRY(journal_.read(Address{address})), /*events=*/false));
    if (record.change.head.id != id) return strange(id);
    return record.change.head.events;
}

Result<RunHead> JournalRunLog::load_head(RunId id) {
    {
        const std::lock_guard lock(mutex_);  // the newest that is not indexed stands last
        const auto found = std::find_if(
            waiting_.rbegin(), waiting_.rend(),
            [&](const Written& each) { return each.row.head.id == id && each.row.whole_head; });
        if (found != waiting_.rend()) return found->row.head;
    }
    const auto row = DG_TRY(index_->find(id));
    if (!row) return fail(Code::not_found, "there is no run {}", to_text(id));
    return row->head;
}

Result<std::optional<RunId>> JournalRunLog::by_key(std::string_view tenant, std::string_view key) {
    {
        const std::lock_guard lock(mutex_);
        const auto found = keys_.find(tenant_key(tenant, key));
        if (found != keys_.end()) return found->second;
    }
    return index_->by_key(tenant, key);
}

Result<void> JournalRunLog::open_runs(const std::function<void(const RunHead&)>& each) {
    DG_TRY(catch_up());
    return index_->open_runs(each);
}

Result<std::vector<RunHead>> JournalRunLog::list(const RunFilter& filter) {
    DG_TRY(catch_up());
    return index_->list(filter);
}

Result<RunCounts> JournalRunLog::count(const RunFilter& filter) {
    DG_TRY(catch_up());
    return index_->count(filter);
}

base::json::object JournalRunLog::health() {
    const base::journal::Stats stats = journal_.stats();
    std::size_t behind = 0;
    {
        const std::lock_guard lock(mutex_);
        behind = waiting_.size();
    }
    return {{"store", "journal"},
            {"journal",
             {{"segments", stats.segments},
              {"bytes", stats.bytes},
              {"records", stats.records},
              {"commits", stats.groups},
              {"syncs", stats.syncs},
              {"failures", stats.failures},
              {"pending_bytes", stats.pending_bytes},
              {"sync_p50_ms", stats.sync_p50_us / 1000.0},
              {"sync_p99_ms", stats.sync_p99_us / 1000.0},
              {"index_behind", behind}}}};
}

}  // namespace flow
