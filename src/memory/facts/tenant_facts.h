#pragma once
// One tenant's assertions in memory: by subject and predicate, with names resolved, and the graph
// of what holds kept up to date. One thread at a time.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "memory/facts/fact.h"
#include "memory/facts/fact_graph.h"
#include "memory/facts/names.h"
#include "memory/facts/timeline.h"
#include "memory/graph/graph.h"

namespace memory::facts {

class TenantFacts {
public:
    TenantFacts() : graph_(graph::Graph::make()) {}

    /// Adds it, or replaces what has its id.
    void put(Assertion said);
    void add_alias(const std::string& alias, const std::string& name);
    const Names& names() const { return names_; }

    std::vector<Fact> query(const FactQuery& query, UnixMs now);
    std::vector<Contradiction> contradictions(const FactQuery& query, UnixMs now);
    Neighbourhood neighbourhood(std::string_view name, std::uint32_t depth, std::uint32_t limit,
                                UnixMs now);
    std::vector<Path> paths(std::string_view from, std::string_view to, std::uint32_t length,
                            std::uint32_t limit, UnixMs now);
    std::vector<NearSource> near_sources(std::string_view text, std::uint32_t limit, UnixMs now);
    const graph::Graph& graph(UnixMs now);
    /// The node of a name, if it has one, and back.
    std::optional<graph::Node> node_of(std::string_view name) const;
    const std::string& name_of(graph::Node node) const { return node_names_[node]; }

private:
    /// Resolved subject, predicate.
    using Key = std::pair<std::string, std::string>;
    struct Group {
        std::vector<const Assertion*> said;
        std::vector<graph::Edge> edges;  ///< of it, in the graph now
        bool fresh = false;              ///< edges are those of `said`
        UnixMs changes_at = 0;           ///< when time alone changes what holds; 0: never
    };

    Timeline folded(const Group& group, const Scope& scope, UnixMs known) const;
    std::string meant_object(std::string_view written) const;
    Key key_of(const Assertion& said) const;
    void insert(const Assertion& said);
    void remove(const Assertion& said);
    void regroup();
    std::vector<graph::Ranked> named(std::string_view text) const;
    void refresh(const Key& key, Group& group, UnixMs now);
    graph::Node node_for(const std::string& normal, const std::string& written);
    graph::Predicate predicate_for(const std::string& name);
    template <class Each>
    void each_timeline(const FactQuery& query, const Each& each);

    Names names_;
    std::unordered_map<FactId, std::unique_ptr<Assertion>> all_;
    std::map<Key, Group> groups_;
    std::unique_ptr<graph::Graph> graph_;
    std::unordered_map<std::string, graph::Node> nodes_;
    std::vector<std::string> node_names_, node_keys_;  ///< as written; as resolved
    std::unordered_map<std::string, graph::Predicate> predicates_;
    std::vector<std::string> predicate_names_;
    std::vector<Key> stale_;
    UnixMs changes_at_ = 0;  ///< the earliest of the groups'; 0: none
};

}  // namespace memory::facts
