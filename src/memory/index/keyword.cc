#include "memory/index/keyword.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/core/check.h"
#include "memory/index/best_list.h"

namespace memory::index {
namespace {

/// Bounds are rounded sums in another order than scores: this much keeps them bounds.
constexpr float kBoundSlack = 1.00001f;
/// Reading an entry's terms costs about as much as so many postings.
constexpr std::uint64_t kPostingsPerEntry = 24;

/// One list of the query with what it can add at most.
struct Walker {
    PostingLists::Cursor cursor;
    std::size_t leg;  ///< its place in the order that scores are summed in
    float bound;
};

}  // namespace

void KeywordIndex::add(Slot slot, std::span<const TermCount> terms, std::uint32_t length) {
    length = std::min(length, kCountMax);
    for (const TermCount& t : terms) {
        postings_.append(t.term, slot, t.frequency, length);
        frequencies_.set(t.term, frequencies_.get(t.term) + 1);
    }
    lengths_.set(slot, static_cast<std::uint16_t>(length));
    length_sum_ += length;
    ++live_;
}

void KeywordIndex::remove(Slot slot, std::span<const TermCount> terms) {
    for (const TermCount& t : terms) frequencies_.set(t.term, frequencies_.get(t.term) - 1);
    length_sum_ -= lengths_.get(slot);
    --live_;
}

KeywordIndex::Prepared KeywordIndex::prepare(const KeywordQuery& query) const {
    std::map<TermId, float> weights;
    for (const KeywordQuery::Term& term : query.terms) {
        if (!(term.weight > 0) || term.text.size() > 255) continue;
        const TermId id = dictionary_.find(term.text);
        if (id != kNoTerm && frequency(id) > 0) weights[id] += term.weight;
    }
    Prepared prepared;
    for (const auto& [id, weight] : weights) {
        const double n = frequency(id);
        const double rarity = std::log1p((static_cast<double>(live_) - n + .5) / (n + .5));
        prepared.legs.push_back({id, static_cast<float>(weight * rarity * (kBm25K1 + 1))});
    }
    const double average =
        live_ == 0 ? 1 : static_cast<double>(length_sum_) / static_cast<double>(live_);
    prepared.norm_base = kBm25K1 * (1 - kBm25B);
    prepared.norm_slope = static_cast<float>(kBm25K1 * kBm25B / std::max(average, 1.));
    return prepared;
}

std::vector<Scored> KeywordIndex::best(const KeywordQuery& query, const Bits& allowed,
                                       std::uint64_t allowed_count, std::uint32_t limit,
                                       const TermsOfSlot& forward, std::string* plan) const {
    const Prepared prepared = prepare(query);
    std::uint64_t postings = 0;
    for (const Leg& leg : prepared.legs) postings += frequency(leg.term);
    const bool by_entries = allowed_count * kPostingsPerEntry < postings;
    *plan = fmt::format("keyword: {} of {} terms known, {} postings, {} entries allowed, by {}",
                        prepared.legs.size(), query.terms.size(), postings, allowed_count,
                        by_entries ? "entry" : "list");
    if (prepared.legs.empty() || limit == 0) return {};
    return by_entries ? best_by_entries(prepared, allowed, limit, forward)
                      : best_by_lists(prepared, allowed, limit);
}

std::vector<Scored> KeywordIndex::best_by_entries(const Prepared& query, const Bits& allowed,
                                                  std::uint32_t limit,
                                                  const TermsOfSlot& forward) const {
    BestList best(limit);
    std::vector<TermCount> terms;
    allowed.each([&](Slot slot) {
        forward.terms_of(slot, terms, query.legs.back().term);
        const float score = score_of(query, terms, lengths_.get(slot));
        if (score > 0) best.offer({slot, score});
    });
    return best.take();
}

template <class Each>
void KeywordIndex::each_part(const Prepared& query, std::span<const TermCount> terms,
                             std::uint32_t length, Each each) {
    auto term = terms.begin();
    for (std::size_t leg = 0; leg < query.legs.size(); ++leg) {
        while (term != terms.end() && term->term < query.legs[leg].term) ++term;
        if (term == terms.end()) break;
        if (term->term == query.legs[leg].term) {
            each(leg, query.part(query.legs[leg], term->frequency, length));
        }
    }
}

float KeywordIndex::score_of(const Prepared& query, std::span<const TermCount> terms,
                             std::uint32_t length) const {
    float score = 0;
    each_part(query, terms, length, [&](std::size_t, float part) { score += part; });
    return score;
}

std::vector<float> KeywordIndex::parts(const KeywordQuery& query, std::span<const Slot> slots,
                                       const TermsOfSlot& forward) const {
    const Prepared prepared = prepare(query);
    std::vector<std::size_t> columns;  // of each leg: the first term of the query that it is
    for (const Leg& leg : prepared.legs) {
        const auto term = std::ranges::find_if(query.terms, [&](const auto& asked) {
            return asked.weight > 0 && dictionary_.find(asked.text) == leg.term;
        });
        columns.push_back(static_cast<std::size_t>(term - query.terms.begin()));
    }
    std::vector<float> out(slots.size() * query.terms.size());
    if (prepared.legs.empty()) return out;
    std::vector<TermCount> terms;
    for (std::size_t i = 0; i < slots.size(); ++i) {
        forward.terms_of(slots[i], terms, prepared.legs.back().term);
        each_part(prepared, terms, lengths_.get(slots[i]), [&](std::size_t leg, float part) {
            out[i * query.terms.size() + columns[leg]] = part;
        });
    }
    return out;
}

std::vector<float> KeywordIndex::scores(const KeywordQuery& query, std::span<const Slot> slots,
                                        const TermsOfSlot& forward) const {
    const Prepared prepared = prepare(query);
    std::vector<float> out;
    if (prepared.legs.empty()) return std::vector<float>(slots.size());
    out.reserve(slots.size());
    std::vector<TermCount> terms;
    for (const Slot slot : slots) {
        forward.terms_of(slot, terms, prepared.legs.back().term);
        out.push_back(score_of(prepared, terms, lengths_.get(slot)));
    }
    return out;
}

namespace {

/// One evaluation of a query over its lists.
template <class Query>
class ListWalk {
public:
    ListWalk(const Query& query, std::vector<Walker> walkers, const Bits& allowed,
             const PagedColumn<std::uint16_t>& lengths, std::uint32_t limit)
        : query_(query),
          walkers_(std::move(walkers)),
          allowed_(allowed),
          lengths_(lengths),
          best_(limit),
          parts_(query.legs.size()) {
        std::ranges::sort(walkers_, [](const Walker& a, const Walker& b) {
            return a.bound < b.bound || (a.bound == b.bound && a.leg < b.leg);
        });
        below_.assign(walkers_.size() + 1, 0);
        for (std::size_t i = 0; i < walkers_.size(); ++i) {
            below_[i + 1] = below_[i] + walkers_[i].bound * kBoundSlack;
        }
    }

    std::vector<Scored> run() {
        while (essential_ < walkers_.size()) {
            const Slot slot = lowest();
            if (slot == kNoSlot) break;
            if (allowed_.test(slot)) {
                visit(slot);
                continue;
            }
            const std::size_t open = allowed_.next(slot);
            if (open >= allowed_.size()) {
                break;
            } else {
                seek_essential(static_cast<Slot>(open));
            }
        }
        return best_.take();
    }

private:
    Slot lowest() const {
        Slot slot = kNoSlot;
        for (std::size_t i = essential_; i < walkers_.size(); ++i) {
            slot = std::min(slot, walkers_[i].cursor.slot());
        }
        return slot;
    }

    void seek_essential(Slot target) {
        for (std::size_t i = essential_; i < walkers_.size(); ++i) walkers_[i].cursor.seek(target);
    }

    /// Scores `slot`, as far as it takes to see that it is not among the best.
    void visit(Slot slot) {
        const float threshold = best_.threshold();
        if (best_.full() && slot >= unchecked_ && skip_blocks(slot, threshold)) return;
        std::ranges::fill(parts_, 0.f);
        const std::uint32_t length = lengths_.get(slot);
        float sum = 0;
        for (std::size_t i = essential_; i < walkers_.size(); ++i) {
            Walker& walker = walkers_[i];
            if (walker.cursor.slot() != slot) continue;
            sum += take(walker, length);
            walker.cursor.next();
        }
        for (std::size_t i = essential_; i-- > 0;) {
            if (sum * kBoundSlack + below_[i + 1] <= threshold) return;
            Walker& walker = walkers_[i];
            walker.cursor.seek(slot);
            if (walker.cursor.slot() == slot) sum += take(walker, length);
        }
        float score = 0;  // in the order of the legs, like every other evaluation
        for (const float part : parts_) score += part;
        if (best_.full() && score <= threshold) return;
        best_.offer({slot, score});
        raise_essential();
    }

    float take(Walker& walker, std::uint32_t length) {
        return parts_[walker.leg] =
                   query_.part(query_.legs[walker.leg], walker.cursor.frequency(), length);
    }

    /// Where the blocks of the lists that matter cannot lift anything into the best, goes past
    /// them. True: `slot` was gone past.
    bool skip_blocks(Slot slot, float threshold) {
        float sum = below_[essential_];
        Slot end = kNoSlot;
        for (std::size_t i = essential_; i < walkers_.size(); ++i) {
            Slot last = kNoSlot;
            const ScoreBound bound = walkers_[i].cursor.block_bound(slot, &last);
            if (bound.frequency_max > 0) {
                sum += query_.part(query_.legs[walkers_[i].leg], bound.frequency_max,
                                   bound.length_min) *
                       kBoundSlack;
            }
            end = std::min(end, last);
        }
        if (sum > threshold) {
            unchecked_ = end == kNoSlot ? kNoSlot : end + 1;
            return false;
        }
        if (end == kNoSlot) {  // nothing but tails is left, and they do not suffice
            seek_essential(kNoSlot);
        } else {
            seek_essential(end + 1);
        }
        return true;
    }

    void raise_essential() {
        if (!best_.full()) return;
        while (essential_ < walkers_.size() && below_[essential_ + 1] <= best_.threshold()) {
            ++essential_;
        }
    }

    const Query& query_;
    std::vector<Walker> walkers_;
    const Bits& allowed_;
    const PagedColumn<std::uint16_t>& lengths_;
    BestList best_;
    std::vector<float> parts_;
    std::vector<float> below_;   ///< sums of bounds of the walkers before
    std::size_t essential_ = 0;  ///< the first walker that can lift an entry by itself
    Slot unchecked_ = 0;         ///< up to here the present blocks may lift something
};

}  // namespace

std::vector<Scored> KeywordIndex::best_by_lists(const Prepared& query, const Bits& allowed,
                                                std::uint32_t limit) const {
    std::vector<Walker> walkers;
    walkers.reserve(query.legs.size());
    for (std::size_t leg = 0; leg < query.legs.size(); ++leg) {
        PostingLists::Cursor cursor(postings_, query.legs[leg].term);
        const ScoreBound bound = cursor.bound();
        walkers.push_back({std::move(cursor), leg,
                           query.part(query.legs[leg], bound.frequency_max, bound.length_min)});
    }
    return ListWalk(query, std::move(walkers), allowed, lengths_, limit).run();
}

std::uint64_t KeywordIndex::bytes() const {
    return dictionary_.bytes() + postings_.bytes() + frequencies_.bytes() + lengths_.bytes();
}

}  // namespace memory::index
