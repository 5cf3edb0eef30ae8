#include "memory/index/sign_codes.h"

#include <algorithm>
#include <cmath>

#include "memory/index/kernels.h"

namespace memory::index {
namespace {

/// Questions are less like entries than entries are like each other: so many times fewer may be
/// missed, and so much deeper is looked, than entries need among themselves.
constexpr double kMissedShare = .5, kDeeper = 2;
/// How depth grows with size, at least: measured sizes may be too few to see it.
constexpr double kGrowthMin = .25;

}  // namespace

SignCodes::SignCodes(std::uint32_t dims, std::vector<float> mean)
    : dims_(dims), words_((dims + 63) / 64), mean_(std::move(mean)), rotation_(dims) {}

std::vector<std::uint64_t> SignCodes::encode(std::span<const float> unit) const {
    std::vector<float> turned(dims_);
    for (std::uint32_t d = 0; d < dims_; ++d) turned[d] = unit[d] - mean_[d];
    rotation_.apply(turned);
    std::vector<std::uint64_t> code(words_);
    for (std::uint32_t d = 0; d < dims_; ++d) {
        code[d / 64] |= std::uint64_t{turned[d] > 0} << (d % 64);
    }
    return code;
}

void SignCodes::set(Slot slot, std::span<const float> unit) {
    const std::size_t block = slot / kBlockSlots;
    if (block >= blocks_.size()) blocks_.resize(block + 1);
    if (!blocks_[block]) blocks_[block] = std::make_unique<std::uint64_t[]>(words_ * kBlockSlots);
    const std::vector<std::uint64_t> code = encode(unit);
    for (std::size_t w = 0; w < words_; ++w) {
        blocks_[block][w * kBlockSlots + slot % kBlockSlots] = code[w];
    }
}

std::vector<Slot> SignCodes::nearest(std::span<const float> unit, const Bits& allowed,
                                     std::size_t depth) const {
    const std::vector<std::uint64_t> query = encode(unit);
    // Distance above slot, so that one comparison orders both.
    std::vector<std::uint64_t> found;
    const std::size_t room = 2 * depth + kBlockSlots;
    found.reserve(room);
    const auto cut = [&] {
        std::ranges::nth_element(found, found.begin() + static_cast<std::ptrdiff_t>(depth) - 1);
        found.resize(depth);
        return static_cast<std::uint16_t>(found.back() >> 32);
    };
    std::uint16_t limit = UINT16_MAX, distances[kBlockSlots];
    for (std::size_t w = 0; w < std::min(allowed.words(), blocks_.size()); ++w) {
        if (allowed.word(w) == 0 || !blocks_[w]) continue;
        std::uint64_t near = allowed.word(w) & sign_distances(blocks_[w].get(), query.data(),
                                                              words_, limit, distances);
        for (; near != 0; near &= near - 1) {
            const auto i = static_cast<unsigned>(std::countr_zero(near));
            found.push_back(std::uint64_t{distances[i]} << 32 | (w * kBlockSlots + i));
        }
        if (found.size() + kBlockSlots > room) limit = cut();
    }
    if (found.size() > depth) cut();
    std::vector<Slot> slots;
    slots.reserve(found.size());
    for (const std::uint64_t f : found) slots.push_back(static_cast<Slot>(f));
    return slots;
}

std::vector<std::uint32_t> SignCodes::ranks(std::span<const float> unit, const Bits& allowed,
                                            std::span<const Scored> wanted) const {
    const std::vector<std::uint64_t> query = encode(unit);
    std::vector<std::uint64_t> all;
    std::uint16_t distances[kBlockSlots];
    for (std::size_t w = 0; w < std::min(allowed.words(), blocks_.size()); ++w) {
        std::uint64_t word = blocks_[w] ? allowed.word(w) : 0;
        if (word == 0) continue;
        sign_distances(blocks_[w].get(), query.data(), words_, UINT16_MAX, distances);
        for (; word != 0; word &= word - 1) {
            const auto i = static_cast<unsigned>(std::countr_zero(word));
            all.push_back(std::uint64_t{distances[i]} << 32 | (w * kBlockSlots + i));
        }
    }
    std::ranges::sort(all);
    std::vector<std::uint32_t> ranks;
    for (const Scored& s : wanted) {
        const auto found = std::ranges::find_if(
            all, [&](std::uint64_t entry) { return static_cast<Slot>(entry) == s.slot; });
        ranks.push_back(static_cast<std::uint32_t>(found - all.begin()));
    }
    return ranks;
}

std::uint64_t SignCodes::bytes() const {
    std::uint64_t sum = blocks_.capacity() * sizeof(blocks_[0]) + 5 * dims_ * sizeof(float);
    for (const auto& block : blocks_) sum += block ? words_ * kBlockSlots * 8 + 16 : 0;
    return sum;
}

void DepthCurve::add(std::size_t size, std::vector<std::uint32_t> few,
                     std::vector<std::uint32_t> all) {
    if (few.empty() || all.empty()) return;
    std::ranges::sort(few);
    std::ranges::sort(all);
    measured_.push_back({size, std::move(few), std::move(all)});
}

std::size_t DepthCurve::depth(std::size_t size, std::size_t limit, float recall) const {
    if (measured_.empty() || !(recall < 1)) return size;
    const double share = std::clamp(1 - (1 - static_cast<double>(recall)) * kMissedShare, 0., 1.);
    const auto rank_in = [&](const Measured& measured) {
        const auto& ranks = limit <= kFewNearest ? measured.few : measured.all;
        const double last = static_cast<double>(ranks.size() - 1);
        return ranks[static_cast<std::size_t>(std::ceil(share * last))] + 1.;
    };
    const Measured& largest = measured_.back();
    double growth = 1;
    if (measured_.size() > 1) {
        const Measured& smaller = measured_[measured_.size() - 2];
        growth = std::log(rank_in(largest) / rank_in(smaller)) /
                 std::log(static_cast<double>(largest.size) / static_cast<double>(smaller.size));
        growth = std::clamp(growth, kGrowthMin, 1.);
    }
    const double ratio = static_cast<double>(size) / static_cast<double>(largest.size);
    double depth = kDeeper * rank_in(largest) * std::pow(std::max(ratio, 1.), growth);
    depth *= std::max(1., static_cast<double>(limit) / kNearest);
    depth += static_cast<double>(limit);
    return depth < static_cast<double>(size) ? static_cast<std::size_t>(depth) : size;
}

}  // namespace memory::index
