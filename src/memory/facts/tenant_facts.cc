#include "memory/facts/tenant_facts.h"

#include <algorithm>
#include <limits>
#include <map>
#include <ranges>
#include <set>
#include <utility>

namespace memory::facts {
namespace {

constexpr UnixMs kEverything = std::numeric_limits<UnixMs>::max();

bool within(const Scope& asked, const Scope& scope) {
    const auto fits = [](const std::string& want, const std::string& has) {
        return want.empty() || want == has;
    };
    return fits(asked.user, scope.user) && fits(asked.agent, scope.agent) &&
           fits(asked.session, scope.session) && fits(asked.run, scope.run);
}

UnixMs or_now(UnixMs asked, UnixMs now) {
    return asked != 0 ? asked : now;
}

}  // namespace

TenantFacts::Key TenantFacts::key_of(const Assertion& said) const {
    return {names_.resolve(normal_name(said.subject), true), said.predicate};
}

void TenantFacts::insert(const Assertion& said) {
    const Key key = key_of(said);
    Group& group = groups_[key];
    group.said.push_back(&said);
    if (std::exchange(group.fresh, false) || group.said.size() == 1) stale_.push_back(key);
}

void TenantFacts::remove(const Assertion& said) {
    const Key key = key_of(said);
    Group& group = groups_[key];
    std::erase(group.said, &said);
    group.fresh = false;
    stale_.push_back(key);
}

void TenantFacts::put(Assertion said) {
    bool moved = false;
    const auto found = all_.find(said.id);
    if (found != all_.end()) {
        remove(*found->second);
        if (found->second->retracted_unix_ms == 0) {
            moved = names_.disuse(normal_name(found->second->subject));
        }
        all_.erase(found);
    }
    const FactId id = said.id;
    auto kept = std::make_unique<Assertion>(std::move(said));
    // A retracted assertion gives its name no meaning: what a first name means must be what it
    // would be had that never been said.
    if (kept->retracted_unix_ms == 0) moved = names_.use(normal_name(kept->subject)) || moved;
    const Assertion& at = *all_.emplace(id, std::move(kept)).first->second;
    if (moved) {
        regroup();
    } else {
        insert(at);
    }
}

void TenantFacts::add_alias(const std::string& alias, const std::string& name) {
    names_.alias(alias, name);
    regroup();
}

/// Some name means another than before: every group and the graph anew.
void TenantFacts::regroup() {
    groups_.clear();
    stale_.clear();
    graph_ = graph::Graph::make();
    nodes_.clear();
    node_names_.clear();
    node_keys_.clear();
    changes_at_ = 0;
    for (const auto& [id, said] : all_) insert(*said);
}

graph::Node TenantFacts::node_for(const std::string& normal, const std::string& written) {
    const auto [at, fresh] =
        nodes_.try_emplace(normal, static_cast<graph::Node>(node_names_.size()));
    if (fresh) {
        node_names_.push_back(written);
        node_keys_.push_back(normal);
    } else if (normal_name(node_names_[at->second]) != normal && normal_name(written) == normal) {
        node_names_[at->second] = written;  // "Ann Lee" rather than the "Ann" met before
    }
    return at->second;
}

graph::Predicate TenantFacts::predicate_for(const std::string& name) {
    const auto [at, is_new] =
        predicates_.try_emplace(name, static_cast<graph::Predicate>(predicates_.size()));
    if (is_new) predicate_names_.push_back(name);
    return at->second;
}

std::optional<graph::Node> TenantFacts::node_of(std::string_view name) const {
    const auto found = nodes_.find(names_.resolve(normal_name(name), true));
    return found == nodes_.end() ? std::nullopt : std::optional(found->second);
}

/// The fold by what objects mean: "Paris" and "paris" are one value. Facts keep what was written.
Timeline TenantFacts::folded(const Group& group, const Scope& scope, UnixMs known) const {
    std::vector<Assertion> said;
    for (const Assertion* one : group.said) {
        if (!within(scope, one->scope)) continue;
        said.push_back(*one);
        said.back().object = meant_object(one->object);
    }
    Timeline timeline = fold(said, known);
    for (Fact& fact : timeline.facts) fact.said.object = all_.at(fact.said.id)->object;
    return timeline;
}

std::string TenantFacts::meant_object(std::string_view written) const {
    return names_.resolve(normal_name(written), false);
}

/// Puts into the graph what holds of a group, and takes out what does not.
void TenantFacts::refresh(const Key& key, Group& group, UnixMs now) {
    for (const graph::Edge& edge : group.edges) graph_->erase(edge);
    group.edges.clear();
    group.changes_at = 0;
    group.fresh = true;
    const Timeline timeline = folded(group, {}, kEverything);
    for (const Fact& fact : timeline.facts) {
        for (const UnixMs border : {fact.from_unix_ms, fact.to_unix_ms}) {
            if (border > now && (group.changes_at == 0 || border < group.changes_at)) {
                group.changes_at = border;
            }
        }
    }
    for (const Fact& fact : at(timeline, now)) {
        const std::string object = meant_object(fact.said.object);
        group.edges.push_back({node_for(key.first, fact.said.subject),
                               node_for(object, fact.said.object), predicate_for(key.second),
                               fact.said.confidence});
        graph_->put(group.edges.back());
    }
    if (group.changes_at != 0 && (changes_at_ == 0 || group.changes_at < changes_at_)) {
        changes_at_ = group.changes_at;
    }
}

const graph::Graph& TenantFacts::graph(UnixMs now) {
    if (changes_at_ != 0 && changes_at_ <= now) {
        changes_at_ = 0;
        for (const auto& [key, group] : groups_) {
            if (group.changes_at == 0) continue;
            stale_.push_back(key);
        }
    }
    for (const Key& key : std::exchange(stale_, {})) {
        const auto found = groups_.find(key);
        if (found == groups_.end()) continue;
        refresh(key, found->second, now);
        if (found->second.said.empty()) groups_.erase(found);
    }
    return *graph_;
}

template <class Each>
void TenantFacts::each_timeline(const FactQuery& query, const Each& each) {
    const std::string subject =
        query.subject.empty() ? "" : names_.resolve(normal_name(query.subject), true);
    const UnixMs known = query.recorded_at_unix_ms != 0 ? query.recorded_at_unix_ms : kEverything;
    for (auto at = groups_.lower_bound({subject, ""}); at != groups_.end(); ++at) {
        const auto& [key, group] = *at;
        if (!subject.empty() && key.first != subject) break;
        if (!query.predicate.empty() && key.second != query.predicate) continue;
        if (!each(folded(group, query.scope, known))) return;
    }
}

std::vector<Fact> TenantFacts::query(const FactQuery& query, UnixMs now) {
    std::vector<Fact> out;
    const std::string object = query.object.empty() ? "" : meant_object(query.object);
    each_timeline(query, [&](Timeline&& timeline) {
        auto facts = query.history ? std::move(timeline.facts)
                                   : at(timeline, or_now(query.valid_at_unix_ms, now));
        for (Fact& fact : facts) {
            if (out.size() >= query.limit) return false;
            if (fact.said.confidence < query.confidence_min) continue;
            if (!object.empty() && meant_object(fact.said.object) != object) continue;
            out.push_back(std::move(fact));
        }
        return true;
    });
    return out;
}

Neighbourhood TenantFacts::neighbourhood(std::string_view name, std::uint32_t depth,
                                         std::uint32_t limit, UnixMs now) {
    Neighbourhood out;
    const graph::Graph& all = graph(now);
    const auto start = node_of(name);
    if (!start || limit == 0) return out;
    std::vector<graph::Reached> reached = all.neighbours(*start, depth, limit - 1);
    reached.insert(reached.begin(), {*start, 0});
    std::set<std::string_view> shown;
    for (const graph::Reached& one : reached) {
        out.names.push_back({name_of(one.node), one.depth});
        shown.insert(node_keys_[one.node]);
    }
    for (const std::string_view subject : shown) {
        const Key first{subject, ""};
        for (auto group = groups_.lower_bound(first);
             group != groups_.end() && group->first.first == subject; ++group) {
            for (Fact& fact : at(folded(group->second, {}, kEverything), now)) {
                if (shown.contains(meant_object(fact.said.object))) {
                    out.facts.push_back(std::move(fact));
                }
            }
        }
    }
    return out;
}

std::vector<Path> TenantFacts::paths(std::string_view from, std::string_view to,
                                     std::uint32_t length, std::uint32_t limit, UnixMs now) {
    std::vector<Path> out;
    const graph::Graph& all = graph(now);
    const auto begin = node_of(from), end = node_of(to);
    if (!begin || !end || *begin == *end) return out;
    for (const auto& edges : all.paths(*begin, *end, length, limit)) {
        Path& path = out.emplace_back();
        for (const graph::Edge& edge : edges) {
            path.push_back(
                {name_of(edge.from), predicate_names_[edge.predicate], name_of(edge.to)});
        }
    }
    return out;
}

/// The names that stand in a text, each once: runs of up to four words.
std::vector<graph::Ranked> TenantFacts::named(std::string_view text) const {
    constexpr std::size_t kWordsMax = 4;
    std::string plain = normal_name(text);
    for (std::size_t at; (at = plain.find("'s ")) != std::string::npos;) plain.erase(at, 2);
    std::erase_if(plain, [](char c) { return c == '?' || c == '!' || c == ',' || c == '"'; });
    std::vector<std::string_view> words;
    for (const auto part : std::views::split(plain, ' ')) {
        if (!part.empty()) words.emplace_back(part.begin(), part.end());
    }
    std::vector<graph::Ranked> out;
    std::set<graph::Node> seen;
    for (std::size_t begin = 0; begin < words.size(); ++begin) {
        std::string run;
        for (std::size_t end = begin; end < std::min(words.size(), begin + kWordsMax); ++end) {
            run += (run.empty() ? "" : " ") + std::string(words[end]);
            const auto node = node_of(run);
            if (node && seen.insert(*node).second) out.push_back({*node, 1.f});
        }
    }
    return out;
}

std::vector<NearSource> TenantFacts::near_sources(std::string_view text, std::uint32_t limit,
                                                  UnixMs now) {
    constexpr float kRestart = .3f, kEpsilon = 1e-3f;
    constexpr std::uint32_t kNodesMax = 64;
    const graph::Graph& all = graph(now);
    const std::vector<graph::Ranked> seeds = named(text);
    if (seeds.empty()) return {};
    std::map<std::string_view, float> weights;
    for (const graph::Ranked& one : all.page_rank(seeds, kRestart, kEpsilon, kNodesMax)) {
        const std::string& subject = node_keys_[one.node];
        for (auto group = groups_.lower_bound({subject, ""});
             group != groups_.end() && group->first.first == subject; ++group) {
            for (const Assertion* said : group->second.said) {
                if (said->retracted_unix_ms != 0) continue;
                for (const SourceSpan& span : said->sources) weights[span.source] += one.score;
            }
        }
    }
    std::vector<NearSource> out;
    for (const auto& [source, weight] : weights) out.push_back({std::string(source), weight});
    std::ranges::sort(out, [](const NearSource& a, const NearSource& b) {
        return a.weight != b.weight ? a.weight > b.weight : a.source < b.source;
    });
    if (out.size() > limit) out.resize(limit);
    const float greatest = out.empty() ? 1.f : out.front().weight;
    for (NearSource& one : out) one.weight /= greatest;
    return out;
}

std::vector<Contradiction> TenantFacts::contradictions(const FactQuery& query, UnixMs now) {
    std::vector<Contradiction> out;
    const UnixMs moment = or_now(query.valid_at_unix_ms, now);
    each_timeline(query, [&](Timeline&& timeline) {
        for (const Contradiction& met : timeline.contradictions) {
            if (out.size() >= query.limit) return false;
            const bool there =
                met.from_unix_ms <= moment && (met.to_unix_ms == 0 || moment < met.to_unix_ms);
            if (query.history || there) out.push_back(met);
        }
        return true;
    });
    return out;
}

}  // namespace memory::facts
