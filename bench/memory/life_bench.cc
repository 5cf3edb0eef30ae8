// What keeps memories in order, measured on the store as it is used.
//
//   bench_memory_life forget [N] [OTHERS]   a user with N memories (100,000) among OTHERS (100,000)
//   bench_memory_life forget-keys [N] [OTHERS]   the same, sealed with keys of subjects
//   bench_memory_life keys [N] [QUESTIONS]  adding N memories (50,000) and asking, with keys and
//                                           without, in turn
//   bench_memory_life compress LOCOMO.json  evidence found before and after compressing 10:1
//
// forget: until nothing finds them, until no byte is left, and a raw scan of every file for a
// planted text of each memory. compress: LoCoMo's metric (share of a question's evidence turns
// among the first k hits, categories 1 to 4); a hit on a summary has found the turns that it names
// as its sources. The answers go to stdout as JSON, a table to stderr.

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/files/files.h"
#include "base/json/json.h"
#include "locomo.h"
#include "memory/compress/compression.h"
#include "memory/embed/hashed_ngrams.h"
#include "memory/forget/forget.h"
#include "memory/memory.h"

namespace {

namespace json = base::json;
using base::Result;
using memory::MemoryId;

const base::SystemClock kClock;

double seconds_since(std::chrono::steady_clock::time_point begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// --- forgetting -------------------------------------------------------------------------------

std::string text_of(std::size_t i, bool mine) {
    return fmt::format("{} note {}: the {} of room {} was seen by {} on day {} and nobody else",
                       mine ? "canary" : "other", i * 7'919 % 1'000'003, mine ? "lamp" : "door",
                       i % 977, i % 31, i % 365);
}

/// Occurrences of `bytes` in every file under `dir`.
std::uint64_t occurrences(const std::string& dir, const std::string& bytes) {
    std::uint64_t count = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(dir)) {
        if (!file.is_regular_file()) continue;
        const auto text = base::read_file(file.path().string(), 16ull << 30);
        if (!text) continue;
        for (std::size_t at = text->find(bytes); at != std::string::npos;
             at = text->find(bytes, at + 1)) {
            ++count;
        }
    }
    return count;
}

Result<json::object> forget(std::size_t mine, std::size_t others, memory::Encryption encryption) {
    const auto dir = DG_TRY(base::TemporaryDir::create("/tmp", "dougong-life-"));
    const std::shared_ptr<memory::Embedder> embedder = memory::embed::make_hashed_ngrams();
    auto store = DG_TRY(memory::MemoryStore::open(
        {.location = dir.path(), .shards = 1, .encryption = encryption}, embedder, kClock));
    std::vector<memory::NewEntry> batch;
    const auto flush = [&]() -> Result<void> {
        DG_TRY(store->add(batch));
        batch.clear();
        return {};
    };
    for (std::size_t i = 0; i < mine + others; ++i) {
        const bool is_mine = i * mine / (mine + others) != (i + 1) * mine / (mine + others);
        memory::NewEntry entry{.scope = {.tenant = "t", .user = is_mine ? "ann" : "bob"},
                               .content = text_of(i, is_mine)};
        entry.type = memory::MemoryType::episodic;
        entry.embedding.resize(embedder->dims());
        const std::string_view text = entry.content;
        DG_TRY(embedder->embed({&text, 1}, memory::EmbedSide::document, entry.embedding));
        batch.push_back(std::move(entry));
        if (batch.size() == 10'000) DG_TRY(flush());
    }
    DG_TRY(flush());
    DG_TRY(store->settle());
    memory::Query query;
    query.text = "canary lamp room";
    query.filter.scope = {.tenant = "t", .user = "ann"};
    DG_TRY(store->search(query));  // its index is there
    const std::uint64_t before = occurrences(dir.path(), "canary note");

    memory::forget::Request request{.tenant = "t", .target = {.scope = {.user = "ann"}}};
    const auto begin = std::chrono::steady_clock::now();
    const auto asked = DG_TRY(store->forgetting().forget(request));
    const double hidden_s = seconds_since(begin);
    // With keys: erased and looked for in every byte of their files before forget() returned.
    const bool unreadable = asked.unreadable_unix_ms != 0 && asked.scan.clean();
    const std::size_t found = DG_TRY(store->search(query)).hits.size();
    DG_TRY(store->forgetting().finish());
    const double erased_s = seconds_since(begin);
    const auto receipt = DG_TRY(store->forgetting().receipt("t", asked.id));
    const std::uint64_t after = occurrences(dir.path(), "canary note");
    const std::uint64_t kept = occurrences(dir.path(), "other note");
    fmt::print(stderr,
               "{} of {} memories: unfindable after {:.2f} s, erased and checked after {:.2f} s\n"
               "canaries in raw bytes: {} before, {} after ({} of others); hits found {}, receipt: "
               "{} needles, {} hits, {} rows left\n",
               mine, mine + others, hidden_s, erased_s, before, after, kept, found,
               receipt.scan.needles, receipt.scan.hits, receipt.scan.rows_left);
    return json::object{{"memories", mine},
                        {"others", others},
                        {"unfindable_s", hidden_s},
                        {"unreadable_by_then", unreadable},
                        {"key_needles", unreadable ? asked.scan.needles : 0},
                        {"erased_s", erased_s},
                        {"canaries_before", before},
                        {"canaries_after", after},
                        {"hits_after", found},
                        {"needles", receipt.scan.needles},
                        {"needle_hits", receipt.scan.hits},
                        {"bytes_scanned", receipt.scan.bytes}};
}

// --- what keys cost ---------------------------------------------------------------------------

double cpu_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

double percentile_ms(std::vector<double>& seconds, double share) {
    const auto at = static_cast<std::size_t>(share * static_cast<double>(seconds.size() - 1));
    std::ranges::nth_element(seconds, seconds.begin() + static_cast<std::ptrdiff_t>(at));
    return 1e3 * seconds[at];
}

/// 1,000 users, batches of 500, one at a time, an index made anew, questions of ten hits.
Result<json::object> with_keys(std::size_t entries, std::size_t questions,
                               memory::Encryption encryption) {
    const auto dir = DG_TRY(base::TemporaryDir::create("/tmp", "dougong-life-"));
    const std::shared_ptr<memory::Embedder> embedder = memory::embed::make_hashed_ngrams();
    const memory::StoreOptions options{
        .location = dir.path(), .shards = 1, .encryption = encryption};
    auto store = DG_TRY(memory::MemoryStore::open(options, embedder, kClock));
    const auto made = [&](std::size_t i) -> Result<memory::NewEntry> {
        memory::NewEntry entry{
            .scope = {.tenant = "t", .user = fmt::format("user-{}", i * 7'919 % 1'000)},
            .content = text_of(i, false)};
        entry.embedding.resize(embedder->dims());
        const std::string_view text = entry.content;
        DG_TRY(embedder->embed({&text, 1}, memory::EmbedSide::document, entry.embedding));
        return entry;
    };
    constexpr std::size_t kBatch = 500, kAlone = 1'000;
    double added_s = 0, added_cpu_s = 0;
    for (std::size_t first = 0; first < entries; first += kBatch) {
        std::vector<memory::NewEntry> batch;
        for (std::size_t i = first; i < std::min(first + kBatch, entries); ++i) {
            batch.push_back(DG_TRY(made(i)));
        }
        const double cpu = cpu_seconds();
        const auto begin = std::chrono::steady_clock::now();
        DG_TRY(store->add(batch));
        added_s += seconds_since(begin);
        added_cpu_s += cpu_seconds() - cpu;
    }
    std::vector<double> alone, asked;
    for (std::size_t i = entries; i < entries + kAlone; ++i) {
        const memory::NewEntry entry = DG_TRY(made(i));
        const auto begin = std::chrono::steady_clock::now();
        DG_TRY(store->add(entry));
        alone.push_back(seconds_since(begin));
    }
    DG_TRY(store->settle());
    store.reset();
    store = DG_TRY(memory::MemoryStore::open(options, embedder, kClock));
    memory::Query query;
    query.filter.scope.tenant = "t";
    query.limit = 10;
    double first_s = 0;
    for (std::size_t q = 0; q < questions + 1; ++q) {
        query.text = fmt::format("the door of room {} on day {}", q * 31 % 977, q % 365);
        const auto begin = std::chrono::steady_clock::now();
        DG_TRY(store->search(query));
        (q == 0 ? first_s : asked.emplace_back()) = seconds_since(begin);
    }
    return json::object{
        {"batched_per_s", static_cast<double>(entries) / added_s},
        {"batched_cpu_us", 1e6 * added_cpu_s / static_cast<double>(entries)},
        {"alone_ms", {{"p50", percentile_ms(alone, .5)}, {"p99", percentile_ms(alone, .99)}}},
        {"first_question_s", first_s},
        {"question_ms", {{"p50", percentile_ms(asked, .5)}, {"p99", percentile_ms(asked, .99)}}}};
}

Result<json::object> keys_cost(std::size_t entries, std::size_t questions) {
    json::array rounds;
    for (int round = 0; round < 2; ++round) {
        auto plain = DG_TRY(with_keys(entries, questions, memory::Encryption::off));
        auto sealed = DG_TRY(with_keys(entries, questions, memory::Encryption::subject));
        rounds.push_back(json::object{{"plain", std::move(plain)}, {"sealed", std::move(sealed)}});
    }
    return json::object{{"entries", entries}, {"rounds", std::move(rounds)}};
}

// --- compressing ------------------------------------------------------------------------------

struct Score {
    double r10 = 0, r20 = 0, budget = 0;
    std::size_t questions = 0, entries = 0;
    std::uint64_t tokens = 0;
};

/// Turns that a hit has found: itself, or what a summary names.
void add_found(const memory::Entry& entry, const std::map<MemoryId, std::size_t>& places,
               std::set<std::size_t>& found) {
    if (const auto at = places.find(entry.id); at != places.end()) found.insert(at->second);
    for (const auto& span : entry.sources) {
        if (const auto at = places.find(span.source); at != places.end()) found.insert(at->second);
    }
}

double share(const bench::Asked& asked, const std::set<std::size_t>& found) {
    std::size_t there = 0;
    for (const std::size_t one : asked.evidence) there += found.contains(one);
    return static_cast<double>(there) / static_cast<double>(asked.evidence.size());
}

Result<void> ask(memory::MemoryStore& store, const bench::Corpus& corpus,
                 const std::map<MemoryId, std::size_t>& places, Score& score) {
    for (const bench::Asked& asked : corpus.questions) {
        if (asked.category < 1 || asked.category > 4 || asked.evidence.empty()) continue;
        memory::Query query;
        query.text = asked.text;
        query.filter.scope.tenant = corpus.name;
        query.limit = 20;
        query.as_of_unix_ms = corpus.now;
        std::set<std::size_t> found;
        const auto answer = DG_TRY(store.search(query));
        for (std::size_t i = 0; i < answer.hits.size(); ++i) {
            add_found(answer.hits[i].entry, places, found);
            if (i + 1 == std::min<std::size_t>(10, answer.hits.size()))
                score.r10 += share(asked, found);
        }
        score.r20 += share(asked, found);
        query.limit = 200;
        query.tokens_max = 2'000;
        found.clear();
        for (const auto& hit : DG_TRY(store.search(query)).hits) {
            add_found(hit.entry, places, found);
        }
        score.budget += share(asked, found);
        ++score.questions;
    }
    return {};
}

Result<json::object> compress(const std::string& path, std::uint32_t sentences) {
    const auto corpora = DG_TRY(bench::read_locomo(path));
    const auto dir = DG_TRY(base::TemporaryDir::create("/tmp", "dougong-life-"));
    auto store = DG_TRY(memory::MemoryStore::open({.location = dir.path(), .shards = 1},
                                                  memory::embed::make_hashed_ngrams(), kClock));
    Score before, after;
    for (const bench::Corpus& corpus : corpora) {
        std::map<MemoryId, std::size_t> places;
        std::map<std::string, std::uint32_t> sessions;
        for (std::size_t i = 0; i < corpus.entries.size(); ++i) {
            const memory::Entry& turn = corpus.entries[i];
            const auto added = DG_TRY(store->add({.type = turn.type,
                                                  .scope = turn.scope,
                                                  .content = turn.content,
                                                  .speaker = turn.speaker,
                                                  .created_unix_ms = turn.created_unix_ms}));
            places[added.id] = i;
            ++sessions[turn.scope.session];
        }
        DG_TRY(store->settle());
        DG_TRY(ask(*store, corpus, places, before));
        for (const auto& [session, turns] : sessions) {
            memory::compress::Request request;
            request.scope = {.tenant = corpus.name, .session = session};
            request.policy.entries_per_session_max = std::max(1u, (turns + 5) / 10);
            request.policy.merge_over_limit = true;
            request.policy.summary_sentences_max = sentences;
            const auto done = DG_TRY(store->compressor().apply(request));
            before.entries += done.entries_before;
            before.tokens += done.tokens_before;
            after.entries += done.entries_after;
            after.tokens += done.tokens_after;
        }
        DG_TRY(store->settle());
        DG_TRY(ask(*store, corpus, places, after));
    }
    const auto mean = [](double sum, const Score& of) {
        return sum / static_cast<double>(of.questions);
    };
    json::object out{{"sentences_of_a_summary", sentences}};
    for (const auto& [name, of] :
         {std::pair<const char*, const Score*>{"before", &before}, {"after", &after}}) {
        fmt::print(stderr,
                   "{:<7} {:>5} memories {:>7} tokens: R@10 {:.3f}, R@20 {:.3f}, within 2,000 "
                   "tokens {:.3f} ({} questions)\n",
                   name, of->entries, of->tokens, mean(of->r10, *of), mean(of->r20, *of),
                   mean(of->budget, *of), of->questions);
        out[name] = json::object{
            {"entries", of->entries},     {"tokens", of->tokens},
            {"questions", of->questions}, {"r10", mean(of->r10, *of)},
            {"r20", mean(of->r20, *of)},  {"within_2000_tokens", mean(of->budget, *of)}};
    }
    return out;
}

std::size_t number(int argc, char** argv, int at, std::size_t otherwise) {
    return argc > at ? std::stoull(argv[at]) : otherwise;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    Result<json::object> done =
        base::fail(base::Code::invalid_argument,
                   "say what: forget, forget-keys, keys or compress; see life_bench.cc");
    if (what == "forget" || what == "forget-keys") {
        done = forget(number(argc, argv, 2, 100'000), number(argc, argv, 3, 100'000),
                      what == "forget" ? memory::Encryption::off : memory::Encryption::subject);
    }
    if (what == "keys") {
        done = keys_cost(number(argc, argv, 2, 50'000), number(argc, argv, 3, 1'000));
    }
    if (what == "compress" && argc > 2) {
        done = compress(argv[2], static_cast<std::uint32_t>(number(argc, argv, 3, 10)));
    }
    if (!done) {
        fmt::print(stderr, "{}\n", done.error().message);
        return 1;
    }
    fmt::print("{}\n", base::to_text(*done));
    return 0;
}
