// How requests share one engine, measured in process: what a long prompt does to a running stream,
// what a cached prefix saves, and what many agents on one system prompt hold in memory.
//
//   bench_serving --model M.gguf [--threads 2] [--tokens 8000] [--agents 64] [--gap-ms 0]
//                 [--parts stall,prefix,agents,busy] [--busy 4]
//
// Prints one JSON object. Prompts are random tokens, so that nothing is cached by chance.
//
// A stream gets deeper while the prompt is read, and with it slower all by itself. So its gaps are
// compared with what they are without the prompt at the same depth: on the line between the medians
// before the prompt and after it. The process time between two tokens, divided by the threads, says
// what a gap would have been had no neighbour taken a core; workers wait spinning, so it errs on
// the long side.

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/core/clock.h"
#include "base/core/rng.h"
#include "engine/engine.h"

namespace {

using engine::Engine;
using engine::GenerateRequest;
using engine::TokenId;

const base::SystemClock kClock;

struct Settings {
    std::string model, parts = "stall,prefix,agents";
    std::uint32_t threads = 2, tokens = 8000, agents = 64, rounds = 3, busy = 4;
    double gap_ms = 0;
};

/// Seconds this process has computed, all threads together.
double process_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Between two tokens, the later of which has `index`.
struct Gap {
    std::size_t index = 0;
    double ms = 0, busy_ms = 0;  ///< by the clock; by process time, all threads together
};

/// Remembers when each token came.
class Times final : public engine::GenerationSink {
public:
    void on_token(const engine::TokenEvent&) override {
        const std::lock_guard lock(mutex_);
        at_.push_back(kClock.now());
        busy_s_.push_back(process_seconds());
        changed_.notify_all();
    }
    void on_finish(const engine::Completion& completion) override {
        const std::lock_guard lock(mutex_);
        completion_ = completion;
        finished_ = true;
        changed_.notify_all();
    }
    engine::Completion wait() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return finished_; });
        return completion_;
    }
    void wait_tokens(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return finished_ || at_.size() >= count; });
    }
    /// Those that overlap [from, to].
    std::vector<Gap> gaps(base::Instant from, base::Instant to) {
        const std::lock_guard lock(mutex_);
        std::vector<Gap> gaps;
        for (std::size_t i = 1; i < at_.size(); ++i) {
            if (at_[i] < from || at_[i - 1] > to) continue;
            gaps.push_back(
                {i, base::to_millis(at_[i] - at_[i - 1]), 1e3 * (busy_s_[i] - busy_s_[i - 1])});
        }
        return gaps;
    }
    std::size_t tokens() {
        const std::lock_guard lock(mutex_);
        return at_.size();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<base::Instant> at_;
    std::vector<double> busy_s_;  ///< process_seconds() then
    engine::Completion completion_;
    bool finished_ = false;
};

double quantile(std::vector<double> values, double share) {
    if (values.empty()) return 0.;
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

/// The median gap without a prompt, by the stream's length.
struct NormalGap {
    std::size_t first = 0, last = 0;
    double first_ms = 0, last_ms = 0;

    double at(std::size_t index) const {
        const auto way = static_cast<double>(index - std::min(index, first));
        return first_ms + (last_ms - first_ms) * way / static_cast<double>(last - first);
    }
};

double median_ms(const std::vector<Gap>& gaps) {
    std::vector<double> ms;
    for (const Gap& gap : gaps) ms.push_back(gap.ms);
    return quantile(ms, 0.5);
}

/// Processes that want a core each.
class Neighbours {
public:
    explicit Neighbours(std::uint32_t count) {
        posix_spawn_file_actions_t to_nowhere;
        posix_spawn_file_actions_init(&to_nowhere);
        posix_spawn_file_actions_addopen(&to_nowhere, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
        std::array<char, 4> yes{"yes"};
        const std::array<char*, 2> words{yes.data(), nullptr};
        for (std::uint32_t i = 0; i < count; ++i) {
            pid_t pid = 0;
            const int error =
                posix_spawnp(&pid, "yes", &to_nowhere, nullptr, words.data(), environ);
            if (error != 0) {
                fmt::print(stderr, "yes(1) does not start: error {}\n", error);
                std::exit(1);
            }
            pids_.push_back(pid);
        }
        posix_spawn_file_actions_destroy(&to_nowhere);
    }
    ~Neighbours() {
        for (const pid_t pid : pids_) {
            kill(pid, SIGKILL);
            waitpid(pid, nullptr, 0);
        }
    }
    Neighbours(const Neighbours&) = delete;
    Neighbours& operator=(const Neighbours&) = delete;

private:
    std::vector<pid_t> pids_;
};

class Bench {
public:
    Bench(Engine& engine, const Settings& settings) : engine_(engine), settings_(settings) {}

    std::vector<TokenId> random_tokens(std::uint32_t count) {
        std::vector<TokenId> tokens(count);
        for (TokenId& token : tokens) token = static_cast<TokenId>(300 + rng_.below(20'000));
        return tokens;
    }

    std::pair<engine::GenerationId, std::shared_ptr<Times>> submit(std::vector<TokenId> prompt,
                                                                   std::uint32_t max_tokens) {
        GenerateRequest request;
        request.prompt = std::move(prompt);
        request.sampling.temperature = 0.f;
        request.max_tokens = max_tokens;
        request.ignore_eos = true;
        auto sink = std::make_shared<Times>();
        const auto id = engine_.submit(std::move(request), sink);
        if (!id) {
            fmt::print(stderr, "refused: {}\n", id.error().message);
            std::exit(1);
        }
        return {*id, sink};
    }

    static double first_token_s(const engine::Completion& completion) {
        return base::to_seconds(completion.first_token - completion.submitted);
    }

    /// In the first round the engine has never seen a prompt: its plans rest on single rows.
    std::string stall() {
        constexpr std::size_t kQuiet = 48;  // tokens before and after
        std::vector<double> alone, beside, normal, stretched, ratios, busy_ratios;
        for (std::uint32_t round = 0; round < settings_.rounds; ++round) {
            const auto [id, stream] = submit(random_tokens(16), 0);
            stream->wait_tokens(kQuiet);
            const base::Instant arrival = kClock.now();
            const engine::Completion done =
                submit(random_tokens(settings_.tokens), 1).second->wait();
            const std::size_t deep = stream->tokens();
            stream->wait_tokens(deep + kQuiet);
            engine_.cancel(id);
            stream->wait();
            const std::vector<Gap> before = stream->gaps(base::Instant{}, arrival);
            const std::vector<Gap> after = stream->gaps(done.finished, kClock.now());
            const NormalGap usual{kQuiet / 2, deep + kQuiet / 2, median_ms(before),
                                  median_ms(after)};
            normal.push_back(usual.first_ms);
            for (const Gap& gap : stream->gaps(arrival, done.first_token)) {
                stretched.push_back(gap.ms);
                ratios.push_back(gap.ms / usual.at(gap.index));
                busy_ratios.push_back(gap.busy_ms / settings_.threads / usual.at(gap.index));
            }
            beside.push_back(settings_.tokens / first_token_s(done));
            alone.push_back(
                settings_.tokens /
                first_token_s(submit(random_tokens(settings_.tokens), 1).second->wait()));
        }
        return fmt::format(
            R"("stall":{{"prompt_tokens":{},"normal_gap_ms":{:.2f},"gap_p50_ms":{:.2f},"gap_max_ms":{:.2f},"p50_ratio":{:.2f},"p99_ratio":{:.2f},"max_ratio":{:.2f},"busy_p99_ratio":{:.2f},"busy_max_ratio":{:.2f},"prefill_alone":{:.1f},"prefill_beside":{:.1f},"prefill_loss":{:.3f}}})",
            settings_.tokens, quantile(normal, 0.5), quantile(stretched, 0.5),
            quantile(stretched, 1.), quantile(ratios, 0.5), quantile(ratios, 0.99),
            quantile(ratios, 1.), quantile(busy_ratios, 0.99), quantile(busy_ratios, 1.),
            quantile(alone, 0.5), quantile(beside, 0.5),
            1. - quantile(beside, 0.5) / quantile(alone, 0.5));
    }

    /// First token of a cached prefix and 16 new tokens: against computing those 16 rows at their
    /// depth, which leaves what finding the prefix costs, and against 16 tokens that follow
    /// nothing, which leaves what attending to it costs as well.
    std::string prefix() {
        const std::uint32_t cached = std::min(settings_.tokens, 4096u);
        std::vector<double> cold, warm, rows, suffix;
        std::uint32_t found = 0;
        for (std::uint32_t round = 0; round < settings_.rounds; ++round) {
            std::vector<TokenId> prompt = random_tokens(cached);
            // Two tokens: with the second, the statistics have the step of the first.
            cold.push_back(first_token_s(submit(prompt, 2).second->wait()));
            std::ranges::copy(random_tokens(16), std::back_inserter(prompt));
            const double read_before = engine_.stats().prefill_seconds_total;
            const engine::Completion done = submit(prompt, 2).second->wait();
            rows.push_back(engine_.stats().prefill_seconds_total - read_before);
            found = done.cached_tokens;
            warm.push_back(first_token_s(done));
            suffix.push_back(first_token_s(submit(random_tokens(16), 2).second->wait()));
        }
        return fmt::format(
            R"("prefix":{{"prefix_tokens":{},"new_tokens":16,"found_tokens":{},"cold_first_token_ms":{:.2f},"warm_first_token_ms":{:.2f},"new_rows_ms":{:.2f},"suffix_alone_ms":{:.2f},"warm_over_new_rows":{:.3f},"warm_over_suffix":{:.3f}}})",
            cached, found, 1e3 * quantile(cold, 0.5), 1e3 * quantile(warm, 0.5),
            1e3 * quantile(rows, 0.5), 1e3 * quantile(suffix, 0.5),
            quantile(warm, 0.5) / quantile(rows, 0.5), quantile(warm, 0.5) / quantile(suffix, 0.5));
    }

    /// Decoding beside processes that compute all the time, as a share of what the threads are due:
    /// every runnable thread the same time.
    std::string busy() {
        std::vector<double> alone, beside;
        for (std::uint32_t round = 0; round < settings_.rounds; ++round) {
            alone.push_back(decode_rate());
            const Neighbours neighbours(settings_.busy);
            beside.push_back(decode_rate());
        }
        const double cores = std::thread::hardware_concurrency();
        const double due = std::min(1., cores / (settings_.threads + settings_.busy));
        return fmt::format(
            R"("busy":{{"neighbours":{},"threads":{},"cores":{},"alone_tokens_s":{:.1f},"beside_tokens_s":{:.1f},"share_of_fair":{:.3f}}})",
            settings_.busy, settings_.threads, cores, quantile(alone, 0.5), quantile(beside, 0.5),
            quantile(beside, 0.5) / (quantile(alone, 0.5) * due));
    }

    /// Agents that arrive together with one system prompt and an own question each.
    std::string agents() {
        const std::vector<TokenId> system = random_tokens(settings_.tokens);
        const base::Instant begin = kClock.now();
        const std::uint64_t prompt_before = engine_.stats().prompt_tokens_total;
        std::vector<std::shared_ptr<Times>> sinks;
        for (std::uint32_t agent = 0; agent < settings_.agents; ++agent) {
            std::vector<TokenId> prompt = system;
            std::ranges::copy(random_tokens(24), std::back_inserter(prompt));
            sinks.push_back(submit(std::move(prompt), 8).second);
        }
        std::uint32_t pages_max = 0;
        for (const auto& sink : sinks) {
            for (std::size_t n = 1; n <= 8; ++n) {
                sink->wait_tokens(n);
                const engine::EngineStats stats = engine_.stats();
                pages_max = std::max(pages_max, stats.kv_pages_used - stats.kv_pages_cached);
            }
        }
        std::uint64_t cached = 0;
        for (const auto& sink : sinks) cached += sink->wait().cached_tokens;
        const std::uint64_t computed = engine_.stats().prompt_tokens_total - prompt_before;
        const std::uint32_t one_copy = settings_.tokens / 32;
        return fmt::format(
            R"("agents":{{"agents":{},"system_tokens":{},"computed_tokens":{},"cached_tokens":{},"pages_max":{},"one_copy_pages":{},"pages_ratio":{:.3f},"tail_pages":{},"seconds":{:.2f}}})",
            settings_.agents, settings_.tokens, computed, cached, pages_max, one_copy,
            static_cast<double>(pages_max) / one_copy, settings_.agents * 2,
            base::to_seconds(kClock.now() - begin));
    }

private:
    /// Tokens per second of one stream.
    double decode_rate() {
        const engine::Completion done = submit(random_tokens(16), 129).second->wait();
        return 128. / base::to_seconds(done.finished - done.first_token);
    }

    Engine& engine_;
    const Settings& settings_;
    base::Rng rng_{20'261'122};
};

}  // namespace

int main(int argc, char** argv) {
    Settings settings;
    CLI::App app("Measures how requests share one engine.");
    app.add_option("--model", settings.model)->required();
    app.add_option("--threads", settings.threads);
    app.add_option("--tokens", settings.tokens);
    app.add_option("--agents", settings.agents);
    app.add_option("--rounds", settings.rounds);
    app.add_option("--busy", settings.busy, "busy neighbours of the part busy");
    app.add_option("--gap-ms", settings.gap_ms);
    app.add_option("--parts", settings.parts);
    CLI11_PARSE(app, argc, argv);
    const auto wants = [&](const char* part) {
        return settings.parts.find(part) != std::string::npos;
    };
    engine::EngineOptions options{.threads = settings.threads};
    options.token_gap_target_ms = settings.gap_ms;
    options.running_max = std::max(16u, settings.agents);
    options.kv_bytes_max = 3ull << 30;
    auto engine = Engine::open(settings.model, options, kClock);
    if (!engine) {
        fmt::print(stderr, "{}\n", engine.error().message);
        return 1;
    }
    Bench bench(**engine, settings);
    std::vector<std::string> parts = {fmt::format(R"("model":"{}")", (*engine)->info().name)};
    if (wants("stall")) parts.push_back(bench.stall());
    if (wants("prefix")) parts.push_back(bench.prefix());
    if (wants("agents")) parts.push_back(bench.agents());
    if (wants("busy")) parts.push_back(bench.busy());
    fmt::print("{{{}}}\n", fmt::join(parts, ","));
    return 0;
}
