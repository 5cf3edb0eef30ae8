// How runs leave the journal: a last record says that the run is no more, the index forgets it, and
// segments go once nothing that is left has a record in them or before them.

#include <algorithm>
#include <set>
#include <utility>

#include "flow/log/journal_run_log.h"

namespace flow {

using base::Result;
using base::journal::Address;
using base::journal::Group;

Result<std::vector<RunHead>> JournalRunLog::finished(const FinishedFilter& filter) {
    DG_TRY(catch_up());
    return index_->finished(filter);
}

void JournalRunLog::remove(std::span<const RunHead> heads, Done done) {
    auto rows = std::make_shared<std::vector<Written>>();
    std::set<RunId> runs;
    Group group;
    // As `finished` gave them, with all that was written since in the index or on its way there.
    const auto same = [&]() -> Result<bool> {
        DG_TRY(catch_up());
        for (const RunHead& head : heads) {
            const auto row = DG_TRY(index_->find(head.id));
            if (!row || row->head.updated_ms != head.updated_ms) return false;
            DG_TRY(place_of(head.id));
            runs.insert(head.id);
        }
        return true;
    }();
    if (!same) return done(std::unexpected(same.error()));
    std::unique_lock lock(mutex_);  // as in append
    const bool busy = !*same || std::ranges::any_of(heads, [&](const RunHead& head) {
        const auto place = places_.find(head.id);  // gone: indexed just now
        return place == places_.end() || place->second.writes != 0 || !place->second.over;
    }) || std::ranges::any_of(waiting_, [&](const Written& each) {
        return runs.contains(each.row.head.id);
    });
    if (busy) {
        lock.unlock();
        done(base::fail(base::Code::unavailable, "a run that was over went on; try again"));
        return;
    }
    for (const RunHead& head : heads) {
        Place& place = places_[head.id];
        ++place.writes;
        RunChange change;
        change.head = head;
        group.add(encode_record(change, place.last, true, true));
        rows->push_back({{.head = head, .last = 0, .whole_head = true, .removed = true}, {}});
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

/// From the front, up to the first record of a run that is left: what lies before is nobody's.
Result<std::size_t> JournalRunLog::reclaim() {
    DG_TRY(catch_up());
    const std::uint64_t indexed = DG_TRY(index_->position());
    const std::uint64_t before = journal_.stats().segments;
    std::optional<Address> keep;
    RunId last;  // records of one run often stand together
    DG_TRY(journal_.scan({}, [&](Address at, std::string_view bytes) -> Result<bool> {
        keep = at;
        if (at.n >= indexed) return false;
        const RunId run = DG_TRY(decode_record(bytes, false)).change.head.id;
        if (run == last) return true;
        if (DG_TRY(index_->find(run))) return false;
        last = run;
        return true;
    }));
    if (!keep) return 0;
    DG_TRY(journal_.drop_before(*keep));
    const std::uint64_t after = journal_.stats().segments;
    return static_cast<std::size_t>(before - std::min(before, after));
}

}  // namespace flow
