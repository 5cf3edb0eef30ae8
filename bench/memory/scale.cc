// A store of a million memories and more, on disk, as its users have it: written in batches,
// opened anew with nothing cached, asked, killed while it is written.
//
//   bench_memory_scale ENTRIES FOLDER [QUESTIONS] > result.json
//
// ENTRIES (1000000; 10000000 for a night) go into FOLDER twice: as tenants of 10,000, and as one
// tenant. FOLDER needs about 2.5 KB for each; what was written there by an earlier run is removed,
// and nothing is left. Each step is a process of its own. Embeddings are hashed n-grams, given with
// the entries. With DG_BENCH_PAUSE set, it stops before it asks, so that a script can quiet the
// machine and send SIGCONT.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <thread>

#include "base/core/clock.h"
#include "base/json/json.h"
#include "corpus.h"
#include "memory/embed/hashed_ngrams.h"
#include "memory/index/tenant_index.h"
#include "memory/memory.h"

namespace {

namespace fs = std::filesystem;
namespace json = base::json;
using bench::Latencies;

const base::SystemClock machine_clock;
constexpr std::size_t kOfTenant = 10'000, kBatch = 500, kKillBatch = 100;
constexpr std::int64_t kFirstMs = 1'700'000'000'000, kStepMs = 60'000;

struct Layout {
    std::string name, folder;
    std::size_t tenants, of_each;
    std::size_t entries() const { return tenants * of_each; }
};

[[noreturn]] void give_up(const std::string& what) {
    fmt::print(stderr, "bench_memory_scale: {}\n", what);
    std::exit(1);
}
template <class T>
T need(base::Result<T> result, const char* what) {
    if (!result) give_up(fmt::format("{}: {}", what, result.error().message));
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

std::string tenant_name(std::size_t tenant) {
    return fmt::format("tenant-{}", tenant);
}

memory::StoreOptions options_of(const Layout& layout) {
    memory::StoreOptions options;
    options.location = layout.folder;
    options.index_bytes_max = (1ull << 30) + 600ull * layout.entries();  // all stay
    return options;
}

/// A batch of a tenant is the same whenever it is made.
std::vector<memory::NewEntry> batch_of(const bench::Words& words, memory::Embedder& embedder,
                                       std::size_t tenant, std::size_t first, std::size_t count) {
    base::Rng rng(tenant * 1'000'003 + first + 1);
    std::vector<memory::NewEntry> batch(count);
    std::vector<std::string_view> texts;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t number = first + i;
        const std::size_t session = number / 25;
        batch[i].type = static_cast<memory::MemoryType>(rng.below(memory::kMemoryTypes));
        batch[i].scope = {.tenant = tenant_name(tenant),
                          .user = fmt::format("user-{}", session * 0x9E3779B97F4A7C15u >> 58),
                          .session = fmt::format("session-{}", session)};
        batch[i].content = words.text(rng, 12 + rng.below(27));
        batch[i].created_unix_ms = kFirstMs + static_cast<std::int64_t>(number) * kStepMs;
        batch[i].importance = static_cast<float>(rng.uniform());
        texts.push_back(batch[i].content);
    }
    std::vector<float> vectors(count * embedder.dims());
    need(embedder.embed(texts, memory::EmbedSide::document, vectors), "embed");
    for (std::size_t i = 0; i < count; ++i) {
        const auto begin = vectors.begin() + static_cast<std::ptrdiff_t>(i * embedder.dims());
        batch[i].embedding.assign(begin, begin + embedder.dims());
    }
    return batch;
}

std::unique_ptr<memory::MemoryStore> open_store(const Layout& layout) {
    return need(memory::MemoryStore::open(options_of(layout), memory::embed::make_hashed_ngrams(),
                                          machine_clock),
                "open");
}

std::uint64_t bytes_on_disk(const std::string& folder) {
    std::uint64_t bytes = 0;
    for (const auto& file : fs::recursive_directory_iterator(folder)) {
        if (file.is_regular_file()) bytes += file.file_size();
    }
    return bytes;
}

/// So that reading it is reading the disk.
void forget_cached(const std::string& folder) {
    for (const auto& file : fs::recursive_directory_iterator(folder)) {
        const int fd = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) continue;
        ::fsync(fd);
        ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        ::close(fd);
    }
}

double process_seconds() {
    return bench::seconds(CLOCK_PROCESS_CPUTIME_ID);
}

// --- steps -------------------------------------------------------------------------------------

/// Two writers; the vectors of a batch are made before its clock starts.
json::object write(const Layout& layout) {
    fs::remove_all(layout.folder);
    const bench::Words words;
    const auto embedder = memory::embed::make_hashed_ngrams();
    auto store = open_store(layout);
    constexpr std::size_t kWriters = 2;
    const std::size_t batches = layout.entries() / kBatch;
    std::array<double, kWriters> waited{};
    std::atomic<std::uint64_t> merged{0};
    const double begin = bench::wall_seconds(), cpu = process_seconds();
    {
        std::vector<std::jthread> writers;
        for (std::size_t w = 0; w < kWriters; ++w) {
            writers.emplace_back([&, w] {
                for (std::size_t b = w; b < batches; b += kWriters) {
                    // Tenant by tenant in turn, as they would arrive.
                    const std::size_t tenant = b % layout.tenants;
                    const std::size_t first = b / layout.tenants * kBatch;
                    const auto batch = batch_of(words, *embedder, tenant, first, kBatch);
                    const double at = bench::wall_seconds();
                    for (const memory::Added& added : need(store->add(batch), "add")) {
                        merged += added.how == memory::Added::How::merged;
                    }
                    waited[w] += bench::wall_seconds() - at;
                }
            });
        }
    }
    const double wall = bench::wall_seconds() - begin, cpu_spent = process_seconds() - cpu;
    const auto stats = store->stats();
    store.reset();
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto entries = static_cast<double>(layout.entries());
    return {{"entries", stats.entries},
            {"merged", merged.load()},
            {"seconds", wall},
            {"entries_per_s", entries / wall},
            {"entries_per_s_without_making_them",
             entries * kWriters / std::accumulate(waited.begin(), waited.end(), 0.)},
            {"cpu_us_per_entry", 1e6 * cpu_spent / entries},
            {"disk_bytes_per_entry", static_cast<double>(bytes_on_disk(layout.folder)) / entries},
            {"peak_rss_mib", static_cast<double>(usage.ru_maxrss) / 1024}};
}

struct Question {
    memory::Query query;
};

/// Words of an entry and a few of others, half of time, three types.
Question question_of(base::Rng& rng, const bench::Words& words, memory::Embedder& embedder,
                     const Layout& layout, bool filtered) {
    using memory::MemoryType;
    Question q;
    q.query.text = words.text(rng, 5);
    q.query.filter.scope.tenant = tenant_name(rng.below(layout.tenants));
    q.query.limit = 10;
    if (filtered) {
        q.query.filter.types = {MemoryType::long_term, MemoryType::episodic, MemoryType::semantic};
        const auto half = static_cast<std::int64_t>(layout.of_each / 2);
        const auto from = static_cast<std::int64_t>(rng.below(layout.of_each / 2));
        q.query.filter.created = {kFirstMs + from * kStepMs, kFirstMs + (from + half) * kStepMs};
    }
    q.query.embedding.resize(embedder.dims());
    const std::string_view text = q.query.text;
    need(embedder.embed(std::span(&text, 1), memory::EmbedSide::query, q.query.embedding), "embed");
    return q;
}

json::object percentiles(Latencies& wall, Latencies& cpu) {
    return {{"questions", wall.seconds.size()},
            {"wall_ms", {{"p50", wall.ms(.5)}, {"p99", wall.ms(.99)}}},
            {"cpu_ms", {{"p50", cpu.ms(.5)}, {"p99", cpu.ms(.99)}}}};
}

json::object timed(memory::MemoryStore& store, const std::vector<Question>& questions) {
    Latencies wall, cpu;
    for (const Question& question : questions) {
        const double at = bench::wall_seconds(), cpu_at = bench::cpu_seconds();
        const auto answer = need(store.search(question.query), "search");
        cpu.add(bench::cpu_seconds() - cpu_at);
        wall.add(bench::wall_seconds() - at);
        if (answer.hits.empty() && question.query.filter.types.empty()) give_up("nothing found");
    }
    return percentiles(wall, cpu);
}

/// Nothing in this process, nothing of the files in the kernel: opened, each tenant asked once,
/// then all of them many times.
json::object ask(const Layout& layout, std::size_t questions) {
    forget_cached(layout.folder);
    const bench::Words words;
    const auto embedder = memory::embed::make_hashed_ngrams();
    base::Rng rng(7);
    const bench::Resident before = bench::resident();
    double begin = bench::wall_seconds();
    auto store = open_store(layout);
    const double opened = bench::wall_seconds() - begin;
    Latencies first, first_cpu;
    begin = bench::wall_seconds();
    for (std::size_t t = 0; t < layout.tenants; ++t) {
        Question question = question_of(rng, words, *embedder, layout, false);
        question.query.filter.scope.tenant = tenant_name(t);
        const double at = bench::wall_seconds(), cpu_at = bench::cpu_seconds();
        need(store->search(question.query), "search");
        first_cpu.add(bench::cpu_seconds() - cpu_at);
        first.add(bench::wall_seconds() - at);
    }
    const double indexed = bench::wall_seconds() - begin;
    const bench::Resident built = bench::resident();
    const auto entries = static_cast<double>(layout.entries());
    std::vector<Question> open, filtered;
    for (std::size_t q = 0; q < questions; ++q) {
        open.push_back(question_of(rng, words, *embedder, layout, false));
        filtered.push_back(question_of(rng, words, *embedder, layout, true));
    }
    if (std::getenv("DG_BENCH_PAUSE") != nullptr) std::raise(SIGSTOP);
    json::object result{{"open_ms", 1e3 * opened},
                        {"first_question_of_a_tenant", percentiles(first, first_cpu)},
                        {"all_tenants_indexed_s", indexed}};
    result["filtered"] = timed(*store, filtered);
    result["no_filter"] = timed(*store, open);
    const bench::Resident asked = bench::resident();
    result["index_bytes_per_entry"] = static_cast<double>(store->stats().index_bytes) / entries;
    result["rss_own_bytes_per_entry"] = (built.own - before.own) / entries;
    result["rss_files_bytes_per_entry_after_questions"] = (asked.files - before.files) / entries;
    return result;
}

/// Vectors of one tenant by its index beside all of them compared.
json::object recall(const Layout& layout, std::size_t questions) {
    const auto truth =
        need(memory::truth::Truth::open(options_of(layout), machine_clock), "open the truth");
    const auto embedder = memory::embed::make_hashed_ngrams();
    const auto index = memory::index::TenantIndex::make(embedder->dims(), layout.folder);
    const bench::Words words;
    base::Rng rng(11);
    std::vector<Question> asked;
    for (std::size_t q = 0; q < questions; ++q) {
        asked.push_back(question_of(rng, words, *embedder, layout, false));
    }
    using Near = std::pair<float, memory::truth::RowId>;  // minus the cosine, row
    constexpr std::size_t kNearest = 10;
    std::vector<std::vector<Near>> nearest(questions);
    std::vector<memory::truth::Change> batch;
    const auto flush = [&] {
        need(index->apply(batch), "index");
        batch.clear();
    };
    need(truth->changes(tenant_name(0), 0, embedder->id(),
                        [&](memory::truth::Change&& change) {
                            // Of 16 bits a number: no more of length 1.
                            const auto& e = change.embedding;
                            const float length =
                                std::sqrt(std::inner_product(e.begin(), e.end(), e.begin(), 0.f));
                            for (std::size_t q = 0; q < questions; ++q) {
                                const float cosine =
                                    std::inner_product(e.begin(), e.end(),
                                                       asked[q].query.embedding.begin(), 0.f) /
                                    length;
                                auto& best = nearest[q];
                                if (best.size() == kNearest && -cosine >= best.front().first)
                                    continue;
                                best.emplace_back(-cosine, change.row);
                                std::ranges::push_heap(best);
                                if (best.size() <= kNearest) continue;
                                std::ranges::pop_heap(best);
                                best.pop_back();
                            }
                            batch.push_back(std::move(change));
                            if (batch.size() == 1024) flush();
                            return true;
                        }),
         "read");
    flush();
    double found = 0, wanted = 0;
    std::string plan;
    for (std::size_t q = 0; q < questions; ++q) {
        const auto reader = index->read();
        const auto everything = need(reader->select({}, 0), "select");
        const auto got =
            need(reader->vector(asked[q].query.embedding, *everything, kNearest, .99f), "nearest");
        // Equal cosines are equally right.
        const float worst = -nearest[q].front().first - 2e-5f;
        const auto slots = [&] {
            std::vector<memory::index::Slot> out;
            for (const auto& g : got) out.push_back(g.slot);
            return out;
        }();
        for (const float cosine : reader->vector_of(asked[q].query.embedding, slots)) {
            found += cosine >= worst;
        }
        wanted += static_cast<double>(nearest[q].size());
        plan = reader->plan();
    }
    return {{"questions", questions}, {"recall_at_10", found / wanted}, {"plan", plan}};
}

/// Killed after 30 acknowledged batches, whatever it is doing then; opened and counted.
json::object kill_and_open(const Layout& layout) {
    int pipe[2];
    if (::pipe(pipe) != 0) give_up("pipe");
    const pid_t writer = ::fork();
    if (writer == 0) {
        const bench::Words words;
        const auto embedder = memory::embed::make_hashed_ngrams();
        const auto store = open_store(layout);
        for (std::size_t first = 0;; first += kKillBatch) {
            auto batch = batch_of(words, *embedder, 999'999, first, kKillBatch);
            need(store->add(batch), "add");
            const char byte = 1;
            if (::write(pipe[1], &byte, 1) != 1) ::_exit(1);
        }
    }
    ::close(pipe[1]);
    std::size_t acknowledged = 0;
    char byte = 0;
    while (acknowledged < 30 && ::read(pipe[0], &byte, 1) == 1) ++acknowledged;
    ::kill(writer, SIGKILL);
    ::waitpid(writer, nullptr, 0);
    while (::read(pipe[0], &byte, 1) == 1) ++acknowledged;
    ::close(pipe[0]);
    if (acknowledged < 30) give_up("the writer died by itself");
    const double begin = bench::wall_seconds();
    const auto store = open_store(layout);
    const double opened = bench::wall_seconds() - begin;
    std::size_t found = 0;
    memory::Filter filter;
    filter.scope.tenant = tenant_name(999'999);
    std::string cursor;
    do {
        memory::Page page =
            need(store->list(filter, memory::Order::created_ascending, 1000, cursor), "list");
        found += page.entries.size();
        cursor = page.next;
    } while (!cursor.empty());
    const std::size_t wanted = acknowledged * kKillBatch;
    return {{"acknowledged", wanted},
            {"found", found},
            {"lost", wanted > found ? wanted - found : 0},
            {"halved_batches", found % kKillBatch == 0 ? 0 : 1},
            {"open_ms", 1e3 * opened}};
}

/// In a process of its own, whose memory ends with it.
json::object apart(const std::function<json::object()>& step) {
    int pipe[2];
    if (::pipe(pipe) != 0) give_up("pipe");
    const pid_t child = ::fork();
    if (child == 0) {
        ::close(pipe[0]);
        const std::string text = base::to_text(step());
        const bool whole =
            ::write(pipe[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
        ::_exit(whole ? 0 : 1);
    }
    ::close(pipe[1]);
    std::string text;
    char part[4096];
    for (ssize_t got = 0; (got = ::read(pipe[0], part, sizeof(part))) > 0;) {
        text.append(part, static_cast<std::size_t>(got));
    }
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) give_up("a step failed");
    fmt::print(stderr, "{}\n", text);
    return json::parse(text).as_object();
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 3) give_up("usage: bench_memory_scale ENTRIES FOLDER [QUESTIONS]");
    const std::size_t entries = std::strtoull(argv[1], nullptr, 10);
    if (entries < kOfTenant || entries % kOfTenant != 0) {
        give_up(fmt::format("{} entries: expected a multiple of {}", argv[1], kOfTenant));
    }
    const std::string folder = argv[2];
    const std::size_t questions = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 2000;
    utsname kernel{};
    ::uname(&kernel);
    json::object result{
        {"command", fmt::format("bench_memory_scale {} FOLDER {}", entries, questions)},
        {"entry", "12 to 38 words, 256 numbers of hashed n-grams, given with the entry"},
        {"machine", {{"cores", std::thread::hardware_concurrency()}, {"kernel", kernel.release}}}};
    for (const Layout& layout :
         {Layout{"tenants_of_10000", folder + "/tenants", entries / kOfTenant, kOfTenant},
          Layout{"one_tenant", folder + "/one", 1, entries}}) {
        json::object of;
        fmt::print(stderr, "{}\n", layout.name);
        of["write"] = apart([&] { return write(layout); });
        of["ask"] = apart([&] { return ask(layout, questions); });
        of["vectors"] = apart([&] { return recall(layout, 100); });
        of["kill"] = apart([&] { return kill_and_open(layout); });
        result[layout.name] = std::move(of);
        fs::remove_all(layout.folder);
    }
    fmt::print("{}\n", base::to_text(result));
}
