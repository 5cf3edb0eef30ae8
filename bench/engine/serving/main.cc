// How requests share one engine, measured in process: what a long prompt does to a running stream,
// what a cached prefix saves, and what many agents on one system prompt hold in memory.
//
//   bench_serving --model M.gguf [--threads 2] [--tokens 8000] [--agents 64] [--gap-ms 0]
//                 [--parts stall,prefix,agents]
//
// Prints one JSON object. Prompts are random tokens, so that nothing is cached by chance.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
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
    std::uint32_t threads = 2, tokens = 8000, agents = 64, rounds = 3;
    double gap_ms = 0;
};

/// Remembers when each token came.
class Times final : public engine::GenerationSink {
public:
    void on_token(const engine::TokenEvent&) override {
        const std::lock_guard lock(mutex_);
        at_.push_back(kClock.now());
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
    /// Milliseconds between tokens whose later one came in [from, to].
    std::vector<double> gaps_ms(base::Instant from, base::Instant to) {
        const std::lock_guard lock(mutex_);
        std::vector<double> gaps;
        for (std::size_t i = 1; i < at_.size(); ++i) {
            if (at_[i] < from || at_[i - 1] > to) continue;
            gaps.push_back(base::to_millis(at_[i] - at_[i - 1]));
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
    engine::Completion completion_;
    bool finished_ = false;
};

double quantile(std::vector<double> values, double share) {
    if (values.empty()) return 0.;
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

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

    std::string stall() {
        std::vector<double> alone, beside, normal, stretched;
        for (std::uint32_t round = 0; round < settings_.rounds; ++round) {
            alone.push_back(
                settings_.tokens /
                first_token_s(submit(random_tokens(settings_.tokens), 1).second->wait()));
            const auto [id, stream] = submit(random_tokens(16), 0);
            stream->wait_tokens(48);
            const base::Instant arrival = kClock.now();
            std::ranges::copy(stream->gaps_ms(base::Instant{}, arrival),
                              std::back_inserter(normal));
            const engine::Completion done =
                submit(random_tokens(settings_.tokens), 1).second->wait();
            std::ranges::copy(stream->gaps_ms(arrival, done.first_token),
                              std::back_inserter(stretched));
            beside.push_back(settings_.tokens / first_token_s(done));
            engine_.cancel(id);
            stream->wait();
        }
        const double usual = quantile(normal, 0.5);
        return fmt::format(
            R"("stall":{{"prompt_tokens":{},"normal_gap_ms":{:.2f},"gap_p50_ms":{:.2f},"gap_p99_ms":{:.2f},"gap_max_ms":{:.2f},"p50_ratio":{:.2f},"p99_ratio":{:.2f},"max_ratio":{:.2f},"normal_max_ms":{:.2f},"prefill_alone":{:.1f},"prefill_beside":{:.1f},"prefill_loss":{:.3f}}})",
            settings_.tokens, usual, quantile(stretched, 0.5), quantile(stretched, 0.99),
            quantile(stretched, 1.), quantile(stretched, 0.5) / usual,
            quantile(stretched, 0.99) / usual, quantile(stretched, 1.) / usual,
            quantile(normal, 1.), quantile(alone, 0.5), quantile(beside, 0.5),
            1. - quantile(beside, 0.5) / quantile(alone, 0.5));
    }

    /// First token of a cached prefix and 16 new tokens, against those 16 at the same depth alone.
    std::string prefix() {
        const std::uint32_t cached = std::min(settings_.tokens, 4096u);
        std::vector<double> cold, warm, decode;
        std::uint32_t found = 0;
        for (std::uint32_t round = 0; round < settings_.rounds; ++round) {
            std::vector<TokenId> prompt = random_tokens(cached);
            cold.push_back(first_token_s(submit(prompt, 1).second->wait()));
            std::ranges::copy(random_tokens(16), std::back_inserter(prompt));
            const auto [id, sink] = submit(prompt, 16);
            const engine::Completion done = sink->wait();
            found = done.cached_tokens;
            warm.push_back(first_token_s(done));
            decode.push_back(base::to_seconds(done.finished - done.first_token) / 15);
        }
        return fmt::format(
            R"("prefix":{{"prefix_tokens":{},"new_tokens":16,"found_tokens":{},"cold_first_token_s":{:.4f},"warm_first_token_s":{:.4f},"decode_row_s":{:.4f},"new_rows_expected_s":{:.4f}}})",
            cached, found, quantile(cold, 0.5), quantile(warm, 0.5), quantile(decode, 0.5),
            quantile(decode, 0.5));
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
    fmt::print("{{{}}}\n", fmt::join(parts, ","));
    return 0;
}
