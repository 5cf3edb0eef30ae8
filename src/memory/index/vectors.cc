#include "memory/index/vectors.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "memory/index/best_list.h"
#include "memory/index/kernels.h"

namespace memory::index {
namespace {

constexpr std::size_t kPieceSlots = 256;
/// The largest component's code: 16 bits, of which the coarse code is the upper half, rounded.
constexpr float kCodeMax = 32512;
constexpr std::int32_t kCoarseMax = 127;
/// Fewer are scanned as they are.
constexpr std::size_t kFitMin = 2048;
/// Up to so many survivors of a filter are all compared: it takes half a millisecond, and what a
/// filter leaves may be alike in a way that depth was not measured for (one user's entries, by
/// bits: recall .983). Beyond, a scan by bits pays when it leaves out most of those it would rank.
constexpr std::size_t kExactMax = 8192, kExactPerDepth = 2;
/// What decides how depth grows: sizes a factor apart, up to where measuring takes tens of ms.
constexpr std::size_t kMeasuredMax = 16'384, kMeasuredFactor = 4, kMeasuredQueries = 64;
constexpr std::size_t kMeanSample = 65'536;

/// Empty for a vector without a direction.
std::vector<float> normalised(std::span<const float> vector) {
    double square = 0;
    for (const float v : vector) square += double{v} * v;
    const double length = std::sqrt(square);
    if (!(length > 0) || !std::isfinite(length)) return {};
    std::vector<float> out(vector.begin(), vector.end());
    for (float& v : out) v = static_cast<float>(v / length);
    return out;
}

}  // namespace

VectorIndex::VectorIndex(std::uint32_t dims, SpillFile& file)
    : dims_(dims),
      coarse_(file, kPieceSlots * (sizeof(float) + dims)),
      fine_(file, kPieceSlots * dims) {}

const std::int8_t* VectorIndex::coarse(Slot slot) const {
    return reinterpret_cast<const std::int8_t*>(
        coarse_.at(std::uint64_t{slot} * (sizeof(float) + dims_)) + sizeof(float));
}

const std::int8_t* VectorIndex::fine(Slot slot) const {
    return reinterpret_cast<const std::int8_t*>(fine_.at(std::uint64_t{slot} * dims_));
}

float VectorIndex::scale(Slot slot) const {
    float scale = 0;
    std::memcpy(&scale, coarse(slot) - sizeof(scale), sizeof(scale));
    return scale;
}

base::Result<void> VectorIndex::set(Slot slot, std::span<const float> vector) {
    if (slot >= present_.size()) present_.resize(slot + 1);
    const std::vector<float> unit = normalised(vector);
    if (unit.size() != dims_) {
        remove(slot);
        return {};
    }
    float largest = 0;
    for (const float v : unit) largest = std::max(largest, std::abs(v));
    const float scale = largest / kCodeMax;
    std::vector<std::int8_t> coarse(sizeof(scale) + dims_), fine(dims_);
    std::memcpy(coarse.data(), &scale, sizeof(scale));
    for (std::uint32_t d = 0; d < dims_; ++d) {
        const int code = static_cast<int>(std::lrint(unit[d] / scale));
        const int upper = (code + 128) >> 8;
        coarse[sizeof(scale) + d] = static_cast<std::int8_t>(upper);
        fine[d] = static_cast<std::int8_t>(code - upper * 256);
    }
    DG_TRY(coarse_.write(std::uint64_t{slot} * coarse.size(), coarse.data(), coarse.size()));
    DG_TRY(fine_.write(std::uint64_t{slot} * fine.size(), fine.data(), fine.size()));
    if (fitted_) fitted_->codes.set(slot, unit);
    count_ += present_.test(slot) ? 0 : 1;
    present_.set(slot);
    return {};
}

void VectorIndex::remove(Slot slot) {
    if (!has(slot)) return;
    present_.reset(slot);
    --count_;
}

void VectorIndex::fit_like(const VectorIndex& other) {
    if (!other.fitted_) return;
    fitted_ = std::make_unique<Fitted>(other.fitted_->codes.empty_like(), other.fitted_->curve,
                                       other.fitted_->vectors);
}

base::Result<void> VectorIndex::copy(Slot to, const VectorIndex& from, Slot slot) {
    if (to >= present_.size()) present_.resize(to + 1);
    if (!from.has(slot)) return {};
    const std::size_t coarse_bytes = sizeof(float) + dims_;
    DG_TRY(coarse_.write(std::uint64_t{to} * coarse_bytes, from.coarse(slot) - sizeof(float),
                         coarse_bytes));
    DG_TRY(fine_.write(std::uint64_t{to} * dims_, from.fine(slot), dims_));
    if (fitted_) fitted_->codes.copy(to, from.fitted_->codes, slot);
    count_ += present_.test(to) ? 0 : 1;
    present_.set(to);
    return {};
}

std::vector<float> VectorIndex::decoded(Slot slot) const {
    if (!has(slot)) return {};
    const std::int8_t *upper = coarse(slot), *lower = fine(slot);
    std::vector<float> out(dims_);
    for (std::uint32_t d = 0; d < dims_; ++d) {
        out[d] = static_cast<float>(upper[d] * 256 + lower[d]);
    }
    return out;
}

// --- fitting -----------------------------------------------------------------------------------

bool VectorIndex::wants_fit() const {
    return count_ >= kFitMin && (!fitted_ || count_ >= 2 * fitted_->vectors);
}

std::vector<Slot> VectorIndex::sample(std::size_t count) const {
    std::vector<Slot> slots;
    const std::size_t step = std::max<std::size_t>(1, count_ / count);
    std::size_t seen = 0;
    for (std::size_t at = present_.next(0); at < present_.size() && slots.size() < count;
         at = present_.next(at + 1)) {
        if (seen++ % step == 0) slots.push_back(static_cast<Slot>(at));
    }
    return slots;
}

std::unique_ptr<VectorIndex::Fitted> VectorIndex::fit() const {
    std::vector<double> sum(dims_);
    const std::vector<Slot> sampled = sample(kMeanSample);
    for (const Slot slot : sampled) {
        const std::vector<float> unit = normalised(decoded(slot));
        for (std::uint32_t d = 0; d < dims_; ++d) sum[d] += double{unit[d]};
    }
    std::vector<float> mean(dims_);
    for (std::uint32_t d = 0; d < dims_; ++d) {
        mean[d] = static_cast<float>(sum[d] / static_cast<double>(sampled.size()));
    }
    auto fitted = std::make_unique<Fitted>(SignCodes(dims_, std::move(mean)), DepthCurve(), count_);
    present_.each([&](Slot slot) { fitted->codes.set(slot, normalised(decoded(slot))); });
    const std::size_t largest = std::min(count_, kMeasuredMax);
    measure(*fitted, largest / kMeasuredFactor);
    measure(*fitted, largest);
    return fitted;
}

void VectorIndex::measure(Fitted& fitted, std::size_t size) const {
    const std::vector<Slot> slots = sample(size);
    Bits among(present_.size());
    for (const Slot slot : slots) among.set(slot);
    std::vector<std::uint32_t> few, all;
    const std::size_t step = std::max<std::size_t>(1, slots.size() / kMeasuredQueries);
    for (std::size_t q = step / 2; q < slots.size(); q += step) {
        const Asked asked = prepare(decoded(slots[q]));
        among.reset(slots[q]);  // it would find itself
        std::vector<Scored> nearest =
            ranked(asked, DepthCurve::kNearest, [&](auto offer) { among.each(offer); });
        const std::vector<std::uint32_t> found = fitted.codes.ranks(asked.unit, among, nearest);
        all.insert(all.end(), found.begin(), found.end());
        const auto nearest_few = std::min(found.size(), DepthCurve::kFewNearest);
        few.insert(few.end(), found.begin(),
                   found.begin() + static_cast<std::ptrdiff_t>(nearest_few));
        among.set(slots[q]);
    }
    fitted.curve.add(slots.size(), std::move(few), std::move(all));
}

// --- finding -----------------------------------------------------------------------------------

VectorIndex::Asked VectorIndex::prepare(std::span<const float> query) const {
    Asked asked;
    asked.unit = normalised(query);
    if (asked.unit.empty()) return asked;
    float largest = 0;
    for (const float v : asked.unit) largest = std::max(largest, std::abs(v));
    // As fine as sums of 32 bits allow.
    const auto most = static_cast<float>(std::min<std::int32_t>(
        INT16_MAX, INT32_MAX / kCoarseMax / static_cast<std::int32_t>(dims_)));
    asked.step = largest / most;
    asked.codes.reserve(dims_);
    for (const float v : asked.unit) {
        asked.codes.push_back(static_cast<std::int16_t>(std::lrint(v / asked.step)));
    }
    return asked;
}

float VectorIndex::cosine(const Asked& asked, Slot slot) const {
    return scale(slot) * dot_fine(coarse(slot), fine(slot), asked.unit.data(), dims_);
}

float VectorIndex::rough_cosine(const Asked& asked, Slot slot) const {
    return 256 * scale(slot) * asked.step *
           static_cast<float>(dot_coarse(coarse(slot), asked.codes.data(), dims_));
}

template <class Each>
std::vector<Scored> VectorIndex::ranked(const Asked& asked, std::uint32_t limit, Each each) const {
    // Eight bits order well enough that the best are among twice as many.
    BestList rough(2 * std::size_t{limit} + 16);
    each([&](Slot slot) { rough.offer({slot, rough_cosine(asked, slot)}); });
    BestList best(limit);
    for (const Scored& r : rough.take()) best.offer({r.slot, cosine(asked, r.slot)});
    return best.take();
}

std::vector<Scored> VectorIndex::nearest(std::span<const float> query, const Bits& allowed,
                                         std::uint32_t limit, float recall,
                                         std::string* plan) const {
    const Asked asked = prepare(query);
    if (asked.unit.empty() || limit == 0) {
        *plan = "vector: nothing asked";
        return {};
    }
    Bits with = present_;
    with.resize(allowed.size());
    with &= allowed;
    const std::size_t left = with.count();
    const std::size_t depth = fitted_ ? fitted_->curve.depth(count_, limit, recall) : left;
    if (left <= std::max(kExactMax, kExactPerDepth * depth)) {
        *plan = fmt::format("vector: all {} compared", left);
        return ranked(asked, limit, [&](auto offer) { with.each(offer); });
    }
    *plan = fmt::format("vector: {} by bits, {} of them compared", left, depth);
    const std::vector<Slot> near = fitted_->codes.nearest(asked.unit, with, depth);
    return ranked(asked, limit, [&](auto offer) { std::ranges::for_each(near, offer); });
}

std::vector<float> VectorIndex::scores(std::span<const float> query,
                                       std::span<const Slot> slots) const {
    const Asked asked = prepare(query);
    std::vector<float> out;
    out.reserve(slots.size());
    for (const Slot slot : slots) {
        out.push_back(!asked.unit.empty() && has(slot) ? cosine(asked, slot) : 0.f);
    }
    return out;
}

std::uint64_t VectorIndex::bytes() const {
    return present_.bytes() + coarse_.bytes_resident() + fine_.bytes_resident() +
           (fitted_ ? fitted_->codes.bytes() : 0);
}

}  // namespace memory::index
