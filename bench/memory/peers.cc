// The same entries in what people use today. Built with each peer that is installed.
#include <fmt/core.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>

#include "corpus.h"
#include "memory/index/tenant_index.h"

#ifdef DG_HAVE_HNSWLIB
#include <hnswlib/hnswlib.h>
#endif
#ifdef DG_HAVE_FAISS
#include <faiss/IndexIVF.h>
#include <faiss/index_factory.h>
#endif
#ifdef DG_HAVE_XAPIAN
#include <xapian.h>
#endif
#include <sqlite3.h>

namespace bench {
namespace {

struct Corpus {
    std::vector<std::string> texts;
    std::vector<float> vectors, importance;
    std::vector<std::vector<float>> asked;
    std::vector<std::vector<std::string>> questions;
};

using Ids = std::vector<std::uint32_t>;

/// The ten nearest of those important enough, for each question.
std::vector<Ids> exact(const Corpus& corpus, float least) {
    std::vector<Ids> truth;
    for (const auto& query : corpus.asked) {
        std::vector<std::pair<float, std::uint32_t>> all;
        for (std::uint32_t i = 0; i < corpus.texts.size(); ++i) {
            if (corpus.importance[i] < least) continue;
            const float* v = &corpus.vectors[std::size_t{i} * kDims];
            all.emplace_back(-std::inner_product(v, v + kDims, query.begin(), 0.f), i);
        }
        const std::size_t k = std::min<std::size_t>(10, all.size());
        std::ranges::partial_sort(all, all.begin() + static_cast<std::ptrdiff_t>(k));
        Ids ids;
        for (std::size_t i = 0; i < k; ++i) ids.push_back(all[i].second);
        truth.push_back(ids);
    }
    return truth;
}

void print_recall(const std::string& name, const Corpus& corpus, const std::vector<Ids>& truth,
                  const std::function<Ids(const std::vector<float>&)>& search) {
    Latencies times;
    double found = 0, wanted = 0;
    for (std::size_t q = 0; q < corpus.asked.size(); ++q) {
        const double begin = cpu_seconds();
        const Ids got = search(corpus.asked[q]);
        times.add(cpu_seconds() - begin);
        wanted += static_cast<double>(truth[q].size());
        for (const std::uint32_t id : truth[q]) {
            found += static_cast<double>(std::ranges::count(got, id));
        }
    }
    fmt::print(",\n  \"{}\": {{\"recall@10\": {:.4f}, \"p50_ms\": {:.3f}, \"p99_ms\": {:.3f}}}",
               name, wanted == 0 ? 1. : found / wanted, times.ms(.5), times.ms(.99));
    std::fflush(stdout);
}

void print_times(const std::string& name, const Corpus& corpus,
                 const std::function<void(const std::vector<std::string>&)>& search) {
    Latencies times;
    for (const auto& words : corpus.questions) {
        const double begin = cpu_seconds();
        search(words);
        times.add(cpu_seconds() - begin);
    }
    fmt::print(",\n  \"{}\": {{\"p50_ms\": {:.3f}, \"p99_ms\": {:.3f}}}", name, times.ms(.5),
               times.ms(.99));
    std::fflush(stdout);
}

constexpr double kShares[] = {1., .1, .01, .001};

float least_of(double share) {
    return share < 1 ? static_cast<float>(1 - share) : 0.f;
}

void print_built(const char* name, double began, double own) {
    fmt::print(",\n  \"{} built\": {{\"cpu_s\": {:.2f}, \"bytes_per_entry\": {:.0f}}}", name,
               seconds(CLOCK_PROCESS_CPUTIME_ID) - began, own);
}

void ours(const Corpus& corpus, const std::vector<std::vector<Ids>>& truths,
          const std::string& dir) {
    const double began = seconds(CLOCK_PROCESS_CPUTIME_ID), before = resident().own;
    const auto index = memory::index::TenantIndex::make(kDims, dir);
    const std::size_t n = corpus.texts.size();
    for (std::size_t row = 0; row < n;) {
        std::vector<memory::truth::Change> changes;
        for (; changes.size() < 1000 && row < n; ++row) {
            memory::truth::Change change;
            change.row = change.sequence = static_cast<std::int64_t>(row) + 1;
            change.entry.content = corpus.texts[row];
            change.entry.importance = corpus.importance[row];
            change.embedding.assign(
                corpus.vectors.begin() + static_cast<std::ptrdiff_t>(row * kDims),
                corpus.vectors.begin() + static_cast<std::ptrdiff_t>((row + 1) * kDims));
            changes.push_back(std::move(change));
        }
        if (!index->apply(changes)) std::abort();
    }
    print_built("dougong, words and vectors", began,
                (resident().own - before) / static_cast<double>(n));
    for (std::size_t s = 0; s < std::size(kShares); ++s) {
        memory::Filter filter;
        if (kShares[s] < 1) filter.importance_min = least_of(kShares[s]);
        print_recall(fmt::format("dougong vectors, filter keeps {:g} %", kShares[s] * 100), corpus,
                     truths[s], [&](const std::vector<float>& query) {
                         const auto reader = index->read();
                         const auto selection = *reader->select(filter, 0);
                         Ids ids;
                         const auto hits = *reader->vector(query, *selection, 10, .99f);
                         for (const auto& hit : hits) {
                             ids.push_back(hit.slot);
                         }
                         return ids;
                     });
    }
    print_times("dougong words", corpus, [&](const std::vector<std::string>& words) {
        const auto reader = index->read();
        const auto selection = *reader->select({}, 0);
        memory::index::KeywordQuery query;
        for (const std::string& word : words) query.terms.push_back({word, 1.f});
        reader->keyword(query, *selection, 10);
    });
}

#ifdef DG_HAVE_HNSWLIB
void hnsw(const Corpus& corpus, const std::vector<std::vector<Ids>>& truths) {
    const double began = seconds(CLOCK_PROCESS_CPUTIME_ID), before = resident().own;
    const std::size_t n = corpus.texts.size();
    hnswlib::InnerProductSpace space(kDims);
    hnswlib::HierarchicalNSW<float> index(&space, n, 16, 200);
    for (std::size_t i = 0; i < n; ++i) index.addPoint(&corpus.vectors[i * kDims], i);
    print_built("hnswlib M 16 efC 200, vectors", began,
                (resident().own - before) / static_cast<double>(n));
    for (std::size_t s = 0; s < std::size(kShares); ++s) {
        for (const std::size_t over : {1, 4}) {
            // Without filters inside: asks for so many more that ten are left.
            const std::size_t k =
                std::min(n, static_cast<std::size_t>(10. * static_cast<double>(over) / kShares[s]));
            const float least = least_of(kShares[s]);
            index.setEf(std::max<std::size_t>(k, 48));
            print_recall(
                fmt::format("hnswlib, filter keeps {:g} %, {}k/s fetched", kShares[s] * 100, over),
                corpus, truths[s], [&](const std::vector<float>& query) {
                    auto found = index.searchKnn(query.data(), k);
                    Ids ids;
                    for (; !found.empty(); found.pop()) {
                        const auto id = static_cast<std::uint32_t>(found.top().second);
                        if (corpus.importance[id] >= least) ids.push_back(id);
                    }
                    std::ranges::reverse(ids);
                    ids.resize(std::min<std::size_t>(10, ids.size()));
                    return ids;
                });
        }
    }
}
#endif

#ifdef DG_HAVE_FAISS
void faiss_ivf(const Corpus& corpus, const std::vector<std::vector<Ids>>& truths) {
    const double began = seconds(CLOCK_PROCESS_CPUTIME_ID), before = resident().own;
    const auto n = static_cast<faiss::Index::idx_t>(corpus.texts.size());
    const std::unique_ptr<faiss::Index> index(
        faiss::index_factory(kDims, "IVF512,SQ8", faiss::METRIC_INNER_PRODUCT));
    index->train(n, corpus.vectors.data());
    index->add(n, corpus.vectors.data());
    print_built("faiss IVF512,SQ8, vectors", began,
                (resident().own - before) / static_cast<double>(n));
    for (const std::size_t probes : {8, 16, 32}) {
        dynamic_cast<faiss::IndexIVF&>(*index).nprobe = probes;
        print_recall(fmt::format("faiss IVF512,SQ8, {} probes", probes), corpus, truths[0],
                     [&](const std::vector<float>& query) {
                         std::vector<float> scores(10);
                         std::vector<faiss::Index::idx_t> found(10);
                         index->search(1, query.data(), 10, scores.data(), found.data());
                         Ids ids;
                         for (const auto id : found) ids.push_back(static_cast<std::uint32_t>(id));
                         return ids;
                     });
    }
}
#endif

#ifdef DG_HAVE_XAPIAN
void xapian(const Corpus& corpus, const std::string& dir) {
    const std::string path = dir + "/bench-xapian";
    const double began = seconds(CLOCK_PROCESS_CPUTIME_ID);
    {
        Xapian::WritableDatabase database(path, Xapian::DB_CREATE_OR_OVERWRITE);
        Xapian::TermGenerator generator;
        for (const std::string& text : corpus.texts) {
            Xapian::Document document;
            generator.set_document(document);
            generator.index_text_without_positions(text);
            database.add_document(document);
        }
        database.commit();
    }
    print_built("Xapian, words", began, 0);
    Xapian::Database database(path);
    print_times("Xapian words", corpus, [&](const std::vector<std::string>& words) {
        Xapian::Enquire enquire(database);
        enquire.set_weighting_scheme(Xapian::BM25Weight());
        enquire.set_query(Xapian::Query(Xapian::Query::OP_OR, words.begin(), words.end()));
        enquire.get_mset(0, 10);
    });
    std::filesystem::remove_all(path);
}
#endif

void fts5(const Corpus& corpus) {
    const double began = seconds(CLOCK_PROCESS_CPUTIME_ID), before = resident().own;
    sqlite3* db = nullptr;
    sqlite3_open(":memory:", &db);
    sqlite3_exec(db, "CREATE VIRTUAL TABLE t USING fts5(x, content='')", nullptr, nullptr, nullptr);
    sqlite3_exec(db, "BEGIN", nullptr, nullptr, nullptr);
    sqlite3_stmt* insert = nullptr;
    sqlite3_prepare_v2(db, "INSERT INTO t(rowid, x) VALUES (?, ?)", -1, &insert, nullptr);
    for (std::size_t i = 0; i < corpus.texts.size(); ++i) {
        sqlite3_bind_int64(insert, 1, static_cast<std::int64_t>(i) + 1);
        sqlite3_bind_text(insert, 2, corpus.texts[i].c_str(), -1, SQLITE_STATIC);
        sqlite3_step(insert);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr);
    print_built("SQLite FTS5 in memory, words", began,
                (resident().own - before) / static_cast<double>(corpus.texts.size()));
    sqlite3_stmt* find = nullptr;
    sqlite3_prepare_v2(db, "SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank LIMIT 10", -1, &find,
                       nullptr);
    print_times("SQLite FTS5 words", corpus, [&](const std::vector<std::string>& words) {
        std::string query;
        for (const std::string& word : words) query += (query.empty() ? "" : " OR ") + word;
        sqlite3_bind_text(find, 1, query.c_str(), -1, SQLITE_STATIC);
        while (sqlite3_step(find) == SQLITE_ROW) {
        }
        sqlite3_reset(find);
    });
    sqlite3_finalize(find);
    sqlite3_close(db);
}

}  // namespace

void peers(std::size_t entries, std::size_t queries, const std::string& dir) {
    const Words words;
    const Vectors vectors;
    base::Rng rng(4);
    Corpus corpus;
    for (std::size_t i = 0; i < entries; ++i) {
        corpus.texts.push_back(words.text(rng, 12 + rng.below(27)));
        corpus.importance.push_back(static_cast<float>(rng.uniform()));
        const auto v = vectors.next(rng, rng.below(Vectors::kTopics));
        corpus.vectors.insert(corpus.vectors.end(), v.begin(), v.end());
    }
    for (std::size_t q = 0; q < queries; ++q) {
        corpus.asked.push_back(vectors.next(rng, rng.below(Vectors::kTopics)));
        auto& question = corpus.questions.emplace_back();
        for (int w = 0; w < 5; ++w) question.push_back(words.next(rng));
    }
    std::vector<std::vector<Ids>> truths;
    for (const double share : kShares) truths.push_back(exact(corpus, least_of(share)));
    fmt::print("{{\"mode\": \"peers\", \"entries\": {}, \"questions\": {}", entries, queries);
    ours(corpus, truths, dir);
    fts5(corpus);
#ifdef DG_HAVE_XAPIAN
    xapian(corpus, dir);
#endif
#ifdef DG_HAVE_FAISS
    faiss_ivf(corpus, truths);
#endif
#ifdef DG_HAVE_HNSWLIB
    hnsw(corpus, truths);
#endif
    fmt::print("}}\n");
}

}  // namespace bench
