#include "flow/definition/graph.h"

#include <gtest/gtest.h>

#include "flow/definition/compatibility.h"
#include "flow/definition/read_definition.h"

namespace flow {
namespace {

namespace json = base::json;

std::shared_ptr<const Definition> read(const std::string& steps) {
    auto made = read_definition("name: f\nsteps:\n" + steps, "f.yaml");
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return made ? *made : nullptr;
}

const char* const kSteps =
    "  - {id: a, tool: t, title: 'Say \"hi\"'}\n"
    "  - id: b\n"
    "    branch: {if: 1, then: [{id: c, tool: t}, {id: d, tool: t}], else: [{id: e, tool: t}]}\n"
    "  - {id: f, tool: t, on_error: {goto: a}}\n";

TEST(Graph, HasAnEdgeForEveryWay) {
    const auto made = read(kSteps);
    std::vector<std::string> edges;
    for (const GraphEdge& edge : graph_of(*made).edges) {
        edges.push_back(edge.from +
                        (edge.kind == GraphEdge::Kind::after    ? ">"
                         : edge.kind == GraphEdge::Kind::inside ? "[" + edge.label + "]"
                                                                : "!") +
                        edge.to);
    }
    EXPECT_EQ(edges,
              (std::vector<std::string>{"a>b", "b[then]c", "c>d", "b[else]e", "b>f", "f!a"}));
    const json::object drawn = graph_json(*made);
    EXPECT_EQ(drawn.at("nodes").as_array().size(), 6u);
    EXPECT_EQ(drawn.at("nodes").at(1).at("kind"), "branch");
    EXPECT_EQ(drawn.at("nodes").at(2).at("arm"), "then");
}

TEST(Graph, TextsAreQuotedAsTheirReadersNeed) {
    const auto made = read(kSteps);
    EXPECT_NE(graph_dot(*made).find(R"(label="Say \"hi\"\ntool")"), std::string::npos)
        << graph_dot(*made);
    EXPECT_NE(graph_mermaid(*made).find(R"(n_a["tool: Say #quot;hi#quot;"])"), std::string::npos)
        << graph_mermaid(*made);
    EXPECT_NE(graph_mermaid(*made).find("n_b -.->|\"then\"| n_c"), std::string::npos);
}

std::vector<std::string> findings(const std::string& from, const std::string& to,
                                  const std::optional<RunPosition>& at = std::nullopt) {
    std::vector<std::string> out;
    for (const Finding& finding : compatibility(*read(from), *read(to), at)) {
        EXPECT_FALSE(finding.message.empty());
        out.push_back((finding.weight == Finding::Weight::blocks ? "!" : "") + finding.step);
    }
    return out;
}

using List = std::vector<std::string>;

TEST(Compatibility, TheSameIsFine) {
    EXPECT_EQ(findings(kSteps, kSteps), List{});
    EXPECT_TRUE(may_move({}));
}

TEST(Compatibility, WhatIsGoneOrBecameElseBlocksWhoIsInIt) {
    const std::string old = "  - {id: a, tool: t}\n  - {id: b, wait: {signal: s}}\n";
    const std::string gone = "  - {id: a, tool: t}\n";
    EXPECT_EQ(findings(old, gone), List{"!b"});
    EXPECT_EQ(findings(old, gone, RunPosition{{"a"}, {"b"}}), List{"!b"});
    EXPECT_EQ(findings(old, gone, RunPosition{{"a", "b"}, {}}), List{"b"});
    EXPECT_EQ(findings(old, gone, RunPosition{{}, {"a"}}), List{});
    EXPECT_EQ(findings(old, "  - {id: a, tool: t}\n  - {id: b, tool: t}\n", RunPosition{{}, {"b"}}),
              List{"!b"});
    EXPECT_EQ(findings(old, "  - {id: a, tool: t}\n  - {id: b, wait: {signal: z}}\n"), List{"!b"});
}

TEST(Compatibility, WhatHasBegunMustNotWaitForWhatHasNot) {
    const std::string ab = "  - {id: a, tool: t}\n  - {id: b, tool: t}\n";
    const std::string ba = "  - {id: b, tool: t}\n  - {id: a, tool: t}\n";
    EXPECT_EQ(findings(ab, ba), List{"!a"});
    EXPECT_EQ(findings(ab, ba, RunPosition{{}, {"a"}}), List{"!a"});
    EXPECT_EQ(findings(ab, ba, RunPosition{{"a", "b"}, {}}), List{});
    const std::string axb = "  - {id: a, tool: t}\n  - {id: x, tool: t}\n  - {id: b, tool: t}\n";
    EXPECT_EQ(findings(ab, axb), List{"x"});
    EXPECT_EQ(findings(ab, axb, RunPosition{{}, {"a"}}), List{});
}

TEST(Compatibility, ArmsAndHomesStay) {
    const std::string without =
        "  - {id: a, tool: t}\n  - id: b\n    branch: {if: 1, then: [{id: c, "
        "tool: t}, {id: d, tool: t}]}\n  - {id: f, tool: t}\n";
    EXPECT_EQ(findings(kSteps, without), (List{"!b", "!e"}));
    EXPECT_EQ(findings(kSteps, without, RunPosition{{"a", "b", "c", "d"}, {"f"}}), List{});
    const std::string moved =
        "  - {id: a, tool: t}\n  - id: b\n    branch: {if: 1, then: [{id: c, "
        "tool: t}], else: [{id: e, tool: t}, {id: d, tool: t}]}\n  - {id: f, "
        "tool: t}\n";
    EXPECT_EQ(findings(kSteps, moved, RunPosition{{"a", "c"}, {"b", "d"}}),
              (List{"!d", "!d"}));  // it moved, and waits for what was never run
}

}  // namespace
}  // namespace flow
