// Walks against the plainest way to compute the same, over random graphs that change.
#include "memory/graph/graph.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "support/seeds.h"

namespace memory::graph {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr float kRestart = .5f;

/// Edges in a map and every question answered by brute force.
class NaiveGraph {
public:
    void put(const Edge& e) {
        auto [at, fresh] = edges_.try_emplace({e.from, e.to, e.predicate}, e.weight);
        if (!fresh) at->second = std::max(at->second, e.weight);
    }
    void erase(const Edge& e) { edges_.erase({e.from, e.to, e.predicate}); }
    std::size_t size() const { return edges_.size(); }

    struct Step {
        Node to;
        Predicate predicate;
        bool against;
        Edge edge;
    };
    /// By node, predicate, direction.
    std::vector<Step> steps(Node at) const {
        std::vector<Step> out;
        for (const auto& [key, weight] : edges_) {
            const auto [from, to, predicate] = key;
            const Edge edge{from, to, predicate, weight};
            if (from == at) out.push_back({to, predicate, false, edge});
            if (to == at && from != to) out.push_back({from, predicate, true, edge});
        }
        std::ranges::sort(out, [](const Step& a, const Step& b) {
            return std::tuple(a.to, a.predicate, a.against) <
                   std::tuple(b.to, b.predicate, b.against);
        });
        return out;
    }

    std::vector<Reached> neighbours(Node start, std::uint32_t depth, std::size_t limit) const {
        std::map<Node, std::uint32_t> found = {{start, 0}};
        for (std::uint32_t d = 1; d <= depth; ++d) {
            const auto before = found;
            for (const auto& [node, at] : before) {
                for (const Step& step : steps(node)) found.try_emplace(step.to, d);
            }
        }
        std::vector<Reached> out;
        for (const auto& [node, d] : found) {
            if (node != start) out.push_back({node, d});
        }
        std::ranges::stable_sort(out, {}, &Reached::depth);
        if (out.size() > limit) out.resize(limit);
        return out;
    }

    void walk(Node at, Node to, std::uint32_t left, std::vector<Node>& seen,
              std::vector<Edge>& path, std::vector<std::vector<Edge>>& out) const {
        if (at == to) {
            if (left == 0) out.push_back(path);
            return;
        }
        if (left == 0) return;
        for (const Step& step : steps(at)) {
            if (std::ranges::find(seen, step.to) != seen.end()) continue;
            seen.push_back(step.to);
            path.push_back(step.edge);
            walk(step.to, to, left - 1, seen, path, out);
            seen.pop_back();
            path.pop_back();
        }
    }
    std::vector<std::vector<Edge>> paths(Node from, Node to, std::uint32_t length,
                                         std::size_t limit) const {
        std::vector<std::vector<Edge>> out;
        for (std::uint32_t exact = 1; exact <= length; ++exact) {
            std::vector<Node> seen = {from};
            std::vector<Edge> path;
            if (from != to) walk(from, to, exact, seen, path, out);
        }
        if (out.size() > limit) out.resize(limit);
        return out;
    }

    double strength(Node node) const {
        double sum = 0;
        for (const Step& step : steps(node)) sum += static_cast<double>(step.edge.weight);
        return sum;
    }

    /// Power iteration to convergence.
    std::vector<double> page_rank(const std::vector<double>& seeds) const {
        const std::size_t n = seeds.size();
        std::vector<std::vector<Step>> all;
        std::vector<double> strengths, walking = seeds, score(n, 0);
        for (Node i = 0; i < n; ++i) {
            all.push_back(steps(i));
            strengths.push_back(strength(i));
        }
        for (int round = 0; round < 60; ++round) {
            std::vector<double> next(n, 0);
            for (Node i = 0; i < n; ++i) {
                const bool alone = strengths[i] == 0;
                score[i] += alone ? walking[i] : static_cast<double>(kRestart) * walking[i];
                for (const Step& step : all[i]) {
                    next[step.to] += (1 - static_cast<double>(kRestart)) * walking[i] *
                                     static_cast<double>(step.edge.weight) / strengths[i];
                }
            }
            walking = next;
        }
        return score;
    }

private:
    std::map<std::tuple<Node, Node, Predicate>, float> edges_;
};

struct Both {
    std::unique_ptr<Graph> graph = Graph::make();
    NaiveGraph naive;
    Node nodes = 0;

    void change(base::Rng& rng) {
        const Edge edge{static_cast<Node>(rng.below(nodes)), static_cast<Node>(rng.below(nodes)),
                        static_cast<Predicate>(rng.below(3)),
                        static_cast<float>(1 + rng.below(8)) / 8.f};
        if (rng.below(4) == 0) {
            graph->erase(edge);
            naive.erase(edge);
        } else {
            graph->put(edge);
            naive.put(edge);
        }
    }
};

Both random_graph(base::Rng& rng) {
    Both both;
    both.nodes = static_cast<Node>(2 + rng.below(20));
    for (std::uint64_t i = rng.below(60); i > 0; --i) both.change(rng);
    return both;
}

TEST(Graph, AnEdgePutTwiceIsOneWithTheGreaterWeight) {
    const auto graph = Graph::make();
    graph->put({1, 2, 7, .25f});
    graph->put({1, 2, 7, .75f});
    graph->put({1, 2, 7, .5f});
    EXPECT_EQ(graph->edges(), 1u);
    EXPECT_THAT(graph->paths(1, 2, 1, 10), ElementsAre(ElementsAre(Edge{1, 2, 7, .75f})));
    graph->erase({1, 2, 7});
    graph->erase({1, 2, 7});
    graph->erase({8, 9, 7});
    EXPECT_EQ(graph->edges(), 0u);
    EXPECT_THAT(graph->neighbours(1, 3, 10), IsEmpty());
}

TEST(Graph, KnowsNothingOfNodesItNeverSaw) {
    const auto graph = Graph::make();
    EXPECT_THAT(graph->neighbours(5, 2, 10), IsEmpty());
    EXPECT_THAT(graph->paths(5, 6, 2, 10), IsEmpty());
    const Ranked seeds[] = {{5, 1.f}};
    EXPECT_THAT(graph->page_rank(seeds, kRestart, 1e-4f, 10), IsEmpty());
}

TEST(GraphProperty, NeighboursAreThoseOfBruteForce) {
    test::for_each_seed(300, [](base::Rng& rng) {
        const Both both = random_graph(rng);
        ASSERT_EQ(both.graph->edges(), both.naive.size());
        for (Node start = 0; start < both.nodes; ++start) {
            const auto depth = static_cast<std::uint32_t>(rng.below(5));
            const auto limit = static_cast<std::uint32_t>(rng.below(25));
            ASSERT_EQ(both.graph->neighbours(start, depth, limit),
                      both.naive.neighbours(start, depth, limit));
        }
    });
}

TEST(GraphProperty, PathsAreThoseOfBruteForceInTheSameOrder) {
    test::for_each_seed(200, [](base::Rng& rng) {
        const Both both = random_graph(rng);
        for (int i = 0; i < 8; ++i) {
            const auto from = static_cast<Node>(rng.below(both.nodes));
            const auto to = static_cast<Node>(rng.below(both.nodes));
            const auto length = static_cast<std::uint32_t>(1 + rng.below(4));
            const auto limit = static_cast<std::uint32_t>(1 + rng.below(40));
            ASSERT_EQ(both.graph->paths(from, to, length, limit),
                      both.naive.paths(from, to, length, limit));
        }
    });
}

TEST(GraphProperty, PageRankIsWithinItsBoundOfPowerIteration) {
    test::for_each_seed(200, [](base::Rng& rng) {
        const Both both = random_graph(rng);
        std::vector<double> seeds(both.nodes, 0);
        std::vector<Ranked> given;
        for (std::uint64_t i = 1 + rng.below(3); i > 0; --i) {
            const auto node = static_cast<Node>(rng.below(both.nodes));
            given.push_back({node, static_cast<float>(1 + rng.below(4))});
        }
        // Seeds past the last node that has ever had an edge are not in the graph.
        Node known = 0;
        for (Node node = 0; node < both.nodes; ++node) {
            if (!both.naive.steps(node).empty()) known = node + 1;
        }
        std::erase_if(given, [&](const Ranked& one) { return one.node >= known; });
        if (given.empty()) return;
        double sum = 0;
        for (const Ranked& one : given) sum += static_cast<double>(one.score);
        for (const Ranked& one : given) seeds[one.node] += static_cast<double>(one.score) / sum;
        const float epsilon = rng.below(2) == 0 ? 1e-3f : 1e-5f;
        const auto exact = both.naive.page_rank(seeds);
        std::vector<double> got(both.nodes, 0);
        float before = 2;
        for (const Ranked& one : both.graph->page_rank(given, kRestart, epsilon, 1000)) {
            ASSERT_LE(one.score, before);
            before = one.score;
            got[one.node] = static_cast<double>(one.score);
        }
        for (Node node = 0; node < both.nodes; ++node) {
            const double bound = static_cast<double>(epsilon) * both.naive.strength(node);
            ASSERT_LE(got[node], exact[node] + 1e-6) << node;
            ASSERT_GE(got[node], exact[node] - bound - 1e-6) << node;
        }
    });
}

TEST(GraphProperty, MergesChangeNothing) {
    // Enough changes for several merges; the naive side answers from the edges alone.
    base::Rng rng(7);
    Both both;
    both.nodes = 4'000;
    for (int i = 0; i < 60'000; ++i) both.change(rng);
    ASSERT_EQ(both.graph->edges(), both.naive.size());
    for (int i = 0; i < 20; ++i) {
        const auto start = static_cast<Node>(rng.below(both.nodes));
        std::set<Node> expected;
        for (const auto& step : both.naive.steps(start)) expected.insert(step.to);
        expected.erase(start);
        std::set<Node> got;
        for (const Reached& one : both.graph->neighbours(start, 1, 100'000)) got.insert(one.node);
        ASSERT_EQ(got, expected);
    }
}

TEST(Graph, ReadersDoNotDisturbEachOther) {
    base::Rng rng(11);
    Both both;
    both.nodes = 300;
    for (int i = 0; i < 2'000; ++i) both.change(rng);
    std::vector<std::vector<Reached>> expected;
    for (Node node = 0; node < both.nodes; ++node) {
        expected.push_back(both.graph->neighbours(node, 2, 1'000));
    }
    std::vector<std::thread> readers;
    std::vector<int> wrong(4, 0);
    for (int reader = 0; reader < 4; ++reader) {
        readers.emplace_back([&, reader] {
            for (Node node = 0; node < both.nodes; ++node) {
                const Ranked seeds[] = {{node, 1.f}};
                (void)both.graph->page_rank(seeds, kRestart, 1e-4f, 10);
                wrong[static_cast<std::size_t>(reader)] +=
                    both.graph->neighbours(node, 2, 1'000) != expected[node];
            }
        });
    }
    for (std::thread& reader : readers) reader.join();
    EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

TEST(Graph, AHopelessSearchForPathsEnds) {
    // A clique beside the goal: many ways, none of which may be walked to the end.
    const auto graph = Graph::make();
    for (Node a = 0; a < 40; ++a) {
        for (Node b = a + 1; b < 40; ++b) graph->put({a, b, 0});
    }
    graph->put({39, 40, 0});
    EXPECT_EQ(graph->paths(0, 40, 12, 1'000).size(), 1'000u);
    EXPECT_THAT(graph->paths(0, 40, 1, 10), IsEmpty());
}

}  // namespace
}  // namespace memory::graph
