// What a schema costs while tokens are made: the same number of tokens free and under a schema,
// one after the other, repeated; medians of the decode rate and of their ratio.
//
//   bench_constrain_overhead MODEL.gguf [tokens] [rounds] [threads] [temperature]
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>

#include "engine/constrain/schema.h"
#include "engine/engine.h"

namespace {

using engine::Completion;

class Sink final : public engine::GenerationSink {
public:
    void on_token(const engine::TokenEvent&) override {}
    void on_finish(const Completion& end) override {
        const std::lock_guard lock(mutex_);
        end_ = end;
        finished_ = true;
        changed_.notify_all();
    }
    Completion wait() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return finished_; });
        return end_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    Completion end_;
    bool finished_ = false;
};

/// CPU time of the whole process: what neighbours take does not count.
double cpu_seconds() {
    timespec now{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// A list that never has to end: any number of tokens can be asked for.
constexpr std::string_view kSchema = R"({"type":"array","minItems":100000,"items":{"type":"object",
    "properties":{"name":{"type":"string","minLength":3,"maxLength":30},
    "category":{"enum":["electronics","clothing","groceries","furniture"]},
    "price":{"type":"number","minimum":0,"maximum":9999},
    "description":{"type":"string","minLength":10,"maxLength":120},
    "in_stock":{"type":"boolean"},
    "tags":{"type":"array","items":{"type":"string","maxLength":12},"maxItems":3}},
    "required":["name","category","price","description","in_stock","tags"],
    "additionalProperties":false}})";

struct Kind {
    const char* name;
    std::shared_ptr<const engine::constrain::Grammar> grammar;
    std::vector<double> wall_ms, cpu_ms;  ///< per token
};

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr,
                     "usage: bench_constrain_overhead MODEL.gguf [tokens] [rounds] [threads] "
                     "[temperature]\n");
        return 2;
    }
    const auto argument = [&](int at, unsigned otherwise) {
        return argc > at ? static_cast<unsigned>(std::strtoul(argv[at], nullptr, 10)) : otherwise;
    };
    const unsigned tokens = argument(2, 256), rounds = argument(3, 7), threads = argument(4, 1);
    const float temperature = argc > 5 ? std::strtof(argv[5], nullptr) : 0.8f;
    const base::SystemClock clock;
    auto engine = engine::Engine::open(
        argv[1], {.threads = threads, .context_tokens_max = 2048, .kv_bytes_max = 512u << 20},
        clock);
    if (!engine) {
        std::fprintf(stderr, "%s\n", engine.error().message.c_str());
        return 1;
    }
    const auto schema = *base::parse_json(kSchema);
    const auto compiled = [&](engine::constrain::SchemaOptions options) {
        return engine::constrain::compile_schema(schema, options).value();
    };
    Kind kinds[] = {
        {"free", nullptr, {}, {}},
        {"schema, free space", compiled({}), {}, {}},
        {"schema, one spelling", compiled({.whitespace_max = 0, .compact = false}), {}, {}}};
    const auto prompt = (*engine)->tokenizer().encode(
        "A shop's list of products, as JSON with name, category, price, description, in_stock and "
        "tags:\n");
    std::vector<double> forced_share;
    for (unsigned round = 0; round <= rounds; ++round) {  // the first one warms up
        for (Kind& kind : kinds) {
            engine::GenerateRequest request;
            request.prompt = prompt;
            request.sampling = {.temperature = temperature, .seed = round};
            request.max_tokens = tokens;
            request.ignore_eos = true;
            request.grammar = kind.grammar;
            const auto sink = std::make_shared<Sink>();
            const auto forced = (*engine)->stats().forced_tokens_total;
            const double cpu = cpu_seconds();
            if (!(*engine)->submit(std::move(request), sink)) return 1;
            const Completion end = sink->wait();
            const double cpu_used = cpu_seconds() - cpu;
            if (end.completion_tokens != tokens) {
                std::fprintf(stderr, "%s: %u tokens instead of %u\n", kind.name,
                             end.completion_tokens, tokens);
                return 1;
            }
            if (round == 0) continue;
            const double wall = base::to_seconds(end.finished - end.first_token);
            kind.wall_ms.push_back(wall * 1e3 / tokens);
            kind.cpu_ms.push_back(cpu_used * 1e3 / tokens);
            if (&kind == &kinds[2]) {
                forced_share.push_back(
                    static_cast<double>((*engine)->stats().forced_tokens_total - forced) / tokens);
            }
        }
    }
    std::printf(
        "%u tokens, %u rounds interleaved, %u threads, temperature %.1f; per token, median (CPU: "
        "prompt included)\n",
        tokens, rounds, threads, static_cast<double>(temperature));
    for (const Kind& kind : kinds) {
        std::vector<double> wall, cpu;
        for (std::size_t i = 0; i < kind.wall_ms.size(); ++i) {
            wall.push_back(kind.wall_ms[i] / kinds[0].wall_ms[i]);
            cpu.push_back(kind.cpu_ms[i] / kinds[0].cpu_ms[i]);
        }
        std::printf("%-22s wall %6.2f ms (%.3f of free)   CPU %6.2f ms (%.3f of free)\n", kind.name,
                    median(kind.wall_ms), median(wall), median(kind.cpu_ms), median(cpu));
    }
    std::printf("forced share with one spelling: %.2f\n", median(forced_share));
    return 0;
}
