#pragma once
// What an index must know of each entry and need not have in memory: its terms, for exact counts
// after a removal and for scoring few entries, and its scope and metadata, for rebuilding.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "memory/entry.h"
#include "memory/index/keyword.h"
#include "memory/index/spill.h"

namespace memory::index {

/// The log's form of an entry. Two entries with the same bytes are found in the same way, but for
/// their columns and vectors.
std::string encode_logged(std::span<const TermCount> terms, std::uint32_t length,
                          const Entry& entry);

class EntryLog final : public TermsOfSlot {
public:
    explicit EntryLog(SpillFile& file);

    /// Slots follow each other. Errors: resource_exhausted, unavailable; then nothing changed.
    base::Result<void> append(Slot slot, std::string_view encoded);

    std::string_view encoded(Slot slot) const;
    void terms_of(Slot slot, std::vector<TermCount>& out, TermId last) const override;
    /// A hash of its terms and how often it has each.
    std::uint64_t words_of(Slot slot) const;
    base::json::object metadata_of(Slot slot) const;
    /// Scope (but for the tenant) and metadata are filled in.
    void read(Slot slot, std::vector<TermCount>& terms, std::uint32_t& length, Entry& entry) const;
    std::uint64_t bytes() const { return places_.bytes_resident() + entries_.bytes_resident(); }

private:
    SpillStream places_;   ///< per slot: where in `entries_`
    SpillStream entries_;  ///< length in 4 bytes, then what encode_logged made
    std::uint64_t end_ = 0;
};

}  // namespace memory::index
