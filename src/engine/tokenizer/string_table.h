#pragma once
// Text to token id: an open-addressing hash over strings that live elsewhere. A vocabulary has up
// to 250,000 entries and every word of a prompt is looked up, so nothing here allocates per entry.

#include <cstdint>
#include <string_view>
#include <vector>

namespace engine {

class StringTable {
public:
    /// Sizes the table for `entries` strings; more make it grow.
    explicit StringTable(std::size_t entries = 0);

    /// Keeps the first id of a text; false: there was one. The bytes must outlive the table.
    bool insert(std::string_view text, std::int32_t id);
    /// The id, or -1.
    std::int32_t find(std::string_view text) const { return find(text, hash(text)); }

    // For many look-ups at once, which wait for memory one by one: ask for the places of some, then
    // for the texts there, then look.
    static std::uint64_t hash(std::string_view text);
    void prefetch_place(std::uint64_t hash) const { __builtin_prefetch(&slots_[hash & mask_]); }
    void prefetch_text(std::uint64_t hash) const { __builtin_prefetch(slots_[hash & mask_].data); }
    std::int32_t find(std::string_view text, std::uint64_t hash) const {
        return slots_[slot_of(text, hash)].id;
    }

private:
    struct Slot {
        const char* data = nullptr;
        std::uint32_t bytes = 0;
        std::int32_t id = -1;
    };
    std::size_t slot_of(std::string_view text, std::uint64_t hash) const;
    void grow();

    std::vector<Slot> slots_;  ///< never full: a search ends at a free one
    std::size_t mask_ = 0;
    std::size_t used_ = 0;
};

}  // namespace engine
