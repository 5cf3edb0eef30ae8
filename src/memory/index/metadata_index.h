#pragma once
// Which entries have which metadata: per field and value a set of slots, as long as a field has few
// enough values; past that, and for what sets cannot answer, the entries themselves are read.

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "memory/filter.h"
#include "memory/index/bits.h"
#include "memory/index/paged_column.h"
#include "memory/index/slot_set.h"

namespace memory::index {

/// Fields and values of one field that get sets of their own.
inline constexpr std::size_t kFieldsMax = 256, kValuesMax = 1024;
/// Only short texts are values that people filter by.
inline constexpr std::size_t kValueBytesMax = 128;

class MetadataIndex {
public:
    using Read = std::function<base::json::object(Slot)>;

    /// Pre: slots ascend.
    void add(Slot slot, const base::json::object& metadata);
    /// Those of `within` that match. `read` gives an entry's metadata.
    Bits select(const MetadataExpression& expression, const Bits& within, const Read& read) const;
    /// Removes those whose labels name none of `labels`; no labels: open to all.
    void keep_labelled(Bits& bits, const std::vector<std::string>& labels, const Read& read) const;
    std::uint64_t bytes() const;

private:
    struct Field {
        SlotSet exists;
        /// By canonical text of a scalar; of arrays' elements apart.
        std::map<std::string, SlotSet, std::less<>> values, elements;
        SlotSet texts;      ///< where the value is a text: `contains` reads these
        SlotSet irregular;  ///< with values that got no set: too many, too long
        SlotSet empty_arrays;
        PagedColumn<double> numbers{kNoNumber};
        bool numbers_exact = true;  ///< every number so far is what its double says
    };
    static constexpr double kNoNumber = -0x1.8p1000;

    void add_fields(Slot slot, const std::string& prefix, const base::json::object& object,
                    std::size_t depth);
    void add_value(Slot slot, Field& field, const base::json::value& value);
    void add_key(Slot slot, Field& field, std::map<std::string, SlotSet, std::less<>>& sets,
                 const base::json::value& value);
    Bits leaf(const MetadataExpression& leaf, const Bits& within, const Read& read) const;
    Bits compare(const MetadataExpression& leaf, const Field& field, const Bits& within,
                 const Read& read) const;
    /// Those of `among` and `within` that match, by reading each.
    static void read_through(const MetadataExpression& leaf, const SlotSet& among,
                             const Bits& within, const Read& read, Bits& out);

    std::map<std::string, Field, std::less<>> fields_;
    SlotSet anything_;          ///< entries with metadata
    bool fields_full_ = false;  ///< some fields of some entries have no Field
};

}  // namespace memory::index
