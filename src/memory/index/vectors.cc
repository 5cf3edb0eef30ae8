#include "memory/index/vectors.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "memory/index/best_list.h"

namespace memory::index {
namespace {

constexpr std::size_t kPieceSlots = 256;
/// The largest component's code: 16 bits, of which the coarse code is the upper half, rounded.
constexpr float kCodeMax = 32512;

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
      coarse_(file, kPieceSlots * dims),
      fine_(file, kPieceSlots * (sizeof(float) + dims)) {}

base::Result<void> VectorIndex::set(Slot slot, std::span<const float> vector) {
    if (slot >= present_.size()) present_.resize(slot + 1);
    const std::vector<float> unit = normalised(vector);
    if (unit.size() != dims_) {
        present_.reset(slot);
        return {};
    }
    float largest = 0;
    for (const float v : unit) largest = std::max(largest, std::abs(v));
    const float scale = largest / kCodeMax;
    std::vector<std::int8_t> coarse(dims_), fine(sizeof(float) + dims_);
    std::memcpy(fine.data(), &scale, sizeof(scale));
    for (std::uint32_t d = 0; d < dims_; ++d) {
        const int code = static_cast<int>(std::lrint(unit[d] / scale));
        const int upper = (code + 128) >> 8;
        coarse[d] = static_cast<std::int8_t>(upper);
        fine[sizeof(float) + d] = static_cast<std::int8_t>(code - upper * 256);
    }
    DG_TRY(coarse_.write(std::uint64_t{slot} * dims_, coarse.data(), coarse.size()));
    DG_TRY(fine_.write(std::uint64_t{slot} * fine.size(), fine.data(), fine.size()));
    present_.set(slot);
    return {};
}

void VectorIndex::remove(Slot slot) {
    if (has(slot)) present_.reset(slot);
}

float VectorIndex::cosine(std::span<const float> query, Slot slot) const {
    const auto* coarse =
        reinterpret_cast<const std::int8_t*>(coarse_.at(std::uint64_t{slot} * dims_));
    const auto* fine = reinterpret_cast<const std::int8_t*>(
        fine_.at(std::uint64_t{slot} * (sizeof(float) + dims_)));
    float scale = 0, sum = 0;
    std::memcpy(&scale, fine, sizeof(scale));
    for (std::uint32_t d = 0; d < dims_; ++d) {
        sum += query[d] * static_cast<float>(coarse[d] * 256 + fine[sizeof(float) + d]);
    }
    return sum * scale;
}

std::vector<Scored> VectorIndex::nearest(std::span<const float> query, const Bits& allowed,
                                         std::uint32_t limit, float, std::string* plan) const {
    const std::vector<float> unit = normalised(query);
    BestList best(limit);
    std::uint64_t scanned = 0;
    if (!unit.empty()) {
        allowed.each([&](Slot slot) {
            if (!has(slot)) return;
            best.offer({slot, cosine(unit, slot)});
            ++scanned;
        });
    }
    *plan = fmt::format("vector: all of {}", scanned);
    return best.take();
}

std::vector<float> VectorIndex::scores(std::span<const float> query,
                                       std::span<const Slot> slots) const {
    const std::vector<float> unit = normalised(query);
    std::vector<float> out;
    out.reserve(slots.size());
    for (const Slot slot : slots) {
        out.push_back(!unit.empty() && has(slot) ? cosine(unit, slot) : 0.f);
    }
    return out;
}

std::vector<float> VectorIndex::decoded(Slot slot) const {
    if (!has(slot)) return {};
    const auto* coarse =
        reinterpret_cast<const std::int8_t*>(coarse_.at(std::uint64_t{slot} * dims_));
    const auto* fine = reinterpret_cast<const std::int8_t*>(
        fine_.at(std::uint64_t{slot} * (sizeof(float) + dims_)));
    std::vector<float> out(dims_);
    for (std::uint32_t d = 0; d < dims_; ++d) {
        out[d] = static_cast<float>(coarse[d] * 256 + fine[sizeof(float) + d]);
    }
    return out;
}

std::uint64_t VectorIndex::bytes() const {
    return present_.bytes() + coarse_.bytes_resident() + fine_.bytes_resident();
}

}  // namespace memory::index
