#pragma once
// Slots that share a value. Most values have few, some have most of all: a short list, then a
// Roaring bitmap.

#include <roaring/roaring.hh>

#include <cstdint>
#include <memory>
#include <vector>

#include "memory/index/bits.h"
#include "memory/index/tenant_index.h"

namespace memory::index {

class SlotSet {
public:
    /// Pre: `slot` is not below any slot added before; the same one again is nothing.
    void add(Slot slot) {
        if (many_) {
            many_->add(slot);
        } else if (few_.empty() || few_.back() != slot) {
            few_.push_back(slot);
            if (few_.size() == kFew) promote();
        }
    }
    void add_to(Bits& bits) const {
        for (const Slot slot : few_) bits.set(slot);
        if (!many_) return;
        many_->iterate(
            [](std::uint32_t slot, void* to) {
                static_cast<Bits*>(to)->set(slot);
                return true;
            },
            &bits);
    }
    std::uint64_t bytes() const {
        return few_.capacity() * sizeof(Slot) +
               (many_ ? sizeof(Roaring) + many_->getSizeInBytes() : 0);
    }

private:
    static constexpr std::size_t kFew = 64;

    void promote() {
        many_ = std::make_unique<Roaring>(few_.size(), few_.data());
        std::vector<Slot>().swap(few_);
    }

    std::vector<Slot> few_;
    std::unique_ptr<Roaring> many_;
};

}  // namespace memory::index
