#pragma once
// Bytes of a journal. Everything is little-endian.
//
//   segment   header | frame | frame | ... | zeros        one file, segment_bytes long
//   frame     header | record | record | ... | zeros to a multiple of 8
//   record    u32 length | u32 crc32c | bytes
//
// A frame is what one write brought to the disk: valid as a whole or not at all. Headers name the
// journal and their own address, so that bytes of a frame elsewhere, in a record or in a file that
// was copied, are none here. A record's crc covers its address.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace base::journal {

inline constexpr std::uint64_t kSegmentHeaderBytes = 64;
inline constexpr std::uint64_t kFrameHeaderBytes = 48;
inline constexpr std::uint64_t kRecordHeaderBytes = 8;
inline constexpr std::uint64_t kFrameAlign = 8;

constexpr std::uint64_t align_frame(std::uint64_t at) {
    return (at + kFrameAlign - 1) / kFrameAlign * kFrameAlign;
}

struct SegmentHeader {
    std::uint64_t journal = 0;  // chosen at random when the journal was made
    std::uint64_t index = 0;
    std::uint64_t segment_bytes = 0;
    /// Where the frame before this segment's first one ends, as an address; 0: there was none.
    /// What comes behind it in its segment, and segments between, were never acknowledged.
    std::uint64_t follows = 0;
    std::uint64_t sequence = 0;  // of its first frame
    bool operator==(const SegmentHeader&) const = default;
};

struct FrameHeader {
    std::uint64_t journal = 0;
    std::uint64_t address = 0;
    std::uint64_t sequence = 0;  // grows by one
    std::uint32_t bytes = 0;     // of its records
    std::uint32_t records = 0;
    bool operator==(const FrameHeader&) const = default;
};

/// `out` has room for kSegmentHeaderBytes; kFrameHeaderBytes.
void put_header(const SegmentHeader& header, char* out);
void put_header(const FrameHeader& header, char* out);

/// nullopt: no such header, or a damaged one. Pre: as many bytes as the header has.
std::optional<SegmentHeader> segment_header(std::string_view bytes);
std::optional<FrameHeader> frame_header(std::string_view bytes);

/// Appends a record whose crc is still to be put, by seal_records.
void append_record(std::string& to, std::string_view record);
void put_address(char* at, std::uint64_t address);

/// Puts the crc of each record of a frame. Pre: `records` is what append_record made.
void seal_records(char* records, std::size_t bytes, std::uint64_t address);

/// The first record at `bytes`, which lies at `address`; nullopt: none that is whole and right.
std::optional<std::string_view> record_at(std::string_view bytes, std::uint64_t address);
/// Bytes of the record at `bytes` with its header, if what stands there is true.
std::uint64_t record_extent(std::string_view bytes);

/// All records of a frame are right and there are as many as its header says.
bool records_are_right(std::string_view bytes, const FrameHeader& header);

/// Where in `bytes`, at a multiple of kFrameAlign, the next thing stands that could be the header
/// of a frame; npos: nowhere.
std::size_t find_frame_magic(std::string_view bytes, std::size_t from);
bool all_zero(std::string_view bytes);

}  // namespace base::journal
