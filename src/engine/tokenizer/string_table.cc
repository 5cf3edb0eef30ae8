#include "engine/tokenizer/string_table.h"

#include <xxhash.h>

#include <bit>
#include <cstring>
#include <utility>

namespace engine {

StringTable::StringTable(std::size_t entries)
    : slots_(std::bit_ceil(entries * 2 + 2)), mask_(slots_.size() - 1) {}

std::uint64_t StringTable::hash(std::string_view text) {
    return XXH3_64bits(text.data(), text.size());
}

std::size_t StringTable::slot_of(std::string_view text, std::uint64_t hash) const {
    std::size_t at = hash & mask_;
    while (slots_[at].id >= 0 &&
           (slots_[at].bytes != text.size() ||
            (!text.empty() && std::memcmp(slots_[at].data, text.data(), text.size()) != 0))) {
        at = (at + 1) & mask_;
    }
    return at;
}

bool StringTable::insert(std::string_view text, std::int32_t id) {
    const std::uint64_t hashed = hash(text);
    std::size_t at = slot_of(text, hashed);
    if (slots_[at].id >= 0) return false;
    if ((used_ + 1) * 4 > slots_.size() * 3) {
        grow();
        at = slot_of(text, hashed);
    }
    slots_[at] = Slot{text.data(), static_cast<std::uint32_t>(text.size()), id};
    ++used_;
    return true;
}

void StringTable::grow() {
    const std::vector<Slot> old = std::exchange(slots_, std::vector<Slot>(slots_.size() * 2));
    mask_ = slots_.size() - 1;
    for (const Slot& slot : old) {
        const std::string_view text(slot.data, slot.bytes);
        if (slot.id >= 0) slots_[slot_of(text, hash(text))] = slot;
    }
}

}  // namespace engine
