#pragma once
// BM25 over the posting lists (Robertson and Zaragoza 2009, eq. 3.15), exact however much of it is
// skipped: documents in order, lists that cannot lift one into the best left out (MaxScore: Turtle
// and Flood 1995), and blocks that cannot either (Ding and Suel 2011).

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "memory/index/bits.h"
#include "memory/index/postings.h"
#include "memory/index/tenant_index.h"
#include "memory/index/terms.h"

namespace memory::index {

inline constexpr float kBm25K1 = 1.2f, kBm25B = .75f;
/// How often a word of the speaker's name counts, against once in the content.
inline constexpr std::uint32_t kSpeakerFrequency = 1;

struct TermCount {
    TermId term = 0;
    std::uint32_t frequency = 0;
    bool operator==(const TermCount&) const = default;
};

/// Where the terms of an entry are read when there are few entries and long lists.
class TermsOfSlot {
public:
    virtual ~TermsOfSlot() = default;
    /// Ascending by term, up to `last`. `out` is emptied first.
    virtual void terms_of(Slot slot, std::vector<TermCount>& out, TermId last = kNoTerm) const = 0;
};

class KeywordIndex {
public:
    /// `terms` ascending, each once; `length` counts the terms of the entry, repeated ones too.
    void add(Slot slot, std::span<const TermCount> terms, std::uint32_t length);
    /// Out of every count; the postings stay until the next rebuild. Pre: added, not removed yet.
    void remove(Slot slot, std::span<const TermCount> terms);

    TermDictionary& dictionary() { return dictionary_; }
    const TermDictionary& dictionary() const { return dictionary_; }
    std::uint32_t length(Slot slot) const { return lengths_.get(slot); }
    /// Live entries with the term.
    std::uint32_t frequency(TermId term) const { return frequencies_.get(term); }

    /// The best `limit` of `allowed` (live ones only) with at least one term, best first, ties by
    /// slot.
    std::vector<Scored> best(const KeywordQuery& query, const Bits& allowed,
                             std::uint64_t allowed_count, std::uint32_t limit,
                             const TermsOfSlot& forward, std::string* plan) const;
    std::vector<float> scores(const KeywordQuery& query, std::span<const Slot> slots,
                              const TermsOfSlot& forward) const;
    /// What scores() sums: [slots][terms of the query].
    std::vector<float> parts(const KeywordQuery& query, std::span<const Slot> slots,
                             const TermsOfSlot& forward) const;
    std::uint64_t bytes() const;

private:
    struct Leg {
        TermId term = 0;
        float weight = 0;  ///< of the query, the term's rarity and k1 + 1 together
    };
    /// The known terms of a query in a fixed order, and what the averages make of a length.
    struct Prepared {
        std::vector<Leg> legs;
        float norm_base = 0, norm_slope = 0;

        float part(const Leg& leg, std::uint32_t frequency, std::uint32_t length) const {
            const auto tf = static_cast<float>(frequency);
            return leg.weight * tf / (tf + norm_base + norm_slope * static_cast<float>(length));
        }
    };

    Prepared prepare(const KeywordQuery& query) const;
    /// Calls each(leg, part) for the legs that an entry has, in order.
    template <class Each>
    static void each_part(const Prepared& query, std::span<const TermCount> terms,
                          std::uint32_t length, Each each);
    float score_of(const Prepared& query, std::span<const TermCount> terms,
                   std::uint32_t length) const;
    std::vector<Scored> best_by_lists(const Prepared& query, const Bits& allowed,
                                      std::uint32_t limit) const;
    std::vector<Scored> best_by_entries(const Prepared& query, const Bits& allowed,
                                        std::uint32_t limit, const TermsOfSlot& forward) const;

    TermDictionary dictionary_;
    PostingLists postings_;
    PagedColumn<std::uint32_t> frequencies_;
    PagedColumn<std::uint16_t> lengths_;
    std::uint64_t length_sum_ = 0, live_ = 0;
};

}  // namespace memory::index
