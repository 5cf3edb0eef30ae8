// Walks over rows.h. What a walk must remember of nodes lives in a scratch as large as the graph
// that is cleaned by what was touched, so that a query pays for its own neighbourhood only.
#include "memory/graph/graph.h"

#include <algorithm>
#include <mutex>

#include "base/core/check.h"
#include "memory/graph/path_search.h"
#include "memory/graph/rows.h"

namespace memory::graph {
namespace {

/// Nodes of a row whose marks are asked for ahead of use: walks wait for memory, not for
/// arithmetic.
constexpr std::size_t kAhead = 8;

/// What a walk knows of a node; together, so that meeting a node costs one cache miss.
struct Mark {
    float residue = 0, score = 0;
    float strength = 0;
    bool met = false, queued = false;
};

struct Scratch {
    std::vector<Mark> marks;
    std::vector<Node> met, queue;

    void fit(Node nodes) {
        if (marks.size() < nodes) marks.resize(nodes);
    }
    void clean() {
        for (const Node node : met) marks[node] = {};
        met.clear();
        queue.clear();
    }
};

/// Scratches by number of readers at once; each goes back clean.
class ScratchPool {
public:
    std::unique_ptr<Scratch> take() {
        const std::lock_guard lock(mutex_);
        if (free_.empty()) return std::make_unique<Scratch>();
        auto last = std::move(free_.back());
        free_.pop_back();
        return last;
    }
    void give(std::unique_ptr<Scratch> scratch) {
        scratch->clean();
        const std::lock_guard lock(mutex_);
        if (free_.size() < kKept) free_.push_back(std::move(scratch));
    }
    std::uint64_t bytes() {
        const std::lock_guard lock(mutex_);
        std::uint64_t sum = 0;
        for (const auto& one : free_) sum += one->marks.capacity() * sizeof(Mark);
        return sum;
    }

private:
    static constexpr std::size_t kKept = 4;
    std::mutex mutex_;
    std::vector<std::unique_ptr<Scratch>> free_;
};

class CsrGraph final : public Graph {
public:
    void put(const Edge& edge) override {
        DG_CHECK(edge.predicate < 1u << 31, "predicates are numbered below 2^31");
        const bool fresh = rows_.put(edge.from, {edge.to, edge.weight}, edge.predicate << 1);
        if (edge.from != edge.to) {
            rows_.put(edge.to, {edge.from, edge.weight}, edge.predicate << 1 | 1);
        }
        edges_ += fresh;
    }

    void erase(const Edge& edge) override {
        const bool known = rows_.erase(edge.from, edge.to, edge.predicate << 1);
        if (known && edge.from != edge.to) {
            rows_.erase(edge.to, edge.from, edge.predicate << 1 | 1);
        }
        edges_ -= known;
    }

    std::vector<Reached> neighbours(Node start, std::uint32_t depth,
                                    std::uint32_t limit) const override {
        std::vector<Reached> out;
        if (start >= rows_.nodes()) return out;
        auto scratch = pool_.take();
        scratch->fit(rows_.nodes());
        std::vector<Node>& met = scratch->met;
        met.push_back(start);
        scratch->marks[start].met = true;
        std::size_t begin = 0;
        for (std::uint32_t d = 1; d <= depth && out.size() < limit && begin < met.size(); ++d) {
            const std::size_t end = met.size();
            for (std::size_t i = begin; i < end; ++i) {
                if (i + 2 < end) rows_.prefetch(met[i + 2]);
                for (const Link& link : rows_.links(met[i])) {
                    Mark& mark = scratch->marks[link.to];
                    if (mark.met) continue;
                    mark.met = true;
                    met.push_back(link.to);
                }
            }
            begin = end;
            std::sort(met.begin() + static_cast<std::ptrdiff_t>(begin), met.end());
            const std::size_t take = std::min<std::size_t>(met.size() - begin, limit - out.size());
            for (std::size_t i = 0; i < take; ++i) out.push_back({met[begin + i], d});
        }
        pool_.give(std::move(scratch));
        return out;
    }

    std::vector<std::vector<Edge>> paths(Node from, Node to, std::uint32_t length,
                                         std::uint32_t limit) const override {
        if (from >= rows_.nodes() || to >= rows_.nodes() || from == to || limit == 0) return {};
        return PathSearch(rows_, from, to, limit).run(length);
    }

    std::vector<Ranked> page_rank(std::span<const Ranked> seeds, float restart, float epsilon,
                                  std::uint32_t limit) const override {
        DG_CHECK(restart > 0 && restart <= 1 && epsilon > 0, "0 < restart <= 1, epsilon > 0");
        auto scratch = pool_.take();
        scratch->fit(rows_.nodes());
        seed(*scratch, seeds, epsilon);
        // First in, first out: residue gathers at a node before it is pushed on.
        std::vector<Node>& queue = scratch->queue;
        for (std::size_t i = 0; i < queue.size(); ++i) {
            if (i + 2 < queue.size()) rows_.prefetch(queue[i + 2]);
            push(*scratch, queue[i], restart, epsilon);
        }
        std::vector<Ranked> out;
        for (const Node node : scratch->met) {
            const float score = scratch->marks[node].score;
            if (score > 0) out.push_back({node, score});
        }
        pool_.give(std::move(scratch));
        const std::size_t keep = std::min<std::size_t>(out.size(), limit);
        std::partial_sort(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(keep), out.end(),
                          [](const Ranked& a, const Ranked& b) {
                              return a.score != b.score ? a.score > b.score : a.node < b.node;
                          });
        out.resize(keep);
        return out;
    }

    std::uint64_t edges() const override { return edges_; }
    std::uint64_t bytes() const override { return rows_.bytes() + pool_.bytes(); }

private:
    Mark& meet(Scratch& scratch, Node node) const {
        Mark& mark = scratch.marks[node];
        if (!mark.met) {
            mark.met = true;
            mark.strength = rows_.strength(node);
            scratch.met.push_back(node);
        }
        return mark;
    }

    void seed(Scratch& scratch, std::span<const Ranked> seeds, float epsilon) const {
        double sum = 0;
        for (const Ranked& one : seeds) {
            if (one.node < rows_.nodes() && one.score > 0) sum += static_cast<double>(one.score);
        }
        if (sum <= 0) return;
        for (const Ranked& one : seeds) {
            if (one.node >= rows_.nodes() || one.score <= 0) continue;
            Mark& mark = meet(scratch, one.node);
            mark.residue += static_cast<float>(static_cast<double>(one.score) / sum);
            enqueue(scratch, one.node, mark, epsilon);
        }
    }

    static void enqueue(Scratch& scratch, Node node, Mark& mark, float epsilon) {
        if (mark.queued || mark.residue < epsilon * mark.strength) return;
        mark.queued = true;
        scratch.queue.push_back(node);
    }

    void push(Scratch& scratch, Node node, float restart, float epsilon) const {
        Mark& from = scratch.marks[node];
        const float residue = from.residue, strength = from.strength;
        from.queued = false;
        from.residue = 0;
        if (strength <= 0) {  // linked to nothing: everything stays
            from.score += residue;
            return;
        }
        from.score += restart * residue;
        const float share = (1 - restart) * residue / strength;
        const std::span<const Link> links = rows_.links(node);
        for (std::size_t i = 0; i < links.size(); ++i) {
            if (i + kAhead < links.size()) {
                __builtin_prefetch(&scratch.marks[links[i + kAhead].to], 1);
            }
            Mark& mark = meet(scratch, links[i].to);
            mark.residue += share * links[i].weight;
            enqueue(scratch, links[i].to, mark, epsilon);
        }
    }

    Rows rows_;
    std::uint64_t edges_ = 0;
    mutable ScratchPool pool_;
};

}  // namespace

std::unique_ptr<Graph> Graph::make() {
    return std::make_unique<CsrGraph>();
}

}  // namespace memory::graph
