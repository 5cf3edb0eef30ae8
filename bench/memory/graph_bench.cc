// A17: walks over a million triples, against recursive SQL over covering indexes of the same
// triples.
//   bench_memory_graph [triples=1000000]      prints JSON; times are thread CPU time
#include <fmt/format.h>
#include <sqlite3.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/core/check.h"
#include "base/core/rng.h"
#include "memory/graph/graph.h"

namespace {

using memory::graph::Edge;
using memory::graph::Graph;
using memory::graph::Node;
using memory::graph::Ranked;

constexpr int kQueries = 200;

double thread_ms() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

struct Times {
    double p50 = 0, p95 = 0;
    double found = 0;  ///< mean size of an answer
};

Times time_each(const std::vector<Node>& starts, const std::function<std::size_t(Node)>& ask) {
    std::vector<double> took;
    double found = 0;
    for (const Node start : starts) ask(start);  // warm
    for (const Node start : starts) {
        const double begin = thread_ms();
        found += static_cast<double>(ask(start));
        took.push_back(thread_ms() - begin);
    }
    std::sort(took.begin(), took.end());
    return {took[took.size() / 2], took[took.size() * 95 / 100],
            found / static_cast<double>(starts.size())};
}

void print(const char* name, const Times& times, bool last = false) {
    fmt::print(" \"{}\": {{\"p50_ms\": {:.4f}, \"p95_ms\": {:.4f}, \"answer\": {:.0f}}}{}\n", name,
               times.p50, times.p95, times.found, last ? "" : ",");
}

/// Subjects as skewed as people are known (cubed), objects uniform.
std::vector<Edge> make_edges(std::size_t triples) {
    base::Rng rng(9);
    const auto entities = static_cast<Node>(triples / 5);
    std::vector<Edge> edges;
    for (std::size_t i = 0; i < triples; ++i) {
        const double u = rng.uniform();
        edges.push_back({static_cast<Node>(entities * u * u * u),
                         static_cast<Node>(rng.below(entities)),
                         static_cast<std::uint32_t>(rng.below(200)), .9f});
    }
    return edges;
}

class Sql {
public:
    explicit Sql(const std::vector<Edge>& edges) {
        DG_CHECK(sqlite3_open(":memory:", &db_) == SQLITE_OK);
        run("CREATE TABLE t(s INT, p INT, o INT, w REAL); BEGIN");
        sqlite3_stmt* insert = prepare("INSERT INTO t VALUES (?1, ?2, ?3, ?4)");
        for (const Edge& edge : edges) {
            sqlite3_bind_int64(insert, 1, edge.from);
            sqlite3_bind_int64(insert, 2, edge.predicate);
            sqlite3_bind_int64(insert, 3, edge.to);
            sqlite3_bind_double(insert, 4, static_cast<double>(edge.weight));
            sqlite3_step(insert);
            sqlite3_reset(insert);
        }
        sqlite3_finalize(insert);
        run("COMMIT; CREATE INDEX ts ON t(s, o); CREATE INDEX ob ON t(o, s)");
        ask_ = prepare(
            "WITH RECURSIVE n(x, d) AS (VALUES (?1, 0)"
            " UNION SELECT t.o, n.d + 1 FROM n JOIN t ON t.s = n.x WHERE n.d < ?2"
            " UNION SELECT t.s, n.d + 1 FROM n JOIN t ON t.o = n.x WHERE n.d < ?2)"
            " SELECT x, min(d) FROM n GROUP BY x");
    }
    ~Sql() {
        sqlite3_finalize(ask_);
        sqlite3_close(db_);
    }
    std::size_t neighbours(Node start, int depth) {
        sqlite3_bind_int64(ask_, 1, start);
        sqlite3_bind_int(ask_, 2, depth);
        std::size_t rows = 0;
        while (sqlite3_step(ask_) == SQLITE_ROW) ++rows;
        sqlite3_reset(ask_);
        return rows - 1;  // itself
    }

private:
    void run(const char* sql) { DG_CHECK(sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == 0); }
    sqlite3_stmt* prepare(const char* sql) {
        sqlite3_stmt* made = nullptr;
        DG_CHECK(sqlite3_prepare_v2(db_, sql, -1, &made, nullptr) == SQLITE_OK);
        return made;
    }
    sqlite3* db_ = nullptr;
    sqlite3_stmt* ask_ = nullptr;
};

}  // namespace

int main(int argc, char** argv) {
    const std::size_t triples = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1'000'000;
    const std::vector<Edge> edges = make_edges(triples);
    const auto graph = Graph::make();
    double begin = thread_ms();
    for (const Edge& edge : edges) graph->put(edge);
    const double load_ms = thread_ms() - begin;
    base::Rng rng(3);
    std::vector<Node> starts;
    for (int i = 0; i < kQueries; ++i) starts.push_back(static_cast<Node>(rng.below(triples / 5)));

    fmt::print("{{\n \"command\": \"bench_memory_graph {}\",\n \"triples\": {},\n", triples,
               graph->edges());
    fmt::print(" \"puts_per_s\": {:.0f},\n \"bytes_per_triple\": {:.1f},\n",
               static_cast<double>(triples) / load_ms * 1e3,
               static_cast<double>(graph->bytes()) / static_cast<double>(graph->edges()));
    for (const int depth : {1, 2, 3}) {
        const auto name = fmt::format("neighbours_depth_{}", depth);
        print(
            name.c_str(), time_each(starts, [&](Node start) {
                return graph->neighbours(start, static_cast<std::uint32_t>(depth), 1u << 31).size();
            }));
    }
    for (const auto& [name, epsilon] : {std::pair("page_rank_1e-4", 1e-4f),
                                        {"page_rank_1e-5", 1e-5f},
                                        {"page_rank_1e-6", 1e-6f}}) {
        print(name, time_each(starts, [&](Node start) {
                  const Ranked seeds[] = {{start, 1.f}};
                  return graph->page_rank(seeds, .5f, epsilon, 100).size();
              }));
    }
    begin = thread_ms();
    for (std::size_t i = 0; i < 10'000; ++i) {
        graph->erase(edges[i]);
        graph->put(edges[i]);
    }
    fmt::print(" \"change_us\": {:.3f},\n", (thread_ms() - begin) / 20'000 * 1e3);
    Sql sql(edges);
    print("sqlite_depth_1", time_each(starts, [&](Node s) { return sql.neighbours(s, 1); }));
    print("sqlite_depth_2", time_each(starts, [&](Node s) { return sql.neighbours(s, 2); }), true);
    fmt::print("}}\n");
    return 0;
}
