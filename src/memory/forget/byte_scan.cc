// A rolling hash over every 24 bytes (Karp and Rabin 1987), modulo 2^64.
#include "memory/forget/byte_scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/files/file_error.h"
#include "base/files/unique_fd.h"

namespace memory::forget {
namespace {

constexpr std::uint64_t kBase = 0x9E3779B97F4A7C15ull;
constexpr std::size_t kLookAt = 512;
constexpr std::uint64_t kSieveBits = 1ull << 22;

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
std::uint64_t sieve_place(std::uint64_t hash) {
    return hash % kSieveBits;
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
    : needles_(needles.begin(), needles.end()), sieve_(kSieveBits / 64) {
    for (const Needle needle : needles_) {
        const std::uint64_t place = sieve_place(static_cast<std::uint64_t>(needle));
        sieve_[place / 64] |= 1ull << place % 64;
    }
}

void NeedleSet::each_hit(std::string_view bytes, const std::function<bool(Needle)>& hit) const {
    if (bytes.size() < kNeedleBytes || needles_.empty()) return;
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (i >= kNeedleBytes) sum -= byte(bytes[i - kNeedleBytes]) * kOldest;
        sum = sum * kBase + byte(bytes[i]);
        if (i + 1 < kNeedleBytes) continue;
        const std::uint64_t hash = mixed(sum);
        const std::uint64_t place = sieve_place(hash);
        if ((sieve_[place / 64] >> place % 64 & 1) == 0) continue;
        const auto needle = static_cast<Needle>(hash);
        if (needles_.contains(needle) && !hit(needle)) return;
    }
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
