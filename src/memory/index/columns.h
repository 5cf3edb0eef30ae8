#pragma once
// What filters and ranking ask of an entry besides its words: scope, kind, times, importance.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "memory/filter.h"
#include "memory/index/bits.h"
#include "memory/index/metadata_index.h"
#include "memory/index/paged_column.h"
#include "memory/index/slot_set.h"
#include "memory/index/tenant_index.h"

namespace memory::index {

class Columns {
public:
    /// Pre: slots ascend without gaps.
    void add(Slot slot, truth::RowId row, const Entry& entry);
    /// What may change while an entry keeps its slot: all but scope and metadata.
    void set(Slot slot, const Entry& entry);
    /// Out of its session. Everything else stays, behind the live bits of whoever asks.
    void remove(Slot slot);

    /// Of `live`, those that the filter lets through.
    Bits select(const Filter& filter, UnixMs now, const Bits& live,
                const MetadataIndex::Read& read) const;
    truth::RowId row(Slot slot) const { return rows_.get(slot); }
    /// The reverse of set.
    void read(Slot slot, Entry& entry) const;
    SlotFacts facts(Slot slot) const;
    std::size_t around(Slot slot, std::uint32_t reach, std::vector<Slot>& out) const;
    std::vector<Slot> before(Slot slot, std::uint32_t reach) const;
    std::vector<Slot> after(Slot slot, std::uint32_t reach) const;
    std::vector<Slot> session_slots(std::uint32_t session) const;
    std::uint64_t bytes() const;

private:
    using Values = std::unordered_map<std::string, SlotSet>;

    static constexpr std::uint8_t kTypeMask = 7, kPinned = 8;

    std::uint32_t session_of(const Scope& scope);
    /// By created, then arrival.
    bool is_earlier(Slot a, Slot b) const;
    void enter_session(Slot slot);
    static void keep_value(Bits& bits, const Values& values, const std::string& value);
    void keep_session(Bits& bits, const std::string& session) const;
    void keep_flags(Bits& bits, const Filter& filter) const;
    void keep_times(Bits& bits, const Filter& filter, UnixMs now) const;

    PagedColumn<std::int64_t> rows_{-1};
    PagedColumn<std::uint8_t> flags_{static_cast<std::uint8_t>(MemoryType::long_term)};
    PagedColumn<UnixMs> created_, accessed_, valid_to_, expires_;
    PagedColumn<UnixMs> valid_after_created_;  ///< valid-from less created
    PagedColumn<float> importance_{.5f};
    PagedColumn<std::uint64_t> access_count_;
    PagedColumn<std::uint32_t> session_;
    /// Of created, by page: most arrive in order, so most pages are all in or all out of a range.
    struct Span {
        UnixMs lowest = INT64_MAX, highest = INT64_MIN;
    };
    std::vector<Span> created_spans_;

    Values users_, agents_, runs_;
    MetadataIndex metadata_;
    /// A session belongs to one user: equal names of two users are two sessions.
    std::map<std::pair<std::string, std::string>, std::uint32_t> session_ids_;  ///< (name, user)
    std::vector<std::vector<Slot>> sessions_;  ///< by id - 1: live ones, in order
};

}  // namespace memory::index
