#pragma once
// A selection as this index makes it.

#include <cstdint>
#include <utility>

#include "memory/index/bits.h"
#include "memory/index/tenant_index.h"

namespace memory::index {

class SlotSelection final : public Selection {
public:
    explicit SlotSelection(Bits bits) : bits_(std::move(bits)), count_(bits_.count()) {}
    const Bits& bits() const { return bits_; }
    std::uint64_t count() const { return count_; }
    /// Pre: an index of this kind made it.
    static const SlotSelection& of(const Selection& selection) {
        return static_cast<const SlotSelection&>(selection);
    }

private:
    Bits bits_;
    std::uint64_t count_;
};

}  // namespace memory::index
