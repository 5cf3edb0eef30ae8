// How much of the evidence is found, by the product's own analyzer, index, recall and embedder,
// beside plain BM25 and SQLite's FTS5 on the same questions.
//
//   bench_memory_recall --locomo FILE [--cmrc PASSAGES QUESTIONS] [--model EMBEDDER.gguf] [--fit]
//                       > result.json        a table goes to stderr
//   bench_memory_recall --locomo FILE --graph      ours alone, for several weights of that signal
//   bench_memory_recall --locomo FILE --latency
//
// LoCoMo's metric: share of a question's evidence turns among the first k, categories 1 to 4, mean
// over questions. "2000 t": among those that fit 2,000 tokens of content. --fit chooses weights
// anew with one conversation left out at a time, and says what that one then gets.

#include <fmt/core.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <set>

#include "app/memory_embedder.h"
#include "base/core/clock.h"
#include "base/files/files.h"
#include "base/json/json.h"
#include "engine/engine.h"
#include "engine/model_files/prefixes.h"
#include "locomo.h"
#include "memory/embed/entry_text.h"
#include "memory/embed/hashed_ngrams.h"
#include "memory/facts/extract.h"
#include "memory/facts/fact_store.h"
#include "memory/index/tenant_index.h"
#include "memory/recall/recall.h"
#include "memory/recall/weights.h"
#include "memory/text/analyzer.h"

namespace {

namespace json = base::json;
using bench::Asked;
using bench::Corpus;

constexpr std::uint32_t kDepth = 200;
const base::SystemClock kClock;

/// Places of entries, best first.
using Order = std::vector<std::size_t>;

struct Loaded {
    const Corpus* corpus = nullptr;
    std::unique_ptr<memory::index::TenantIndex> index;
    std::vector<std::uint32_t> tokens;          ///< of each entry's content
    std::vector<std::vector<float>> questions;  ///< vectors; empty without an embedder
    std::unique_ptr<base::store::Store> store;
    std::unique_ptr<memory::facts::FactStore> facts;  ///< what the rules read
};

template <class Value>
Value need(base::Result<Value> value) {
    if (!value) {
        fmt::print(stderr, "{}\n", value.error().message);
        std::exit(1);
    }
    return std::move(*value);
}

/// Facts of every entry, whose source is its place.
void read_facts(Loaded& loaded, const std::string& folder) {
    const Corpus& corpus = *loaded.corpus;
    loaded.store = need(base::store::Store::open(folder + "/" + corpus.name + ".db", {}));
    loaded.facts = need(memory::facts::FactStore::open(*loaded.store, kClock));
    std::vector<memory::facts::Assertion> all;
    for (std::size_t i = 0; i < corpus.entries.size(); ++i) {
        const memory::Entry& entry = corpus.entries[i];
        for (auto& found :
             memory::facts::extract(entry.content, {.scope = {.tenant = corpus.name},
                                                   .speaker = entry.speaker,
                                                   .said_at_unix_ms = entry.created_unix_ms,
                                                   .source = std::to_string(i)})) {
            all.push_back(std::move(found.assertion));
        }
    }
    fmt::print(stderr, "{}: {} facts in {} entries\n", corpus.name, all.size(),
               corpus.entries.size());
    need(loaded.facts->add(all));
}

std::vector<memory::index::Scored> near_of(const Loaded& in, memory::index::Reader& reader,
                                           const std::string& text) {
    constexpr std::uint32_t kNearMax = 64;
    std::vector<memory::index::Scored> near;
    for (const auto& one : need(in.facts->near_sources(in.corpus->name, text, kNearMax))) {
        const auto slot = reader.slot_of(std::stoll(one.source) + 1);
        if (slot) near.push_back({*slot, one.weight});
    }
    return near;
}

std::vector<std::vector<float>> embed(memory::Embedder& embedder,
                                      const std::vector<std::string>& texts,
                                      memory::EmbedSide side) {
    std::vector<std::vector<float>> out;
    for (const std::string& text : texts) {
        std::vector<float> row(embedder.dims());
        const std::string_view view = text;
        const auto done = embedder.embed({&view, 1}, side, row);
        if (!done) {
            fmt::print(stderr, "{}\n", done.error().message);
            std::exit(1);
        }
        out.push_back(std::move(row));
    }
    return out;
}

Loaded load(const Corpus& corpus, memory::Embedder* embedder) {
    Loaded loaded{&corpus, memory::index::TenantIndex::make(embedder ? embedder->dims() : 0, ""),
                  {},      {},
                  nullptr, nullptr};
    std::vector<std::vector<float>> vectors(corpus.entries.size());
    if (embedder != nullptr) {
        std::vector<std::string> texts, questions;
        for (const auto& e : corpus.entries) {
            texts.push_back(memory::embed::entry_text(e.content, e.speaker));
        }
        for (const Asked& asked : corpus.questions) questions.push_back(asked.text);
        vectors = embed(*embedder, texts, memory::EmbedSide::document);
        loaded.questions = embed(*embedder, questions, memory::EmbedSide::query);
    }
    std::vector<memory::truth::Change> changes;
    for (std::size_t i = 0; i < corpus.entries.size(); ++i) {
        const auto number = static_cast<std::int64_t>(i + 1);
        changes.push_back({number, number, false, corpus.entries[i], vectors[i]});
        loaded.tokens.push_back(memory::text::count_tokens(corpus.entries[i].content));
    }
    const auto applied = loaded.index->apply(changes);
    if (!applied) {
        fmt::print(stderr, "{}\n", applied.error().message);
        std::exit(1);
    }
    return loaded;
}

struct Found {
    Order order;
    std::vector<memory::ScoreParts> parts;
    float confidence = 0;
};

Found find(const Loaded& in, const std::string& text, std::span<const float> vector,
           const memory::SignalWeights& weights) {
    memory::Query query;
    query.text = text;
    query.filter.scope.tenant = in.corpus->name;
    query.limit = kDepth;
    const auto reader = in.index->read();
    std::vector<memory::index::Scored> near;
    if (weights.graph > 0) near = near_of(in, *reader, text);
    auto ranking = memory::recall::rank(*reader, query, vector, weights, in.corpus->now, near);
    Found found;
    if (!ranking) {
        fmt::print(stderr, "{}\n", ranking.error().message);
        std::exit(1);
    }
    found.confidence = ranking->confidence;
    for (const auto& ranked : ranking->ranked) {
        found.order.push_back(static_cast<std::size_t>(reader->facts(ranked.slot).row - 1));
        found.parts.push_back(ranked.parts);
    }
    return found;
}

/// Sums over questions of one set.
struct Score {
    double r1 = 0, r5 = 0, r10 = 0, r20 = 0, r50 = 0, budget = 0, reciprocal = 0;
    std::size_t questions = 0;
    std::map<int, std::pair<double, std::size_t>> by_category;  ///< r10

    static double share(const Asked& asked, const Order& order, std::size_t k) {
        std::size_t found = 0;
        for (std::size_t i = 0; i < std::min(k, order.size()); ++i) {
            found += static_cast<std::size_t>(std::ranges::count(asked.evidence, order[i]));
        }
        return static_cast<double>(found) / static_cast<double>(asked.evidence.size());
    }
    void add(const Asked& asked, const Order& order, const std::vector<std::uint32_t>& tokens) {
        ++questions;
        r1 += share(asked, order, 1);
        r5 += share(asked, order, 5);
        r20 += share(asked, order, 20);
        r50 += share(asked, order, 50);
        const double at10 = share(asked, order, 10);
        r10 += at10;
        auto& [sum, n] = by_category[asked.category];
        sum += at10;
        ++n;
        std::size_t fitting = 0, used = 0;
        while (fitting < order.size() && used + tokens[order[fitting]] <= 2000) {
            used += tokens[order[fitting++]];
        }
        budget += share(asked, order, fitting);
        for (std::size_t i = 0; i < std::min<std::size_t>(50, order.size()); ++i) {
            if (std::ranges::find(asked.evidence, order[i]) == asked.evidence.end()) continue;
            reciprocal += 1. / static_cast<double>(i + 1);
            break;
        }
    }
    double mean(double sum) const {
        return questions == 0 ? 0 : sum / static_cast<double>(questions);
    }
    json::object to_json() const {
        const auto round = [](double x) { return std::round(x * 10000) / 10000; };
        json::object out = {{"questions", questions},
                            {"r_at_1", round(mean(r1))},
                            {"r_at_5", round(mean(r5))},
                            {"r_at_10", round(mean(r10))},
                            {"r_at_20", round(mean(r20))},
                            {"r_at_50", round(mean(r50))},
                            {"mrr_at_50", round(mean(reciprocal))},
                            {"within_2000_tokens", round(mean(budget))}};
        static const std::map<int, std::string> kNames = {
            {1, "multi_hop"}, {2, "temporal"}, {3, "open_domain"}, {4, "single_hop"}};
        for (const auto& [category, sum] : by_category) {
            if (!kNames.contains(category)) continue;
            out["r_at_10_" + kNames.at(category)] =
                round(sum.first / static_cast<double>(sum.second));
        }
        return out;
    }
};

bool is_counted(const Asked& asked) {
    return asked.category >= 0 && asked.category <= 4 && !asked.evidence.empty();
}

void print(const std::string& name, const Score& s) {
    std::string categories;
    for (const auto& [category, sum] : s.by_category) {
        categories += fmt::format(" {:.3f}", sum.first / static_cast<double>(sum.second));
    }
    fmt::print(stderr,
               "{:44} R@1 {:.3f} R@5 {:.3f} R@10 {:.3f} R@20 {:.3f} 2000t {:.3f} MRR {:.3f} |{}\n",
               name, s.mean(s.r1), s.mean(s.r5), s.mean(s.r10), s.mean(s.r20), s.mean(s.budget),
               s.mean(s.reciprocal), categories);
}

using Ask = std::function<Order(const Loaded&, std::size_t question)>;

Score score(const std::vector<Loaded>& sets, const Ask& ask) {
    Score total;
    for (const Loaded& set : sets) {
        for (std::size_t q = 0; q < set.corpus->questions.size(); ++q) {
            const Asked& asked = set.corpus->questions[q];
            if (is_counted(asked)) total.add(asked, ask(set, q), set.tokens);
        }
    }
    return total;
}

// --- peers ------------------------------------------------------------------------------------

Order plain_bm25(const Loaded& set, std::size_t q) {
    memory::index::KeywordQuery query;
    for (const auto& term : memory::text::analyze(set.corpus->questions[q].text)) {
        if (!term.stop_word) query.terms.push_back({term.text, 1.f});
    }
    const auto reader = set.index->read();
    const auto all = reader->select({}, set.corpus->now);
    Order order;
    for (const auto& hit : reader->keyword(query, **all, kDepth)) {
        order.push_back(static_cast<std::size_t>(reader->facts(hit.slot).row - 1));
    }
    return order;
}

/// One table per set, with the porter tokenizer over speaker and content, words joined by OR.
class Fts5 {
public:
    explicit Fts5(const Corpus& corpus) {
        sqlite3_open(":memory:", &db_);
        run("CREATE VIRTUAL TABLE t USING fts5(x, tokenize='porter unicode61')");
        sqlite3_stmt* insert = prepare("INSERT INTO t(rowid, x) VALUES (?1, ?2)");
        for (std::size_t i = 0; i < corpus.entries.size(); ++i) {
            const std::string text = corpus.entries[i].speaker + " " + corpus.entries[i].content;
            sqlite3_bind_int64(insert, 1, static_cast<sqlite3_int64>(i + 1));
            sqlite3_bind_text(insert, 2, text.c_str(), -1, SQLITE_TRANSIENT);
            sqlite3_step(insert);
            sqlite3_reset(insert);
        }
        sqlite3_finalize(insert);
    }
    ~Fts5() { sqlite3_close(db_); }

    Order ask(const std::string& question) const {
        std::string match;
        std::string word;
        const auto flush = [&] {
            if (!word.empty()) match += (match.empty() ? "\"" : " OR \"") + word + "\"";
            word.clear();
        };
        for (const char c : question) {
            const auto byte = static_cast<unsigned char>(c);
            if (byte >= 0x80 || std::isalnum(byte) != 0) {
                word += c;
            } else {
                flush();
            }
        }
        flush();
        Order order;
        sqlite3_stmt* select =
            prepare("SELECT rowid FROM t WHERE t MATCH ?1 ORDER BY rank LIMIT 200");
        sqlite3_bind_text(select, 1, match.c_str(), -1, SQLITE_TRANSIENT);
        while (sqlite3_step(select) == SQLITE_ROW) {
            order.push_back(static_cast<std::size_t>(sqlite3_column_int64(select, 0) - 1));
        }
        sqlite3_finalize(select);
        return order;
    }

private:
    void run(const char* sql) { sqlite3_exec(db_, sql, nullptr, nullptr, nullptr); }
    sqlite3_stmt* prepare(const char* sql) const {
        sqlite3_stmt* statement = nullptr;
        sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr);
        return statement;
    }
    sqlite3* db_ = nullptr;
};

Score score_fts5(const std::vector<Loaded>& sets) {
    std::map<const Loaded*, std::unique_ptr<Fts5>> tables;
    return score(sets, [&](const Loaded& set, std::size_t q) {
        auto& table = tables[&set];
        if (!table) table = std::make_unique<Fts5>(*set.corpus);
        return table->ask(set.corpus->questions[q].text);
    });
}

// --- ours -------------------------------------------------------------------------------------

std::span<const float> vector_of(const Loaded& set, std::size_t q) {
    return set.questions.empty() ? std::span<const float>() : set.questions[q];
}

Score score_recall(const std::vector<Loaded>& sets, const memory::SignalWeights& weights) {
    return score(sets, [&](const Loaded& set, std::size_t q) {
        return find(set, set.corpus->questions[q].text, vector_of(set, q), weights).order;
    });
}

/// Of drawing a positive and a negative: how often the positive is higher.
double auroc(std::vector<float> positive, std::vector<float> negative) {
    std::ranges::sort(negative);
    double wins = 0;
    for (const float p : positive) {
        const auto [low, high] = std::ranges::equal_range(negative, p);
        wins += static_cast<double>(low - negative.begin()) + .5 * static_cast<double>(high - low);
    }
    return wins / (static_cast<double>(positive.size()) * static_cast<double>(negative.size()));
}

/// Questions that a conversation answers against those of the next one, and against category 5.
json::object abstention(const std::vector<Loaded>& sets, const memory::SignalWeights& weights) {
    std::vector<float> own, foreign, adversarial;
    for (std::size_t s = 0; s < sets.size(); ++s) {
        const Loaded& set = sets[s];
        const Loaded& other = sets[(s + 1) % sets.size()];
        for (std::size_t q = 0; q < set.corpus->questions.size(); ++q) {
            const Asked& asked = set.corpus->questions[q];
            const float here = find(set, asked.text, vector_of(set, q), weights).confidence;
            if (asked.category == 5) adversarial.push_back(here);
            if (!is_counted(asked)) continue;
            own.push_back(here);
            foreign.push_back(find(other, asked.text, vector_of(set, q), weights).confidence);
        }
    }
    const double by_others = auroc(own, foreign);
    const double by_category5 = auroc(own, adversarial);
    fmt::print(stderr, "abstention AUROC: others' questions {:.3f}, category 5 {:.3f}\n", by_others,
               by_category5);
    return {{"others_questions", by_others}, {"category_5", by_category5}};
}

// --- fitting ----------------------------------------------------------------------------------

/// Everything found with equal weights, to be scored again with others.
struct Kept {
    std::vector<std::vector<Found>> found;  ///< [set][question]
};

float total(const memory::ScoreParts& p, const memory::SignalWeights& w) {
    return w.keyword * p.keyword + w.vector * p.vector + w.session * p.session +
           w.entity * p.entity + w.substance * p.substance + w.time * p.time;
}

Order reordered(const Found& found, const memory::SignalWeights& weights) {
    std::vector<std::pair<float, std::size_t>> scored;
    for (std::size_t i = 0; i < found.order.size(); ++i) {
        scored.push_back({-total(found.parts[i], weights), found.order[i]});
    }
    std::ranges::sort(scored);
    Order order;
    for (const auto& [score, place] : scored) order.push_back(place);
    return order;
}

using Weight = float memory::SignalWeights::*;
const std::array<std::pair<Weight, std::vector<float>>, 5> kGrid = {{
    {&memory::SignalWeights::vector, {0.f, .5f, .75f, 1.f, 1.25f, 1.5f}},
    {&memory::SignalWeights::entity, {.1f, .2f, .3f, .45f, .6f}},
    {&memory::SignalWeights::substance, {0.f, .3f, .6f, .9f}},
    {&memory::SignalWeights::session, {0.f, .1f, .2f, .3f}},
    {&memory::SignalWeights::time, {0.f, .1f, .2f, .4f}},
}};

double objective(const std::vector<Loaded>& sets, const Kept& kept,
                 const memory::SignalWeights& weights, std::size_t left_out) {
    double sum = 0;
    std::size_t n = 0;
    for (std::size_t s = 0; s < sets.size(); ++s) {
        if (s == left_out) continue;
        for (std::size_t q = 0; q < kept.found[s].size(); ++q) {
            const Asked& asked = sets[s].corpus->questions[q];
            if (!is_counted(asked)) continue;
            const Order order = reordered(kept.found[s][q], weights);
            sum += .2 * Score::share(asked, order, 5) + .6 * Score::share(asked, order, 10) +
                   .2 * Score::share(asked, order, 20);
            ++n;
        }
    }
    return sum / static_cast<double>(n);
}

/// Coordinate search over kGrid.
memory::SignalWeights fit(const std::vector<Loaded>& sets, const Kept& kept,
                          memory::SignalWeights weights, std::size_t left_out) {
    for (int round = 0; round < 2; ++round) {
        for (const auto& [weight, values] : kGrid) {
            double best = -1;
            float chosen = weights.*weight;
            for (const float value : values) {
                weights.*weight = value;
                const double got = objective(sets, kept, weights, left_out);
                if (got > best) {
                    best = got;
                    chosen = value;
                }
            }
            weights.*weight = chosen;
        }
    }
    return weights;
}

std::string text_of(const memory::SignalWeights& w) {
    return fmt::format("vector {:.2f} entity {:.2f} substance {:.2f} session {:.2f} time {:.2f}",
                       w.vector, w.entity, w.substance, w.session, w.time);
}

Score leave_one_out(const std::vector<Loaded>& sets, const memory::SignalWeights& start) {
    Kept kept;
    for (const Loaded& set : sets) {
        auto& found = kept.found.emplace_back();
        for (std::size_t q = 0; q < set.corpus->questions.size(); ++q) {
            found.push_back(find(set, set.corpus->questions[q].text, vector_of(set, q), start));
        }
    }
    Score total;
    for (std::size_t out = 0; out < sets.size(); ++out) {
        const auto weights = fit(sets, kept, start, out);
        fmt::print(stderr, "without {}: {}\n", sets[out].corpus->name, text_of(weights));
        for (std::size_t q = 0; q < kept.found[out].size(); ++q) {
            const Asked& asked = sets[out].corpus->questions[q];
            if (is_counted(asked))
                total.add(asked, reordered(kept.found[out][q], weights), sets[out].tokens);
        }
    }
    fmt::print(stderr, "of all: {}\n", text_of(fit(sets, kept, start, sets.size())));
    return total;
}

// --- time -------------------------------------------------------------------------------------

/// Milliseconds of rank() in one tenant of `entries` turns or a little more: all conversations
/// again and again, each time in sessions of its own. Vectors are given, as in the goal.
json::object latency(const std::vector<Corpus>& corpora, memory::Embedder& embedder,
                     std::size_t entries) {
    Corpus all;
    all.name = "t";
    for (std::size_t copy = 0; all.entries.size() < entries; ++copy) {
        for (const Corpus& corpus : corpora) {
            all.now = std::max(all.now, corpus.now);
            for (memory::Entry entry : corpus.entries) {
                entry.scope.tenant = all.name;
                entry.scope.session += fmt::format("-{}-{}", corpus.name, copy);
                all.entries.push_back(std::move(entry));
            }
            if (copy == 0) {
                for (const Asked& asked : corpus.questions) all.questions.push_back(asked);
            }
        }
    }
    const Loaded set = load(all, &embedder);
    std::vector<double> ms;
    for (int round = 0; round < 3; ++round) {
        for (std::size_t q = 0; q < set.corpus->questions.size(); ++q) {
            memory::Query query;
            query.text = set.corpus->questions[q].text;
            query.filter.scope.tenant = all.name;
            query.filter.types = {memory::MemoryType::episodic};
            const auto begin = std::chrono::steady_clock::now();
            const auto reader = set.index->read();
            const auto ranking =
                memory::recall::rank(*reader, query, vector_of(set, q),
                                     memory::recall::weights_for(embedder.id()), all.now);
            const auto end = std::chrono::steady_clock::now();
            if (ranking && round > 0) {
                ms.push_back(std::chrono::duration<double, std::milli>(end - begin).count());
            }
        }
    }
    std::ranges::sort(ms);
    const auto at = [&](double share) {
        return ms[static_cast<std::size_t>(share * static_cast<double>(ms.size() - 1))];
    };
    fmt::print(stderr, "rank() in {} entries, {} dimensions: p50 {:.3f} p95 {:.3f} p99 {:.3f} ms\n",
               all.entries.size(), embedder.dims(), at(.5), at(.95), at(.99));
    return {{"entries", all.entries.size()},
            {"dimensions", embedder.dims()},
            {"queries", ms.size()},
            {"p50_ms", at(.5)},
            {"p95_ms", at(.95)},
            {"p99_ms", at(.99)}};
}

struct Arguments {
    std::string locomo, passages, questions, model;
    bool fit = false, latency = false, graph = false;
};

json::object run(const std::string& name, const std::vector<Loaded>& sets,
                 const memory::SignalWeights& weights, bool fits, bool answers) {
    const Score ours = score_recall(sets, weights);
    print(name, ours);
    json::object out = ours.to_json();
    if (fits) {
        const Score left_out = leave_one_out(sets, weights);
        print(name + ", each left out of its weights", left_out);
        out["leave_one_out"] = left_out.to_json();
    }
    if (answers) out["abstention_auroc"] = abstention(sets, weights);
    return out;
}

std::vector<Loaded> load_all(const std::vector<Corpus>& corpora, memory::Embedder* embedder) {
    std::vector<Loaded> sets;
    for (const Corpus& corpus : corpora) sets.push_back(load(corpus, embedder));
    return sets;
}

/// What facts that hang together with the question's names add.
json::object graph(const std::vector<Corpus>& corpora, memory::Embedder* embedder) {
    const auto folder = need(base::TemporaryDir::create("/tmp", "recall-facts"));
    std::vector<Loaded> sets = load_all(corpora, embedder);
    for (Loaded& set : sets) read_facts(set, folder.path());
    json::object out;
    auto weights = memory::recall::weights_for(embedder ? embedder->id() : "");
    for (const float weight : {0.f, .05f, .1f, .2f, .4f}) {
        weights.graph = weight;
        const std::string name = fmt::format("graph {}", weight);
        out[name] = run(name, sets, weights, false, false);
    }
    return out;
}

base::Result<json::object> measure(const Arguments& arguments) {
    std::shared_ptr<memory::Embedder> embedder;
    if (!arguments.model.empty()) {
        std::shared_ptr<engine::Engine> engine =
            DG_TRY(engine::Engine::open(arguments.model, {.threads = 1}, kClock));
        embedder = DG_TRY(app::make_engine_embedder(
            std::move(engine), DG_TRY(engine::read_prefixes(arguments.model))));
    }
    const std::unique_ptr<memory::Embedder> hashed = memory::embed::make_hashed_ngrams();
    std::vector<std::pair<std::string, std::vector<Corpus>>> collections;
    if (!arguments.locomo.empty()) {
        collections.push_back({"locomo", DG_TRY(bench::read_locomo(arguments.locomo))});
    }
    if (!arguments.passages.empty()) {
        collections.push_back(
            {"cmrc", {DG_TRY(bench::read_cmrc(arguments.passages, arguments.questions))}});
    }
    json::object out;
    if (arguments.latency) {
        if (arguments.locomo.empty())
            return base::fail(base::Code::invalid_argument, "--latency needs --locomo");
        out["latency"] = latency(collections[0].second, *hashed, 10'000);
        return out;
    }
    if (arguments.graph) {
        if (arguments.locomo.empty())
            return base::fail(base::Code::invalid_argument, "--graph needs --locomo");
        out["graph"] = graph(collections[0].second, embedder.get());
        return out;
    }
    for (const auto& [name, corpora] : collections) {
        const bool talks = name == "locomo";
        json::object results;
        const std::vector<Loaded> plain = load_all(corpora, nullptr);
        const Score fts5 = score_fts5(plain), bm25 = score(plain, plain_bm25);
        print(name + ": SQLite FTS5, porter", fts5);
        print(name + ": plain BM25", bm25);
        results["fts5_porter"] = fts5.to_json();
        results["bm25"] = bm25.to_json();
        results["recall_without_vectors"] =
            run(name + ": recall without vectors", plain, memory::recall::weights_for(""),
                talks && arguments.fit, talks);
        const std::vector<Loaded> ngrams = load_all(corpora, hashed.get());
        results["recall_hashed_ngrams"] =
            run(name + ": recall, hashed n-grams", ngrams,
                memory::recall::weights_for(hashed->id()), talks && arguments.fit, talks);
        if (embedder != nullptr) {
            const std::vector<Loaded> sets = load_all(corpora, embedder.get());
            results["recall " + embedder->id()] =
                run(name + ": recall, " + embedder->id(), sets,
                    memory::recall::weights_for(embedder->id()), talks && arguments.fit, talks);
        }
        out[name] = std::move(results);
    }
    return out;
}

}  // namespace

int main(int argc, char** argv) {
    Arguments arguments;
    for (int i = 1; i < argc; ++i) {
        const std::string_view flag = argv[i];
        if (flag == "--fit")
            arguments.fit = true;
        else if (flag == "--latency")
            arguments.latency = true;
        else if (flag == "--graph")
            arguments.graph = true;
        else if (flag == "--locomo" && i + 1 < argc)
            arguments.locomo = argv[++i];
        else if (flag == "--model" && i + 1 < argc)
            arguments.model = argv[++i];
        else if (flag == "--cmrc" && i + 2 < argc) {
            arguments.passages = argv[++i];
            arguments.questions = argv[++i];
        } else {
            fmt::print(stderr, "unknown or incomplete argument {}; see the top of recall.cc\n",
                       flag);
            return 2;
        }
    }
    const auto out = measure(arguments);
    if (!out) {
        fmt::print(stderr, "{}\n", out.error().message);
        return 1;
    }
    fmt::print("{}\n", base::to_text(*out));
    return 0;
}
