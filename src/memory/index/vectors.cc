#include "memory/index/vectors.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "memory/index/best_list.h"
#include "memory/index/kernels.h"

namespace memory::index {
namespace {

constexpr unsigned kLog2PieceSlots = 8;
constexpr std::size_t kPieceSlots = 1 << kLog2PieceSlots;
/// The largest component's code: 16 bits, of which the coarse code is the upper half, rounded.
constexpr float kCodeMax = 32512;
constexpr std::int32_t kCoarseMax = 127;
/// Fewer are scanned as they are.
constexpr std::size_t kFitMin = 2048;
/// Up to so many survivors of a filter are all compared: it takes half a millisecond, and what a
/// filter leaves may be alike in a way that depth was not measured for (one user's entries, by
/// bits: recall .983). Beyond, a scan by bits pays when it leaves out two thirds of those it would
/// rank: they are read here and there, all of them in order.
constexpr std::size_t kExactMax = 8192, kExactPerDepth = 3;
/// What decides how depth grows: sizes a factor apart, up to where measuring takes tens of ms.
constexpr std::size_t kMeasuredMax = 16'384, kMeasuredFactor = 4, kMeasuredQueries = 64;
constexpr std::size_t kMeanSample = 65'536;
/// Vectors that are coded while nothing may change: less than a millisecond.
constexpr std::size_t kFitPiece = 128;

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
        coarse_.record(slot, kLog2PieceSlots, sizeof(float) + dims_) + sizeof(float));
}

const std::int8_t* VectorIndex::fine(Slot slot) const {
    return reinterpret_cast<const std::int8_t*>(fine_.record(slot, kLog2PieceSlots, dims_));
}

float VectorIndex::scale(const std::int8_t* coarse) {
    float scale = 0;
    std::memcpy(&scale, coarse - sizeof(scale), sizeof(scale));
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

std::unique_ptr<VectorIndex::Fitted> VectorIndex::fit(const Quietly& quietly) const {
    std::vector<double> sum(dims_);
    std::vector<Slot> sampled;
    std::size_t added = 0;
    if (!quietly([&] { sampled = sample(kMeanSample); })) return nullptr;
    for (std::size_t begin = 0; begin < sampled.size(); begin += kFitPiece) {
        const bool go_on = quietly([&] {
            for (std::size_t i = begin; i < std::min(begin + kFitPiece, sampled.size()); ++i) {
                if (!has(sampled[i])) continue;
                const std::vector<float> unit = normalised(decoded(sampled[i]));
                for (std::size_t d = 0; d < unit.size(); ++d) sum[d] += double{unit[d]};
                added += unit.empty() ? 0 : 1;
            }
        });
        if (!go_on) return nullptr;
    }
    std::vector<float> mean(dims_);
    for (std::uint32_t d = 0; d < dims_; ++d) {
        mean[d] = static_cast<float>(sum[d] / std::max(1., static_cast<double>(added)));
    }
    auto fitted = std::make_unique<Fitted>(SignCodes(dims_, std::move(mean)), DepthCurve(), 0);
    std::size_t at = 0, count = 0;
    for (bool done = false; !done;) {
        const bool go_on = quietly([&] {
            for (std::size_t n = 0; n < kFitPiece && at < present_.size(); ++n) {
                if ((at = present_.next(at)) >= present_.size()) break;
                refit(*fitted, static_cast<Slot>(at++));
            }
            done = at >= present_.size();
            count = count_;
        });
        if (!go_on) return nullptr;
    }
    fitted->vectors = count;
    const std::size_t largest = std::min(count, kMeasuredMax);
    if (!measure(*fitted, largest / kMeasuredFactor, quietly)) return nullptr;
    return measure(*fitted, largest, quietly) ? std::move(fitted) : nullptr;
}

void VectorIndex::refit(Fitted& fitted, Slot slot) const {
    const std::vector<float> unit = normalised(decoded(slot));
    if (!unit.empty()) fitted.codes.set(slot, unit);
}

bool VectorIndex::measure(Fitted& fitted, std::size_t size, const Quietly& quietly) const {
    std::vector<Slot> slots;
    Bits among;
    if (!quietly([&] {
            slots = sample(size);
            among.resize(present_.size());
            for (const Slot slot : slots) among.set(slot);
        })) {
        return false;
    }
    std::vector<std::uint32_t> few, all;
    const std::size_t step = std::max<std::size_t>(1, slots.size() / kMeasuredQueries);
    for (std::size_t q = step / 2; q < slots.size(); q += step) {
        const bool go_on = quietly([&] {
            const Asked asked = prepare(decoded(slots[q]));
            if (asked.unit.empty()) return;  // it went meanwhile
            among.reset(slots[q]);           // it would find itself
            std::vector<Scored> nearest =
                ranked(asked, DepthCurve::kNearest, [&](auto offer) { among.each(offer); });
            const std::vector<std::uint32_t> found = fitted.codes.ranks(asked.unit, among, nearest);
            all.insert(all.end(), found.begin(), found.end());
            const auto nearest_few = std::min(found.size(), DepthCurve::kFewNearest);
            few.insert(few.end(), found.begin(),
                       found.begin() + static_cast<std::ptrdiff_t>(nearest_few));
            among.set(slots[q]);
        });
        if (!go_on) return false;
    }
    fitted.curve.add(slots.size(), std::move(few), std::move(all));
    return true;
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
    const std::int8_t* codes = coarse(slot);
    return scale(codes) * dot_fine(codes, fine(slot), asked.unit.data(), dims_);
}

float VectorIndex::rough_cosine(const Asked& asked, Slot slot) const {
    const std::int8_t* codes = coarse(slot);
    return 256 * scale(codes) * asked.step *
           static_cast<float>(dot_coarse(codes, asked.codes.data(), dims_));
}

template <class Each>
std::vector<Scored> VectorIndex::ranked(const Asked& asked, std::uint32_t limit, Each each) const {
    // Eight bits order well enough that the best are among twice as many.
    BestList rough(2 * std::size_t{limit} + 16);
    each([&](Slot slot) {
        const float cosine_about = rough_cosine(asked, slot);
        if (cosine_about >= rough.threshold()) rough.offer({slot, cosine_about});
    });
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
