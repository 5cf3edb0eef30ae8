#pragma once
// A definition as a picture: nodes and edges for people and the console.

#include <string>
#include <string_view>
#include <vector>

#include "flow/definition/definition.h"

namespace flow {

/// The word a step's file has for what it does: "http", "branch", "for_each" ...
std::string_view kind_name(const Action& action);

struct GraphNode {
    const Step* step = nullptr;
    std::string outer;  ///< the step that holds it; empty at the top
    std::string arm;    ///< of the holder: "then", a case, a branch; empty for loops
};

struct GraphEdge {
    enum class Kind : std::uint8_t {
        after,   ///< `to` starts when `from` is done
        inside,  ///< `to` is the first of an arm of `from`
        jump,    ///< where a failure of `from` leads
    };
    std::string from, to;
    Kind kind = Kind::after;
    std::string label;
};

/// In the order of the blocks, holders before what they hold. Points into the definition.
struct Graph {
    std::vector<GraphNode> nodes;
    std::vector<GraphEdge> edges;
};

Graph graph_of(const Definition& definition);

/// {"name", "nodes": [{"id", "kind", "title", "outer", "arm", ...}], "edges": [...]}
base::json::object graph_json(const Definition& definition);
/// Graphviz, what a step holds in a cluster.
std::string graph_dot(const Definition& definition);
/// Mermaid flowchart, as Markdown renderers draw it.
std::string graph_mermaid(const Definition& definition);

}  // namespace flow
