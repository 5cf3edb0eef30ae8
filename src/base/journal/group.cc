#include "base/journal/group.h"

#include <algorithm>

#include "base/core/check.h"
#include "base/journal/format.h"

namespace base::journal {

std::size_t Group::add(std::string_view record) {
    starts_.push_back(encoded_.size());
    record_bytes_max_ = std::max(record_bytes_max_, record.size());
    append_record(encoded_, record);
    return starts_.size() - 1;
}

void Group::refer(std::size_t in, std::size_t at, std::size_t target) {
    DG_CHECK(in < starts_.size() && target < starts_.size(), "a reference to a record not added");
    const std::size_t begin = starts_[in] + kRecordHeaderBytes;
    const std::size_t end = in + 1 < starts_.size() ? starts_[in + 1] : encoded_.size();
    DG_CHECK(at + sizeof(std::uint64_t) <= end - begin, "a reference outside of its record");
    references_.push_back(Reference{begin + at, target});
}

void Group::clear() {
    encoded_.clear();
    starts_.clear();
    references_.clear();
    record_bytes_max_ = 0;
}

}  // namespace base::journal
