#include "memory/truth/mark_tail.h"

#include <algorithm>

#include "base/core/check.h"

namespace memory::truth {

void MarkTail::start(RowId written) {
    std::lock_guard lock(mutex_);
    written_ = written;
}

RowId MarkTail::written() const {
    std::lock_guard lock(mutex_);
    return written_;
}

void MarkTail::add(std::int64_t tenant, RowId row, std::span<const std::int64_t> marks) {
    DG_CHECK(marks.size() <= kMarksMax, "{} marks of one entry", marks.size());
    Row made{.tenant = tenant, .count = static_cast<std::uint8_t>(marks.size())};
    std::copy(marks.begin(), marks.end(), made.marks.begin());
    std::lock_guard lock(mutex_);
    if (const auto old = rows_.find(row); old != rows_.end()) erase(old);
    rows_.emplace_hint(rows_.end(), row, made);
    for (const std::int64_t mark : marks) by_mark_.emplace(mark, row);
}

void MarkTail::confirm(RowId row) {
    std::lock_guard lock(mutex_);
    if (const auto at = rows_.find(row); at != rows_.end()) at->second.confirmed = true;
}

void MarkTail::forget(RowId row) {
    std::lock_guard lock(mutex_);
    if (const auto at = rows_.find(row); at != rows_.end()) erase(at);
}

void MarkTail::doubt(RowId row) {
    std::lock_guard lock(mutex_);
    if (row > written_) doubts_.insert(row);
}

bool MarkTail::doubted(RowId row) const {
    std::lock_guard lock(mutex_);
    return doubts_.contains(row);
}

void MarkTail::find(std::int64_t mark, std::size_t most, std::vector<RowId>& rows) const {
    std::lock_guard lock(mutex_);
    for (auto at = by_mark_.lower_bound({mark, 0});
         at != by_mark_.end() && at->first == mark && rows.size() < most; ++at) {
        if (std::find(rows.begin(), rows.end(), at->second) == rows.end()) {
            rows.push_back(at->second);
        }
    }
}

std::size_t MarkTail::rows() const {
    std::lock_guard lock(mutex_);
    return rows_.size();
}

MarkTail::Batch MarkTail::batch() const {
    Batch batch;
    {
        std::lock_guard lock(mutex_);
        for (const auto& [row, of_row] : rows_) {
            if (!of_row.confirmed) break;
            batch.through = row;
            for (std::size_t i = 0; i < of_row.count; ++i) {
                batch.marks.push_back({of_row.tenant, of_row.marks[i], row});
            }
        }
    }
    std::sort(batch.marks.begin(), batch.marks.end());
    return batch;
}

void MarkTail::drop(RowId through) {
    std::lock_guard lock(mutex_);
    for (auto at = rows_.begin(); at != rows_.end() && at->first <= through;) at = erase(at);
    doubts_.erase(doubts_.begin(), doubts_.upper_bound(through));
    written_ = through;
}

MarkTail::Rows::iterator MarkTail::erase(Rows::iterator at) {
    for (std::size_t i = 0; i < at->second.count; ++i) {
        by_mark_.erase({at->second.marks[i], at->first});
    }
    return rows_.erase(at);
}

}  // namespace memory::truth
