#include "base/journal/frame.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <utility>

namespace base::journal {

Frame::Frame(std::uint64_t segment_bytes, std::uint64_t index, std::uint64_t offset,
             std::uint64_t sequence)
    : segment_bytes_(segment_bytes),
      sequence_(sequence),
      begin_(index * segment_bytes + (offset == 0 ? kSegmentHeaderBytes : offset)),
      opens_segment_(offset == 0),
      bytes_of_headers_(kFrameHeaderBytes + (offset == 0 ? kSegmentHeaderBytes : 0)),
      bytes_(bytes_of_headers_, '\0') {
    records_end_ = bytes_.size();
}

bool Frame::has_room(std::uint64_t group_bytes) const {
    return offset() + align_frame(bytes_.size() + group_bytes) <= segment_bytes_;
}

Address Frame::add(const Group& group, Journal::Done done) {
    const std::size_t at = bytes_.size();
    bytes_.append(group.encoded());
    records_end_ = bytes_.size();
    const Address first{begin_ + kFrameHeaderBytes + at - bytes_of_headers_};
    for (const std::size_t start : group.starts()) starts_.push_back(at + start);
    for (const Group::Reference& reference : group.references()) {
        put_address(bytes_.data() + at + reference.at, group.address(first, reference.target).n);
    }
    if (done) dones_.push_back(std::move(done));
    ++groups_;
    return first;
}

void Frame::close() {
    bytes_.resize(align_frame(bytes_.size()), '\0');
}

std::uint64_t Frame::end() const {
    return begin_ + align_frame(kFrameHeaderBytes + records_bytes());
}

void Frame::seal(std::uint64_t journal, std::uint64_t follows) {
    char* at = bytes_.data();
    if (opens_segment_) {
        put_header(SegmentHeader{journal, index(), segment_bytes_, follows, sequence_}, at);
        at += kSegmentHeaderBytes;
    }
    seal_records(at + kFrameHeaderBytes, records_bytes(), begin_ + kFrameHeaderBytes);
    put_header(FrameHeader{journal, begin_, sequence_, static_cast<std::uint32_t>(records_bytes()),
                           records()},
               at);
}

std::string_view Frame::record(Address address) const {
    if (address.n < begin_) return {};
    const std::size_t at = address.n - begin_ - kFrameHeaderBytes + bytes_of_headers_;
    if (!std::ranges::binary_search(starts_, at)) return {};
    const std::string_view rest = std::string_view(bytes_).substr(at, records_end_ - at);
    return rest.substr(kRecordHeaderBytes, record_extent(rest) - kRecordHeaderBytes);
}

// By the system call, as in base/store: std::atomic::wait yields some times before it sleeps,
// which many writers on few processors pay for.
void Frame::announce() {
    state_.store(announced, std::memory_order_seq_cst);
    if (!awaited_.load(std::memory_order_seq_cst)) return;
    ::syscall(SYS_futex, &state_, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

Result<void> Frame::wait() {
    static_assert(sizeof(state_) == sizeof(std::uint32_t));
    awaited_.store(true, std::memory_order_seq_cst);
    while (state_.load(std::memory_order_seq_cst) == pending) {
        ::syscall(SYS_futex, &state_, FUTEX_WAIT_PRIVATE, pending, nullptr, nullptr, 0);
    }
    return result_;
}

void Frame::call_dones() {
    for (Journal::Done& done : dones_) done(result_);
    dones_.clear();
}

}  // namespace base::journal
