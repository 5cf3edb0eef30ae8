#include "memory/truth/memory_id.h"

namespace memory::truth {
namespace {

constexpr std::string_view kPrefix = "mem-";
constexpr std::string_view kDigits = "0123456789abcdefghjkmnpqrstvwxyz";  // no i, l, o, u
constexpr std::size_t kLength = 26;
constexpr std::uint64_t kMask40 = (1ull << 40) - 1;

__extension__ typedef unsigned __int128 Bits;

}  // namespace

MemoryId make_id(UnixMs time, RowId row, std::uint64_t chance) {
    Bits bits = static_cast<std::uint64_t>(time) & ((1ull << 48) - 1);
    bits = bits << 40 | (static_cast<std::uint64_t>(row) & kMask40);
    bits = bits << 40 | (chance & kMask40);
    MemoryId id(kPrefix);
    id.resize(kPrefix.size() + kLength);
    for (std::size_t i = id.size(); i > kPrefix.size(); --i) {
        id[i - 1] = kDigits[static_cast<std::size_t>(bits & 31)];
        bits >>= 5;
    }
    return id;
}

std::optional<RowId> row_of(std::string_view id) {
    if (id.size() != kPrefix.size() + kLength || !id.starts_with(kPrefix)) return std::nullopt;
    Bits bits = 0;
    for (const char c : id.substr(kPrefix.size())) {
        const std::size_t digit = kDigits.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        bits = bits << 5 | digit;
    }
    return static_cast<RowId>(static_cast<std::uint64_t>(bits >> 40) & kMask40);
}

}  // namespace memory::truth
