#include "base/journal/format.h"

#include <array>
#include <bit>
#include <cstring>

#include "base/core/crc32c.h"

namespace base::journal {
namespace {

static_assert(std::endian::native == std::endian::little, "words are stored as they are in memory");

constexpr std::uint64_t kSegmentMagic = 0x314C4E524A474453;  // "SDGJRNL1"
constexpr std::uint64_t kFrameMagic = 0xA7D5314D52464744;    // "DGFRM1" and two bytes of no text
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kSegmentCrcAt = kSegmentHeaderBytes - 4;
constexpr std::size_t kFrameCrcAt = kFrameHeaderBytes - 4;

template <class T>
void put(char* at, T value) {
    std::memcpy(at, &value, sizeof(value));
}
template <class T>
T get(std::string_view bytes, std::size_t at) {
    T value{};
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    return value;
}

std::uint32_t record_crc(std::string_view record, std::uint64_t address) {
    std::array<char, 12> place{};
    put(place.data(), address);
    put(place.data() + 8, static_cast<std::uint32_t>(record.size()));
    return crc32c(record, crc32c(std::string_view(place.data(), place.size())));
}

}  // namespace

void put_header(const SegmentHeader& header, char* out) {
    std::memset(out, 0, kSegmentHeaderBytes);
    put(out, kSegmentMagic);
    put(out + 8, kVersion);
    put(out + 16, header.journal);
    put(out + 24, header.index);
    put(out + 32, header.segment_bytes);
    put(out + 40, header.follows);
    put(out + 48, header.sequence);
    put(out + kSegmentCrcAt, crc32c(std::string_view(out, kSegmentCrcAt)));
}

void put_header(const FrameHeader& header, char* out) {
    std::memset(out, 0, kFrameHeaderBytes);
    put(out, kFrameMagic);
    put(out + 8, header.journal);
    put(out + 16, header.address);
    put(out + 24, header.sequence);
    put(out + 32, header.bytes);
    put(out + 36, header.records);
    put(out + kFrameCrcAt, crc32c(std::string_view(out, kFrameCrcAt)));
}

std::optional<SegmentHeader> segment_header(std::string_view bytes) {
    if (get<std::uint64_t>(bytes, 0) != kSegmentMagic || get<std::uint32_t>(bytes, 8) != kVersion ||
        get<std::uint32_t>(bytes, kSegmentCrcAt) != crc32c(bytes.substr(0, kSegmentCrcAt))) {
        return std::nullopt;
    }
    return SegmentHeader{get<std::uint64_t>(bytes, 16), get<std::uint64_t>(bytes, 24),
                         get<std::uint64_t>(bytes, 32), get<std::uint64_t>(bytes, 40),
                         get<std::uint64_t>(bytes, 48)};
}

std::optional<FrameHeader> frame_header(std::string_view bytes) {
    if (get<std::uint64_t>(bytes, 0) != kFrameMagic ||
        get<std::uint32_t>(bytes, kFrameCrcAt) != crc32c(bytes.substr(0, kFrameCrcAt))) {
        return std::nullopt;
    }
    return FrameHeader{get<std::uint64_t>(bytes, 8), get<std::uint64_t>(bytes, 16),
                       get<std::uint64_t>(bytes, 24), get<std::uint32_t>(bytes, 32),
                       get<std::uint32_t>(bytes, 36)};
}

void append_record(std::string& to, std::string_view record) {
    std::array<char, kRecordHeaderBytes> header{};
    put(header.data(), static_cast<std::uint32_t>(record.size()));
    to.append(header.data(), header.size());
    to.append(record);
}

void put_address(char* at, std::uint64_t address) {
    put(at, address);
}

void seal_records(char* records, std::size_t bytes, std::uint64_t address) {
    for (std::size_t at = 0; at < bytes;) {
        const std::string_view rest(records + at, bytes - at);
        const auto length = get<std::uint32_t>(rest, 0);
        put(records + at + 4, record_crc(rest.substr(kRecordHeaderBytes, length), address + at));
        at += kRecordHeaderBytes + length;
    }
}

std::uint64_t record_extent(std::string_view bytes) {
    return kRecordHeaderBytes + get<std::uint32_t>(bytes, 0);
}

std::optional<std::string_view> record_at(std::string_view bytes, std::uint64_t address) {
    if (bytes.size() < kRecordHeaderBytes || bytes.size() < record_extent(bytes)) {
        return std::nullopt;
    }
    const std::string_view record = bytes.substr(kRecordHeaderBytes, get<std::uint32_t>(bytes, 0));
    if (get<std::uint32_t>(bytes, 4) != record_crc(record, address)) return std::nullopt;
    return record;
}

bool records_are_right(std::string_view bytes, const FrameHeader& header) {
    std::uint64_t address = header.address + kFrameHeaderBytes;
    std::uint32_t records = 0;
    while (!bytes.empty()) {
        if (!record_at(bytes, address)) return false;
        const std::uint64_t extent = record_extent(bytes);
        bytes.remove_prefix(extent);
        address += extent;
        ++records;
    }
    return records == header.records;
}

std::size_t find_frame_magic(std::string_view bytes, std::size_t from) {
    for (std::size_t at = align_frame(from); at + 8 <= bytes.size(); at += kFrameAlign) {
        if (get<std::uint64_t>(bytes, at) == kFrameMagic) return at;
    }
    return std::string_view::npos;
}

bool all_zero(std::string_view bytes) {
    return bytes.empty() ||
           (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace base::journal
