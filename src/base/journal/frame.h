#pragma once
// One write in memory: what gathers while the one before it is on its way to the disk.

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/journal/format.h"
#include "base/journal/journal.h"

namespace base::journal {

/// Filled under the journal's lock; from take on it is the writer's, who puts headers and checksums
/// in place and leaves the records' bytes alone, which readers may copy meanwhile.
class Frame {
public:
    /// `offset`: 0 starts segment `index` and has its header in front.
    Frame(std::uint64_t segment_bytes, std::uint64_t index, std::uint64_t offset,
          std::uint64_t sequence);

    /// Bytes behind it in its segment once `group_bytes` more are in.
    bool has_room(std::uint64_t group_bytes) const;
    /// Returns the address of its first record. `done` may be empty. Pre: has_room.
    Address add(const Group& group, Journal::Done done);
    /// No more is added: pads it to its length on the disk.
    void close();

    /// Puts headers and checksums. `follows` is for a segment's header.
    void seal(std::uint64_t journal, std::uint64_t follows);
    std::string_view bytes() const { return bytes_; }
    std::uint64_t offset() const { return opens_segment_ ? 0 : begin_ % segment_bytes_; }
    std::uint64_t index() const { return begin_ / segment_bytes_; }
    bool opens_segment() const { return opens_segment_; }
    std::uint64_t sequence() const { return sequence_; }
    std::uint64_t begin() const { return begin_; }  // addresses
    std::uint64_t end() const;
    std::uint32_t records() const { return static_cast<std::uint32_t>(starts_.size()); }
    std::uint32_t groups() const { return groups_; }
    std::uint64_t records_bytes() const { return records_end_ - bytes_of_headers_; }
    /// Callers that wait for it, one a group.
    std::uint64_t commits() const { return groups_ - dones_.size(); }
    bool has_dones() const { return !dones_.empty(); }

    /// The record that begins at `address`; nullptr data: none does.
    std::string_view record(Address address) const;

    /// Once, under the journal's lock.
    void settle(const Result<void>& result) { result_ = result; }
    /// After settle: wakes those who wait.
    void announce();
    /// After settle: calls every `done`, in order.
    void call_dones();
    /// Until announce.
    Result<void> wait();

private:
    enum State : std::uint32_t { pending, announced };

    const std::uint64_t segment_bytes_, sequence_;
    std::uint64_t begin_;  // address of the frame's header
    const bool opens_segment_;
    const std::size_t bytes_of_headers_;
    std::size_t records_end_ = 0;
    std::string bytes_;                // headers, records
    std::vector<std::size_t> starts_;  // of records, in bytes_
    std::vector<Journal::Done> dones_;
    std::uint32_t groups_ = 0;
    std::atomic<std::uint32_t> state_{pending};
    std::atomic<bool> awaited_{false};
    Result<void> result_;
};

}  // namespace base::journal
