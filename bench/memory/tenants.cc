#include <fmt/core.h>

#include <csignal>
#include <cstdlib>
#include <memory>

#include "corpus.h"
#include "memory/index/tenant_index.h"
#include "memory/text/analyzer.h"

namespace bench {
namespace {

using memory::index::Reader;

struct Times {
    Latencies select, keyword, vector, whole, wall;
};

memory::Filter narrow(base::Rng& rng, std::size_t entries) {
    using memory::MemoryType;
    memory::Filter filter;
    filter.types = {MemoryType::long_term, MemoryType::episodic, MemoryType::semantic};
    const auto from = static_cast<std::int64_t>(rng.below(entries / 2));
    filter.created = {1'700'000'000'000 + from * 60'000,
                      1'700'000'000'000 + (from + static_cast<std::int64_t>(entries) / 2) * 60'000};
    return filter;
}

void ask(memory::index::TenantIndex& index, const memory::Filter& filter, const std::string& text,
         const std::vector<float>& vector, Times& times) {
    const double wall = wall_seconds(), begin = cpu_seconds();
    const std::unique_ptr<Reader> reader = index.read();
    const auto selection = *reader->select(filter, 0);
    const double selected = cpu_seconds();
    memory::index::KeywordQuery query;
    for (const memory::text::Term& term : memory::text::analyze(text)) {
        if (!term.stop_word) query.terms.push_back({term.text, 1.f});
    }
    const auto by_words = reader->keyword(query, *selection, 50);
    const double keyword = cpu_seconds();
    const auto by_vector = *reader->vector(vector, *selection, 50, .99f);
    const double end = cpu_seconds();
    times.select.add(selected - begin);
    times.keyword.add(keyword - selected);
    times.vector.add(end - keyword);
    times.whole.add(end - begin);
    times.wall.add(wall_seconds() - wall);
}

void print(const char* name, Times& t) {
    fmt::print(
        ",\n  \"{}\": {{\"questions\": {}, \"cpu_ms\": {{\"p50\": {:.3f}, \"p99\": {:.3f}}}, "
        "\"wall_ms\": {{\"p50\": {:.3f}, \"p99\": {:.3f}}}, \"p50_ms\": {{\"select\": {:.4f}, "
        "\"keyword\": {:.4f}, \"vector\": {:.4f}}}}}",
        name, t.whole.seconds.size(), t.whole.ms(.5), t.whole.ms(.99), t.wall.ms(.5),
        t.wall.ms(.99), t.select.ms(.5), t.keyword.ms(.5), t.vector.ms(.5));
}

}  // namespace

void tenants(std::size_t tenants, std::size_t entries, std::size_t queries,
             const std::string& dir) {
    const Words words;
    const Vectors vectors;
    base::Rng rng(1);
    std::vector<std::unique_ptr<memory::index::TenantIndex>> indexes;
    const Resident before = resident();
    double apply_seconds = 0, counted = 0;
    for (std::size_t t = 0; t < tenants; ++t) {
        indexes.push_back(memory::index::TenantIndex::make(kDims, dir));
        for (std::size_t row = 0; row < entries;) {
            std::vector<memory::truth::Change> changes;
            for (; changes.size() < 500 && row < entries; ++row) {
                changes.push_back(entry(rng, words, vectors, static_cast<std::int64_t>(row + 1)));
            }
            const double begin = cpu_seconds();
            if (!indexes.back()->apply(changes)) std::abort();
            apply_seconds += cpu_seconds() - begin;
        }
        counted += static_cast<double>(indexes.back()->bytes());
    }
    const Resident built = resident();
    // With DG_BENCH_PAUSE set: stops here, so that a script can quiet the machine before asking.
    if (std::getenv("DG_BENCH_PAUSE") != nullptr) std::raise(SIGSTOP);
    const auto all = static_cast<double>(tenants * entries);
    Times first, open, filtered;
    for (std::size_t q = 0; q < queries; ++q) {
        for (auto& index : indexes) {
            const std::string text = words.text(rng, 5);
            const std::vector<float> vector = vectors.next(rng, rng.below(Vectors::kTopics));
            ask(*index, {}, text, vector, q == 0 ? first : open);
            ask(*index, narrow(rng, entries), words.text(rng, 5), vector, filtered);
        }
    }
    const Resident asked = resident();
    fmt::print(
        "{{\"mode\": \"tenants\", \"tenants\": {}, \"entries\": {},\n  \"bytes_per_entry\": "
        "{{\"own\": {:.1f}, \"counted\": {:.1f}, \"mapped_files_after_questions\": {:.1f}}},\n"
        "  \"entries_per_cpu_second\": {:.0f}",
        tenants, tenants * entries, (built.own - before.own) / all, counted / all,
        (asked.files - before.files) / all, all / apply_seconds);
    print("first_question", first);
    print("no_filter", open);
    print("filtered", filtered);
    fmt::print("}}\n");
}

}  // namespace bench
