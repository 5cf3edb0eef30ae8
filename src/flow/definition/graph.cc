#include "flow/definition/graph.h"

#include <fmt/format.h>

#include <algorithm>

namespace flow {
namespace {

namespace json = base::json;

/// Calls visit(arm, block) for every block that a step holds.
template <class Visit>
void for_each_block(const Action& action, Visit visit) {
    if (const auto* choose = std::get_if<ChooseAction>(&action)) {
        for (const auto& arm : choose->arms) visit(arm.label, *arm.block);
    } else if (const auto* loop = std::get_if<LoopAction>(&action)) {
        visit(std::string(), *loop->body);
    } else if (const auto* parallel = std::get_if<ParallelAction>(&action)) {
        for (const auto& branch : parallel->branches) visit(branch.name, *branch.block);
    }
}

void add_block(Graph& graph, const Block& block, const std::string& outer, const std::string& arm) {
    for (const Step& step : block.steps) {
        graph.nodes.push_back({&step, outer, arm});
        if (step.needs.empty() && !outer.empty()) {
            graph.edges.push_back({outer, step.id, GraphEdge::Kind::inside, arm});
        }
        for (const std::uint32_t need : step.needs) {
            graph.edges.push_back({block.steps[need].id, step.id, GraphEdge::Kind::after, ""});
        }
        if (step.on_error.what == OnError::Do::go_to) {
            graph.edges.push_back({step.id, step.on_error.target, GraphEdge::Kind::jump, "error"});
        }
        for_each_block(step.action, [&](const std::string& label, const Block& inner) {
            add_block(graph, inner, step.id, label);
        });
    }
}

std::string_view edge_word(GraphEdge::Kind kind) {
    switch (kind) {
        case GraphEdge::Kind::after:
            return "after";
        case GraphEdge::Kind::inside:
            return "inside";
        case GraphEdge::Kind::jump:
            return "jump";
    }
    return "";
}

const std::string& label_of(const Step& step) {
    return step.title.empty() ? step.id : step.title;
}

std::string dot_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '\n') {
            out += "\\n";
            continue;
        }
        if (c == '"' || c == '\\') out += '\\';
        out += c;
    }
    return out + '"';
}

/// Mermaid reads entities in quoted labels and nothing else.
std::string mermaid_text(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"') {
            out += "#quot;";
        } else if (c == '#') {
            out += "#35;";
        } else {
            out += c == '\n' ? ' ' : c;
        }
    }
    return out + '"';
}

std::string_view dot_shape(std::string_view kind) {
    if (kind == "branch" || kind == "switch") return "diamond";
    if (kind == "human") return "house";
    if (kind == "wait") return "octagon";
    if (kind == "end") return "doublecircle";
    return "box";
}

void dot_nodes(const Graph& graph, const std::string& outer, int depth, std::string& out) {
    const std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
    for (const GraphNode& node : graph.nodes) {
        if (node.outer != outer) continue;
        const Step& step = *node.step;
        const std::string_view kind = kind_name(step.action);
        out += fmt::format("{}{} [shape={}, label={}];\n", indent, dot_text(step.id),
                           dot_shape(kind), dot_text(fmt::format("{}\n{}", label_of(step), kind)));
        const bool holds = std::ranges::count(graph.nodes, step.id, &GraphNode::outer) > 0;
        if (!holds) continue;
        out += fmt::format("{}subgraph {} {{\n{}  style=rounded; color=gray; label={};\n", indent,
                           dot_text("cluster_" + step.id), indent, dot_text(step.id));
        dot_nodes(graph, step.id, depth + 1, out);
        out += indent + "}\n";
    }
}

void mermaid_nodes(const Graph& graph, const std::string& outer, int depth, std::string& out) {
    const std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
    for (const GraphNode& node : graph.nodes) {
        if (node.outer != outer) continue;
        const Step& step = *node.step;
        const std::string_view kind = kind_name(step.action);
        const bool choice = kind == "branch" || kind == "switch";
        out += fmt::format("{}n_{}{}{}{}\n", indent, step.id, choice ? "{" : "[",
                           mermaid_text(fmt::format("{}: {}", kind, label_of(step))),
                           choice ? "}" : "]");
        const bool holds = std::ranges::count(graph.nodes, step.id, &GraphNode::outer) > 0;
        if (!holds) continue;
        out += fmt::format("{}subgraph g_{} [{}]\n", indent, step.id, mermaid_text(step.id));
        mermaid_nodes(graph, step.id, depth + 1, out);
        out += indent + "end\n";
    }
}

}  // namespace

std::string_view kind_name(const Action& action) {
    constexpr std::string_view kNames[] = {
        "llm",  "tool",   "code",  "http",     "memory",  "call", "worker", "human",
        "wait", "branch", "while", "parallel", "subflow", "emit", "set",    "end"};
    static_assert(std::size(kNames) == std::variant_size_v<Action>);
    if (const auto* choose = std::get_if<ChooseAction>(&action)) {
        return choose->subject ? "switch" : "branch";
    }
    if (const auto* loop = std::get_if<LoopAction>(&action)) {
        return loop->items ? "for_each" : "while";
    }
    return kNames[action.index()];
}

Graph graph_of(const Definition& definition) {
    Graph graph;
    add_block(graph, *definition.body, "", "");
    return graph;
}

json::object graph_json(const Definition& definition) {
    const Graph graph = graph_of(definition);
    json::array nodes, edges;
    for (const GraphNode& node : graph.nodes) {
        nodes.push_back({{"id", node.step->id},
                         {"kind", kind_name(node.step->action)},
                         {"title", label_of(*node.step)},
                         {"outer", node.outer},
                         {"arm", node.arm},
                         {"conditional", node.step->when.has_value()},
                         {"line", node.step->line}});
    }
    for (const GraphEdge& edge : graph.edges) {
        edges.push_back({{"from", edge.from},
                         {"to", edge.to},
                         {"kind", edge_word(edge.kind)},
                         {"label", edge.label}});
    }
    return {{"name", definition.name}, {"nodes", std::move(nodes)}, {"edges", std::move(edges)}};
}

std::string graph_dot(const Definition& definition) {
    const Graph graph = graph_of(definition);
    std::string out = fmt::format("digraph {} {{\n  node [fontname=\"sans-serif\"];\n",
                                  dot_text(definition.name));
    dot_nodes(graph, "", 1, out);
    for (const GraphEdge& edge : graph.edges) {
        std::string style;
        if (!edge.label.empty()) style += "label=" + dot_text(edge.label);
        if (edge.kind != GraphEdge::Kind::after) {
            style += fmt::format("{}style={}", style.empty() ? "" : ", ",
                                 edge.kind == GraphEdge::Kind::jump ? "dotted" : "dashed");
        }
        out += fmt::format("  {} -> {}{};\n", dot_text(edge.from), dot_text(edge.to),
                           style.empty() ? "" : " [" + style + "]");
    }
    return out + "}\n";
}

std::string graph_mermaid(const Definition& definition) {
    const Graph graph = graph_of(definition);
    std::string out = "flowchart TD\n";
    mermaid_nodes(graph, "", 1, out);
    for (const GraphEdge& edge : graph.edges) {
        const bool plain = edge.kind == GraphEdge::Kind::after;
        const std::string label =
            edge.label.empty() ? "" : fmt::format("|{}|", mermaid_text(edge.label));
        out += fmt::format("  n_{} {}{} n_{}\n", edge.from, plain ? "-->" : "-.->", label, edge.to);
    }
    return out;
}

}  // namespace flow
