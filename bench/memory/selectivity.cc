#include <fmt/core.h>

#include <memory>
#include <numeric>

#include "corpus.h"
#include "memory/index/tenant_index.h"

namespace bench {
namespace {

using memory::index::Slot;

struct Run {
    std::string name;
    memory::Filter filter;
};

}  // namespace

void selectivity(std::size_t entries, std::size_t queries, const std::string& dir) {
    const Words words;
    const Vectors vectors;
    base::Rng rng(2);
    const auto index = memory::index::TenantIndex::make(kDims, dir);
    std::vector<float> exact, importance(entries);
    std::vector<std::string> users(entries);
    exact.reserve(entries * kDims);
    std::ranges::fill(importance, 0.f);
    const Resident before = resident();
    for (std::size_t row = 0; row < entries;) {
        std::vector<memory::truth::Change> changes;
        for (; changes.size() < 1000 && row < entries; ++row) {
            changes.push_back(entry(rng, words, vectors, static_cast<std::int64_t>(row + 1)));
            changes.back().entry.importance = importance[row] = static_cast<float>(rng.uniform());
            users[row] = changes.back().entry.scope.user;
            exact.insert(exact.end(), changes.back().embedding.begin(),
                         changes.back().embedding.end());
        }
        if (!index->apply(changes)) std::abort();
    }
    const double held =
        resident().own - before.own - static_cast<double>(exact.size() * sizeof(float));
    std::vector<Run> runs;
    for (const double share : {1., .5, .1, .01, .001, .0001, .00001}) {
        Run run{fmt::format("{:g} %", share * 100), {}};
        if (share < 1) run.filter.importance_min = static_cast<float>(1 - share);
        runs.push_back(run);
    }
    Run topic{"one user of 64", {}};
    topic.filter.scope.user = "user-7";
    runs.push_back(topic);
    fmt::print("{{\"mode\": \"selectivity\", \"entries\": {}, \"bytes_per_entry\": {:.1f}", entries,
               held / static_cast<double>(entries));
    for (const Run& run : runs) {
        Latencies select, vector;
        double found = 0, wanted = 0;
        std::string plan;
        std::uint64_t left = 0;
        for (std::size_t q = 0; q < queries; ++q) {
            const std::vector<float> query = vectors.next(rng, rng.below(Vectors::kTopics));
            const auto reader = index->read();
            const double begin = cpu_seconds();
            const auto selection = *reader->select(run.filter, 0);
            const double selected = cpu_seconds();
            const auto got = *reader->vector(query, *selection, 10, .99f);
            vector.add(cpu_seconds() - selected);
            select.add(selected - begin);
            plan = reader->plan();
            left = reader->count(*selection);
            // The truth: every survivor, in floats.
            std::vector<std::pair<float, Slot>> best;
            for (Slot slot = 0; slot < entries; ++slot) {  // rows came in order: slots are rows
                if (run.filter.importance_min && importance[slot] < *run.filter.importance_min) {
                    continue;
                }
                if (!run.filter.scope.user.empty() && users[slot] != run.filter.scope.user)
                    continue;
                const float* v = &exact[std::size_t{slot} * kDims];
                best.emplace_back(-std::inner_product(v, v + kDims, query.begin(), 0.f), slot);
            }
            const std::size_t k = std::min<std::size_t>(10, best.size());
            std::ranges::partial_sort(best, best.begin() + static_cast<std::ptrdiff_t>(k));
            best.resize(k);
            wanted += static_cast<double>(k);
            for (const auto& [score, slot] : best) {
                found += static_cast<double>(std::ranges::count_if(
                    got, [&, s = slot](const auto& g) { return g.slot == s; }));
            }
        }
        fmt::print(
            ",\n  \"{}\": {{\"survivors\": {}, \"recall@10\": {:.4f}, \"vector_ms\": {{\"p50\": "
            "{:.3f}, \"p99\": {:.3f}}}, \"select_ms_p50\": {:.3f}, \"plan\": \"{}\"}}",
            run.name, left, wanted == 0 ? 1. : found / wanted, vector.ms(.5), vector.ms(.99),
            select.ms(.5), plan);
        std::fflush(stdout);
    }
    fmt::print("}}\n");
}

}  // namespace bench
