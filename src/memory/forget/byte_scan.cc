// A rolling hash over every 24 bytes (Karp and Rabin 1987), modulo 2^64.
#include "memory/forget/byte_scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>

#include "base/files/file_error.h"
#include "base/files/unique_fd.h"

namespace memory::forget {
namespace {

constexpr std::uint64_t kBase = 0x9E3779B97F4A7C15ull;
constexpr std::size_t kLookAt = 512;
/// Few needles leave a sieve that fits in the nearest cache.
constexpr std::uint64_t kSieveBitsMin = 1ull << 15, kSieveBitsMax = 1ull << 24;
constexpr std::uint64_t kSieveBitsPerNeedle = 64;

constexpr std::uint64_t power(std::uint64_t base, std::size_t exponent) {
    std::uint64_t out = 1;
    for (std::size_t i = 0; i < exponent; ++i) out *= base;
    return out;
}
constexpr std::uint64_t kOldest = power(kBase, kNeedleBytes - 1);

std::uint64_t byte(char c) {
    return static_cast<unsigned char>(c) + 1u;
}
/// Spreads the sum's high bits, which are the good ones, over all.
std::uint64_t mixed(std::uint64_t sum) {
    sum ^= sum >> 32;
    sum *= 0xD6E8FEB86659FD93ull;
    return sum ^ sum >> 32;
}

}  // namespace

std::optional<Needle> needle_of(std::string_view text) {
    if (text.size() < kNeedleBytes) return std::nullopt;
    const std::size_t at = (std::min(text.size(), kLookAt) - kNeedleBytes) / 2;
    std::uint64_t sum = 0;
    for (const char c : text.substr(at, kNeedleBytes)) sum = sum * kBase + byte(c);
    return static_cast<Needle>(mixed(sum));
}

NeedleSet::NeedleSet(const std::vector<Needle>& needles)
    : needles_(needles.begin(), needles.end()) {
    const std::uint64_t bits = std::clamp(std::bit_ceil(needles_.size() * kSieveBitsPerNeedle),
                                          kSieveBitsMin, kSieveBitsMax);
    sieve_.resize(bits / 64);
    sieve_mask_ = bits - 1;
    for (const Needle needle : needles_) {
        const std::uint64_t place = static_cast<std::uint64_t>(needle) & sieve_mask_;
        sieve_[place / 64] |= 1ull << place % 64;
    }
}

void NeedleSet::each_hit(std::string_view bytes, const std::function<bool(Needle)>& hit) const {
    if (bytes.size() < kNeedleBytes || needles_.empty()) return;
    // Files of a store have long stretches of zeros, where rows were.
    constexpr std::size_t kStretch = 1024;
    static constexpr std::array<char, kStretch + kNeedleBytes> kZeros{};
    const std::size_t places = bytes.size() - kNeedleBytes + 1;
    std::size_t begin = 0;
    const auto search = [&](std::size_t end) {
        const bool more =
            begin == end || each_hit_near(bytes.substr(begin, end - begin + kNeedleBytes - 1), hit);
        begin = end;
        return more;
    };
    for (std::size_t at = 0; at < places; at += kStretch) {
        const std::string_view part = bytes.substr(at, kStretch + kNeedleBytes - 1);
        if (std::memcmp(part.data(), kZeros.data(), part.size()) != 0) continue;
        if (at > begin && !search(at)) return;
        begin = std::min(at + kStretch, places);
    }
    search(places);
}

bool NeedleSet::each_hit_near(std::string_view bytes,
                              const std::function<bool(Needle)>& hit) const {
    // Each sum waits for the one before it: several stretches at a time keep a core busy.
    constexpr std::size_t kLanes = 4;
    const std::size_t places = bytes.size() - kNeedleBytes + 1, each = places / kLanes;
    std::array<const char*, kLanes> from{};
    std::array<std::uint64_t, kLanes> sums{};
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
        from[lane] = bytes.data() + lane * each;
        for (std::size_t i = 0; i + 1 < kNeedleBytes; ++i) {
            sums[lane] = sums[lane] * kBase + byte(from[lane][i]);
        }
    }
    bool more = true;
    const auto step = [&](std::size_t lane, std::size_t i) {
        const char* at = from[lane] + i;
        sums[lane] = sums[lane] * kBase + byte(at[kNeedleBytes - 1]);
        const std::uint64_t hash = mixed(sums[lane]);
        sums[lane] -= byte(*at) * kOldest;
        const std::uint64_t place = hash & sieve_mask_;
        if ((sieve_[place / 64] >> place % 64 & 1) == 0) return;
        const auto needle = static_cast<Needle>(hash);
        if (needles_.contains(needle)) more = more && hit(needle);
    };
    for (std::size_t i = 0; i < each && more; ++i) {
        for (std::size_t lane = 0; lane < kLanes; ++lane) step(lane, i);
    }
    for (std::size_t i = each; i < places - (kLanes - 1) * each && more; ++i) step(kLanes - 1, i);
    return more;
}

base::Result<FileHits> scan_file(const std::string& path, const NeedleSet& needles) {
    FileHits out;
    base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT) return out;
    if (!fd) return base::fail_errno(errno, "open", path);
    constexpr std::size_t kChunk = 1u << 20;
    std::string window;
    for (;;) {
        // What may begin a piece stays for the next round.
        if (window.size() >= kNeedleBytes) window.erase(0, window.size() - (kNeedleBytes - 1));
        const std::size_t kept = window.size();
        window.resize(kept + kChunk);
        const ssize_t got = ::read(fd.get(), window.data() + kept, kChunk);
        if (got < 0 && errno == EINTR) {
            window.resize(kept);
            continue;
        }
        if (got < 0) return base::fail_errno(errno, "read", path);
        window.resize(kept + static_cast<std::size_t>(got));
        if (got == 0) return out;
        out.bytes += static_cast<std::uint64_t>(got);
        needles.each_hit(window, [&](Needle needle) {
            out.hits.insert(needle);
            return true;
        });
    }
}

}  // namespace memory::forget
