#include "memory/compress/plan.h"

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "memory/compress/similar.h"

namespace memory::compress {
namespace {

/// What is merged shares a session and a type; scopes never mix.
auto place_of(const Entry& entry) {
    return std::tie(entry.scope.tenant, entry.scope.user, entry.scope.agent, entry.scope.session,
                    entry.scope.run);
}
using Session = std::tuple<std::string, std::string, std::string, std::string, std::string>;

struct Item {
    const Entry* entry = nullptr;
    std::span<const float> vector;
    std::set<std::string> words;
};

/// An entry, or several that become one: what a session's limit counts.
struct Unit {
    std::vector<const Entry*> entries;  ///< by time
    Reason reason = Reason::important;
    float importance = 0;
    UnixMs last_unix_ms = 0;
    const MemoryId& id() const { return entries.front()->id; }
};

/// A summary names each entry and sentence as a source, and an entry has 256 sources at most.
constexpr std::size_t kMergeMax = 200;

class Planner {
public:
    Planner(const Policy& policy, UnixMs now) : policy_(policy), now_(now) {}

    Plan run(std::vector<Item> items) {
        std::ranges::sort(items, [](const Item& a, const Item& b) {
            return std::tie(a.entry->created_unix_ms, a.entry->id) <
                   std::tie(b.entry->created_unix_ms, b.entry->id);
        });
        std::map<std::pair<Session, MemoryType>, std::vector<Item>> old;
        for (Item& item : items) {
            const Entry& entry = *item.entry;
            if (entry.pinned) {
                keep(entry, Reason::pinned);
            } else if (entry.expires_unix_ms != 0 && entry.expires_unix_ms <= now_) {
                out_.drop.push_back({entry.id, Reason::expired});
            } else if (is_recent(entry)) {
                keep(entry, Reason::recent);
            } else {
                old[{place_of(entry), entry.type}].push_back(std::move(item));
            }
        }
        for (auto& [place, group] : old) cluster(group);
        for (auto& [session, units] : sessions_) {
            if (policy_.merge_over_limit) merge_neighbours(units);
            limit(units);
        }
        std::ranges::sort(out_.keep, {}, &Decision::id);
        std::ranges::sort(out_.drop, {}, &Decision::id);
        std::ranges::sort(out_.merge, {}, [](const Merge& merge) { return merge.ids.front(); });
        return std::move(out_);
    }

private:
    bool is_recent(const Entry& entry) const {
        const UnixMs kept_ms = static_cast<UnixMs>(policy_.retain_recent_hours) * 3'600'000;
        return entry.created_unix_ms > now_ - kept_ms;
    }

    void keep(const Entry& entry, Reason reason) {
        add({{&entry}, reason, entry.importance, entry.created_unix_ms});
    }

    void add(Unit unit) { sessions_[place_of(*unit.entries.front())].push_back(std::move(unit)); }

    float similarity(const Item& a, const Item& b) const {
        const bool vectors = !a.vector.empty() && a.vector.size() == b.vector.size();
        return vectors ? cosine(a.vector, b.vector) : overlap(a.words, b.words);
    }

    /// Each joins the first earlier one that it is like, not a chain of ever less like ones.
    void cluster(std::vector<Item>& group) {
        std::vector<std::vector<const Item*>> clusters;
        for (Item& item : group) {
            item.words = word_set(item.entry->content);
            const auto like = std::ranges::find_if(clusters, [&](const auto& cluster) {
                return cluster.size() < kMergeMax &&
                       similarity(*cluster.front(), item) >= policy_.merge_similarity;
            });
            if (like != clusters.end()) {
                like->push_back(&item);
            } else {
                clusters.push_back({&item});
            }
        }
        for (const auto& cluster : clusters) judge(cluster);
    }

    void judge(const std::vector<const Item*>& cluster) {
        Unit unit;
        for (const Item* item : cluster) {
            unit.entries.push_back(item->entry);
            unit.importance = std::max(unit.importance, item->entry->importance);
            unit.last_unix_ms = item->entry->created_unix_ms;
        }
        if (unit.importance < policy_.importance_min) {
            drop(unit, Reason::unimportant);
        } else {
            add(std::move(unit));
        }
    }

    void drop(const Unit& unit, Reason reason) {
        for (const Entry* entry : unit.entries) out_.drop.push_back({entry->id, reason});
    }

    /// Joins old units that follow each other, as evenly as it goes, until the session fits or
    /// nothing is left to join.
    void merge_neighbours(std::vector<Unit>& units) {
        if (units.size() <= policy_.entries_per_session_max) return;
        std::map<MemoryType, std::vector<Unit>> old;
        std::vector<Unit> fixed;
        for (Unit& unit : units) {
            auto& place =
                unit.reason == Reason::important ? old[unit.entries.front()->type] : fixed;
            place.push_back(std::move(unit));
        }
        const std::size_t count = units.size() - fixed.size();
        const std::size_t room =
            policy_.entries_per_session_max -
            std::min<std::size_t>(policy_.entries_per_session_max, fixed.size());
        units = std::move(fixed);
        for (auto& [type, group] : old) {
            std::ranges::sort(group, {}, [](const Unit& unit) {
                return std::pair(unit.entries.front()->created_unix_ms, unit.id());
            });
            // Its share of the room, one at least.
            const std::size_t into = std::max<std::size_t>(1, room * group.size() / count);
            for (std::size_t i = 0, begin = 0; i < into && begin < group.size(); ++i) {
                const std::size_t end = group.size() * (i + 1) / into;
                join(std::span(group).subspan(begin, end - begin), units);
                begin = end;
            }
        }
    }

    static void join(std::span<Unit> group, std::vector<Unit>& out) {
        for (Unit& unit : group) {
            const bool first = &unit == &group.front();
            if (first || out.back().entries.size() + unit.entries.size() > kMergeMax) {
                out.push_back(std::move(unit));
                continue;
            }
            Unit& into = out.back();
            into.entries.insert(into.entries.end(), unit.entries.begin(), unit.entries.end());
            into.importance = std::max(into.importance, unit.importance);
            into.last_unix_ms = std::max(into.last_unix_ms, unit.last_unix_ms);
        }
        if (group.empty()) return;
        std::ranges::sort(out.back().entries, {}, [](const Entry* entry) {
            return std::pair(entry->created_unix_ms, entry->id);
        });
    }

    /// The least wanted first: old before recent, then by importance, then by age.
    void limit(std::vector<Unit>& units) {
        std::ranges::sort(units, [](const Unit& a, const Unit& b) {
            const auto rank = [](const Unit& unit) {
                return unit.reason == Reason::pinned ? 2 : unit.reason == Reason::recent ? 1 : 0;
            };
            return std::tuple(rank(a), a.importance, a.last_unix_ms, a.id()) <
                   std::tuple(rank(b), b.importance, b.last_unix_ms, b.id());
        });
        std::size_t over =
            units.size() - std::min<std::size_t>(units.size(), policy_.entries_per_session_max);
        for (const Unit& unit : units) {
            if (over > 0 && unit.reason != Reason::pinned) {
                drop(unit, Reason::over_limit);
                --over;
            } else if (unit.entries.size() > 1) {
                out_.merge.push_back(merged(unit));
            } else {
                out_.keep.push_back({unit.id(), unit.reason});
            }
        }
    }

    Merge merged(const Unit& unit) const {
        Summary summary = summarise(unit.entries, policy_.summary_sentences_max);
        Merge merge;
        merge.summary = std::move(summary.text);
        merge.sources = std::move(summary.sentences);
        merge.importance = unit.importance;
        merge.created_unix_ms = unit.entries.front()->created_unix_ms;
        for (const Entry* entry : unit.entries) {
            merge.ids.push_back(entry->id);
            merge.sources.push_back({.source = entry->id});
        }
        return merge;
    }

    const Policy& policy_;
    const UnixMs now_;
    std::map<Session, std::vector<Unit>> sessions_;
    Plan out_;
};

}  // namespace

std::string_view reason_name(Reason reason) {
    static constexpr auto kNames = std::to_array<std::string_view>(
        {"pinned", "recent", "important", "expired", "unimportant", "over_limit"});
    return kNames[static_cast<std::size_t>(reason)];
}

Plan plan(std::span<const Entry> entries, std::span<const std::vector<float>> vectors,
          const Policy& policy, UnixMs now) {
    std::vector<Item> items;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        Item item{&entries[i], {}, {}};
        if (i < vectors.size()) item.vector = vectors[i];
        items.push_back(std::move(item));
    }
    return Planner(policy, now).run(std::move(items));
}

}  // namespace memory::compress
