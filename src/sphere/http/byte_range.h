#pragma once
// The Range header (RFC 9110 section 14): one range of bytes; of more, or of other units, none.

#include <cstdint>
#include <optional>
#include <string_view>

namespace sphere {

struct ByteRange {
    std::uint64_t first = 0, count = 0;
    bool operator==(const ByteRange&) const = default;
};

enum class RangeKind : std::uint8_t {
    whole,          ///< no range, or one that servers may ignore
    part,           ///< 206
    unsatisfiable,  ///< 416
};

struct RangeAnswer {
    RangeKind kind = RangeKind::whole;
    ByteRange range;  ///< the whole file, but for `part`
    bool operator==(const RangeAnswer&) const = default;
};

RangeAnswer read_range(std::string_view header, std::uint64_t size);

}  // namespace sphere
