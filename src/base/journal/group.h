#pragma once
// What is appended: records that become durable together or not at all.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace base::journal {

/// Where a record begins. Grows from record to record, with gaps; never used again for another
/// record once one was acknowledged. `n / segment_bytes` is the number of its segment.
struct Address {
    std::uint64_t n = 0;  ///< 0: no record
    auto operator<=>(const Address&) const = default;
};

/// Records, encoded outside of any lock. A record that is to hold the address of another of its
/// group leaves 8 bytes for it and says so with `refer`: they are filled in when the group gets
/// its place. Addresses of earlier groups are known before, from Journal::append. One thread;
/// may be appended again, and cleared to be filled again without allocating.
class Group {
public:
    /// Adds a record, which may be empty; returns its number in the group: 0, 1, ...
    std::size_t add(std::string_view record);
    /// Bytes [at, at + 8) of record `in` shall be the address of record `target`, little-endian.
    /// Pre: both were added, and those bytes are inside `in`.
    void refer(std::size_t in, std::size_t at, std::size_t target);

    /// Of a record, once append has said where the first one is.
    Address address(Address first, std::size_t record) const {
        return Address{first.n + starts_[record]};
    }
    std::size_t size() const { return starts_.size(); }
    bool empty() const { return starts_.empty(); }
    /// On the disk.
    std::size_t bytes() const { return encoded_.size(); }
    std::size_t record_bytes_max() const { return record_bytes_max_; }
    void clear();

    // For the journal.
    struct Reference {
        std::size_t at = 0;  // in encoded()
        std::size_t target = 0;
    };
    std::string_view encoded() const { return encoded_; }
    /// Of each record in encoded().
    std::span<const std::size_t> starts() const { return starts_; }
    std::span<const Reference> references() const { return references_; }

private:
    std::string encoded_;
    std::vector<std::size_t> starts_;
    std::vector<Reference> references_;
    std::size_t record_bytes_max_ = 0;
};

}  // namespace base::journal
