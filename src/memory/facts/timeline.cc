// Claims first, each cut to where something newer begins; then one sweep over their borders with
// the claims that are active in between, ordered by recording.
#include "memory/facts/timeline.h"

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

namespace memory::facts {
namespace {

constexpr UnixMs kOpen = std::numeric_limits<UnixMs>::max();

/// What one assertion says, cut or not: [from, to) with kOpen for "still so".
struct Claim {
    const Assertion* said = nullptr;
    UnixMs from = 0, to = kOpen;
    bool open() const { return said->valid_to_unix_ms == 0; }
};

/// Recording decides between what cannot both be so; ids break ties.
bool recorded_before(const Assertion& a, const Assertion& b) {
    return std::tie(a.recorded_unix_ms, a.id) < std::tie(b.recorded_unix_ms, b.id);
}

UnixMs from_of(const Assertion& said) {
    return said.valid_from_unix_ms != 0 ? said.valid_from_unix_ms : said.recorded_unix_ms;
}

/// Everything known of one slot: of a subject and predicate under cardinality one, of one object
/// under cardinality many.
struct Slot {
    std::vector<Claim> claims;  ///< by from, then by recording
    std::vector<Claim> ends;
};

bool concerns(const Claim& end, std::string_view object) {
    return end.said->object.empty() || end.said->object == object;
}

/// Cuts open claims where a claim of another object begins. Pre: sorted by from.
void cut_by_newer_objects(std::vector<Claim>& claims) {
    // From the right: the nearest start behind, and the nearest of another object than that one.
    UnixMs next = kOpen, other = kOpen;
    std::string_view next_object;
    for (std::size_t end = claims.size(); end > 0;) {
        std::size_t begin = end;
        while (begin > 0 && claims[begin - 1].from == claims[end - 1].from) --begin;
        for (std::size_t i = begin; i < end; ++i) {
            if (!claims[i].open()) continue;
            claims[i].to = next_object == claims[i].said->object ? other : next;
        }
        for (std::size_t i = begin; i < end; ++i) {
            if (next == kOpen || next_object != claims[i].said->object) {
                other = next;
                next_object = claims[i].said->object;
            }
            next = claims[i].from;
        }
        end = begin;
    }
}

/// Cuts claims at ends of their object. Against an open claim any later end counts; one with a
/// valid_to of its own gives way only to what was recorded after it.
void cut_by_ends(Slot& slot) {
    for (Claim& claim : slot.claims) {
        for (const Claim& end : slot.ends) {
            if (!concerns(end, claim.said->object)) continue;
            const bool later = recorded_before(*claim.said, *end.said);
            const bool reaches =
                end.from > claim.from ? claim.open() || later : end.from == claim.from && later;
            if (reaches) claim.to = std::min(claim.to, end.from);
        }
    }
}

/// A later "from A to B" of the same object says that it is over by B.
void cut_by_own_intervals(std::vector<Claim>& claims) {
    std::map<std::string_view, std::vector<const Claim*>> bounded;
    for (const Claim& claim : claims) {
        if (!claim.open()) bounded[claim.said->object].push_back(&claim);
    }
    if (bounded.empty()) return;
    for (Claim& claim : claims) {
        if (!claim.open()) continue;
        const auto found = bounded.find(claim.said->object);
        if (found == bounded.end()) continue;
        for (const Claim* own : found->second) {
            const UnixMs to = own->said->valid_to_unix_ms;
            if (to > claim.from && recorded_before(*claim.said, *own->said)) {
                claim.to = std::min(claim.to, to);
            }
        }
    }
}

struct LaterRecordedFirst {
    bool operator()(const Claim* a, const Claim* b) const {
        return recorded_before(*b->said, *a->said);
    }
};

/// Walks over the borders of a slot's claims and writes down who counts in between.
class Sweep {
public:
    Sweep(const Slot& slot, Timeline& out) : slot_(slot), out_(out) {
        for (const Claim& claim : slot.claims) {
            mixed_ = mixed_ || claim.said->object != slot.claims.front().said->object;
        }
    }

    void run() {
        std::vector<const Claim*> starting, ending;
        std::vector<UnixMs> borders;
        for (const Claim& claim : slot_.claims) {
            if (claim.to <= claim.from) continue;
            starting.push_back(&claim);
            ending.push_back(&claim);
            borders.push_back(claim.from);
            borders.push_back(claim.to);
        }
        std::ranges::stable_sort(ending, {}, [](const Claim* c) { return c->to; });
        std::ranges::sort(borders);
        borders.erase(std::ranges::unique(borders).begin(), borders.end());
        std::size_t started = 0, ended = 0;
        for (std::size_t i = 0; i + 1 < borders.size(); ++i) {
            while (ended < ending.size() && ending[ended]->to <= borders[i]) {
                active_.erase(ending[ended++]);
            }
            fresh_.clear();
            while (started < starting.size() && starting[started]->from <= borders[i]) {
                fresh_.push_back(starting[started]);
                active_.insert(starting[started++]);
            }
            segment(borders[i], borders[i + 1]);
        }
        close_piece();
        for (const Contradiction& met : pairs_in_order_) out_.contradictions.push_back(met);
    }

private:
    void segment(UnixMs from, UnixMs to) {
        if (active_.empty()) {
            close_piece();
            return;
        }
        const Claim& counts = **active_.begin();
        if (piece_open_ && piece_.to_unix_ms == from && piece_.said.object == counts.said->object) {
            piece_.to_unix_ms = to;
            if (!mixed_) {  // one object said a thousand times costs no thousand squared
                for (const Claim* claim : fresh_) absorb(*claim->said);
                return;
            }
        } else {
            if (piece_open_ && piece_.to_unix_ms == from) piece_.superseded_by = counts.said->id;
            close_piece();
            open_piece(from, to);
        }
        for (const Claim* claim : active_) {
            if (claim->said->object == counts.said->object) {
                absorb(*claim->said);
            } else {
                contradict(claim->said->id, counts.said->id, from, to);
            }
        }
    }

    /// `said` is whichever claim of the object began first.
    void open_piece(UnixMs from, UnixMs to) {
        const Claim* first = *active_.begin();
        for (const Claim* claim : active_) {
            if (claim->said->object != first->said->object) continue;
            if (claim->from < first->from ||
                (claim->from == first->from && recorded_before(*claim->said, *first->said))) {
                first = claim;
            }
        }
        piece_ = Fact{*first->said, from, to, {}};
        absorbed_ = {first->said};
        piece_open_ = true;
    }

    void absorb(const Assertion& said) {
        if (!absorbed_.insert(&said).second) return;
        piece_.said.confidence = std::max(piece_.said.confidence, said.confidence);
        for (const SourceSpan& span : said.sources) {
            if (std::ranges::find(piece_.said.sources, span) == piece_.said.sources.end()) {
                piece_.said.sources.push_back(span);
            }
        }
    }

    void close_piece() {
        if (!piece_open_) return;
        piece_open_ = false;
        if (piece_.superseded_by.empty()) piece_.superseded_by = end_at(piece_.to_unix_ms);
        if (piece_.to_unix_ms == kOpen) piece_.to_unix_ms = 0;
        out_.facts.push_back(std::move(piece_));
    }

    /// The end that closed the piece, when one did: of several, the one recorded first.
    FactId end_at(UnixMs when) const {
        const Assertion* first = nullptr;
        for (const Claim& end : slot_.ends) {
            if (end.from != when || !concerns(end, piece_.said.object)) continue;
            if (first == nullptr || recorded_before(*end.said, *first)) first = end.said;
        }
        return first == nullptr ? FactId{} : first->id;
    }

    void contradict(const FactId& first, const FactId& second, UnixMs from, UnixMs to) {
        const UnixMs until = to == kOpen ? 0 : to;
        const auto [at, fresh] = pairs_.try_emplace({first, second}, pairs_in_order_.size());
        if (!fresh && pairs_in_order_[at->second].to_unix_ms == from) {
            pairs_in_order_[at->second].to_unix_ms = until;
            return;
        }
        at->second = pairs_in_order_.size();
        pairs_in_order_.push_back({first, second, from, until});
    }

    const Slot& slot_;
    Timeline& out_;
    bool mixed_ = false;  ///< several objects in the slot
    std::set<const Claim*, LaterRecordedFirst> active_;
    std::vector<const Claim*> fresh_;  ///< of the active ones, those that begin with the segment
    bool piece_open_ = false;
    Fact piece_;
    std::set<const Assertion*> absorbed_;
    std::map<std::pair<std::string_view, std::string_view>, std::size_t> pairs_;
    std::vector<Contradiction> pairs_in_order_;
};

void fold_slot(Slot& slot, Timeline& out) {
    std::ranges::sort(slot.claims, [](const Claim& a, const Claim& b) {
        return a.from != b.from ? a.from < b.from : recorded_before(*a.said, *b.said);
    });
    cut_by_newer_objects(slot.claims);
    cut_by_own_intervals(slot.claims);
    cut_by_ends(slot);
    Sweep(slot, out).run();
}

}  // namespace

Timeline fold(std::span<const Assertion> said, UnixMs recorded_at) {
    const Assertion* latest = nullptr;
    std::vector<Claim> claims, ends;
    for (const Assertion& one : said) {
        if (one.recorded_unix_ms > recorded_at) continue;
        if (one.retracted_unix_ms != 0 && one.retracted_unix_ms <= recorded_at) continue;
        const UnixMs to = one.valid_to_unix_ms != 0 && !one.ends ? one.valid_to_unix_ms : kOpen;
        (one.ends ? ends : claims).push_back(Claim{&one, from_of(one), to});
        if (latest == nullptr || recorded_before(*latest, one)) latest = &one;
    }
    Timeline out;
    if (latest == nullptr) return out;
    std::map<std::string_view, Slot> slots;  // under cardinality one a single one, without a name
    const bool many = latest->cardinality == Cardinality::many;
    for (const Claim& claim : claims) {
        slots[many ? std::string_view(claim.said->object) : ""].claims.push_back(claim);
    }
    for (auto& [object, slot] : slots) {
        for (const Claim& end : ends) {
            if (!many || concerns(end, object)) slot.ends.push_back(end);
        }
        fold_slot(slot, out);
    }
    std::ranges::sort(out.facts, [](const Fact& a, const Fact& b) {
        return a.from_unix_ms != b.from_unix_ms ? a.from_unix_ms < b.from_unix_ms
                                                : recorded_before(a.said, b.said);
    });
    return out;
}

std::vector<Fact> at(const Timeline& timeline, UnixMs valid_at) {
    std::vector<Fact> out;
    for (const Fact& fact : timeline.facts) {
        if (fact.from_unix_ms <= valid_at && (fact.to_unix_ms == 0 || valid_at < fact.to_unix_ms)) {
            out.push_back(fact);
        }
    }
    return out;
}

}  // namespace memory::facts
