#include "sphere/egress/names.h"

#include <algorithm>

namespace sphere::egress {
namespace {

// fd64:6f75:676f:6e67::/64, "dougong"; the last four bytes count.
constexpr std::array<std::uint8_t, 12> kPrefix = {0xfd, 0x64, 0x6f, 0x75, 0x67, 0x6f,
                                                  0x6e, 0x67, 0,    0,    0,    0};

std::uint32_t tail(const net::Address& address, std::size_t at) {
    std::uint32_t value = 0;
    for (std::size_t i = at; i < at + 4; ++i) value = value << 8 | address.bytes[i];
    return value;
}

constexpr std::uint32_t kPool = 198u << 24 | 18u << 16, kPoolMask = 0xfffe0000u;

}  // namespace

Names::Entry* Names::find_or_add(const std::string& name) {
    if (const auto at = by_name_.find(name); at != by_name_.end()) return &entries_[at->second];
    if (entries_.size() >= kNamesMax) return nullptr;
    by_name_[name] = entries_.size();
    Entry& entry = entries_.emplace_back();
    entry.name = name;
    entry.index = static_cast<std::uint32_t>(entries_.size());  // from 1: .0 looks like a network
    return &entry;
}

bool Names::in_pool(const net::Address& address) {
    return address.v6 ? std::equal(kPrefix.begin(), kPrefix.end(), address.bytes.begin())
                      : (tail(address, 0) & kPoolMask) == kPool;
}

Names::Entry* Names::find(const net::Address& address) {
    if (!in_pool(address)) return nullptr;
    const std::uint32_t index = address.v6 ? tail(address, 12) : tail(address, 0) & ~kPoolMask;
    return index == 0 || index > entries_.size() ? nullptr : &entries_[index - 1];
}

net::Address Names::address_of(const Entry& entry, bool v6) {
    net::Address address;
    address.v6 = v6;
    const std::uint32_t value = v6 ? entry.index : kPool | entry.index;
    if (v6) std::ranges::copy(kPrefix, address.bytes.begin());
    for (std::size_t i = 0; i < 4; ++i) {
        address.bytes[(v6 ? 12 : 0) + i] = static_cast<std::uint8_t>(value >> (24 - 8 * i));
    }
    return address;
}

void Names::unpin() {
    for (Entry& entry : entries_) entry.pinned_until = {};
}

}  // namespace sphere::egress
