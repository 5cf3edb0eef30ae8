#pragma once
// Vectors as codes: what a scan reads in memory, what ranks in a file the kernel may drop.

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"
#include "memory/index/bits.h"
#include "memory/index/sign_codes.h"
#include "memory/index/spill.h"
#include "memory/index/tenant_index.h"

namespace memory::index {

/// The cosine of each vector is known to about 1e-5.
class VectorIndex {
public:
    /// Pre: dims > 0.
    VectorIndex(std::uint32_t dims, SpillFile& file);

    /// Slots beyond the highest so far have none. A vector of zeros or with NaN is none.
    /// Errors: resource_exhausted, unavailable (the file).
    base::Result<void> set(Slot slot, std::span<const float> vector);
    void remove(Slot slot);
    bool has(Slot slot) const { return slot < present_.size() && present_.test(slot); }

    /// Codes of one bit a dimension, and how deep to look in them: made when there are enough
    /// vectors, and again when there are twice as many.
    struct Fitted {
        SignCodes codes;
        DepthCurve curve;
        std::size_t vectors = 0;
    };
    bool wants_fit() const;
    /// Runs one of many short pieces of work while nothing changes; false: give up.
    using Quietly = std::function<bool(const std::function<void()>& piece)>;
    /// Takes about 5 us a vector. Between the pieces the index may change: what changed then is to
    /// be refitted before it is adopted. Null: given up.
    std::unique_ptr<Fitted> fit(const Quietly& quietly) const;
    void refit(Fitted& fitted, Slot slot) const;
    void adopt(std::unique_ptr<Fitted> fitted) { fitted_ = std::move(fitted); }

    /// Pre: `query` is finite, [dims].
    std::vector<Scored> nearest(std::span<const float> query, const Bits& allowed,
                                std::uint32_t limit, float recall, std::string* plan) const;
    /// Cosines; 0 where there is no vector.
    std::vector<float> scores(std::span<const float> query, std::span<const Slot> slots) const;
    /// What the codes stand for; empty without one.
    std::vector<float> decoded(Slot slot) const;
    std::uint64_t bytes() const;

private:
    /// A query in the forms that codes are compared with.
    struct Asked {
        std::vector<float> unit;          ///< empty: a query of zeros, near to nothing
        std::vector<std::int16_t> codes;  ///< unit in steps of `step`
        float step = 0;
    };

    Asked prepare(std::span<const float> query) const;
    static float scale(const std::int8_t* coarse);
    const std::int8_t* coarse(Slot slot) const;
    const std::int8_t* fine(Slot slot) const;
    float cosine(const Asked& asked, Slot slot) const;
    float rough_cosine(const Asked& asked, Slot slot) const;
    /// Exact order of the best `limit` among those that `each` names.
    template <class Each>
    std::vector<Scored> ranked(const Asked& asked, std::uint32_t limit, Each each) const;
    /// Up to `count` slots with vectors, evenly spread.
    std::vector<Slot> sample(std::size_t count) const;
    bool measure(Fitted& fitted, std::size_t size, const Quietly& quietly) const;

    std::uint32_t dims_;
    SpillStream coarse_;  ///< per slot: the scale, then dims codes of 8 bits
    SpillStream fine_;    ///< per slot: dims codes of the next 8 bits
    Bits present_;
    std::size_t count_ = 0;  ///< of present_
    std::unique_ptr<Fitted> fitted_;
};

}  // namespace memory::index
