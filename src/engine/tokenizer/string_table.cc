#include "engine/tokenizer/string_table.h"

#include <xxhash.h>

#include <bit>
#include <cstring>
#include <utility>

namespace engine {

StringTable::StringTable(std::size_t entries)
    : slots_(std::bit_ceil(entries * 2 + 2)), mask_(slots_.size() - 1) {}

std::size_t StringTable::slot_of(std::string_view text) const {
    std::size_t at = XXH3_64bits(text.data(), text.size()) & mask_;
    while (slots_[at].id >= 0 &&
           (slots_[at].bytes != text.size() ||
            (!text.empty() && std::memcmp(slots_[at].data, text.data(), text.size()) != 0))) {
        at = (at + 1) & mask_;
    }
    return at;
}

void StringTable::insert(std::string_view text, std::int32_t id) {
    std::size_t at = slot_of(text);
    if (slots_[at].id >= 0) return;
    if ((used_ + 1) * 4 > slots_.size() * 3) {
        grow();
        at = slot_of(text);
    }
    slots_[at] = Slot{text.data(), static_cast<std::uint32_t>(text.size()), id};
    ++used_;
}

void StringTable::grow() {
    const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
    mask_ = slots_.size() - 1;
    for (const Slot& slot : old) {
        if (slot.id >= 0) slots_[slot_of({slot.data, slot.bytes})] = slot;
    }
}

std::int32_t StringTable::find(std::string_view text) const {
    return slots_[slot_of(text)].id;
}

}  // namespace engine
