// Steps of one model on request, for bench/engine/steps.py: prompts and decoding of several
// sequences at once, in wall and CPU time. The graph and its weights as the engine uses them,
// without requests, sampling and text, as llama.cpp's own bench tools measure.
//
// Usage: bench_engine_steps MODEL THREADS [avx2]; the last word leaves out anything newer. Commands
// on standard input, each answered by one line of JSON: "prefill TOKENS" (from an empty cache),
// "decode BATCH STEPS" (BATCH sequences, each from an empty cache), "limits" (what the machine can
// read).

#include <fmt/format.h>
#include <hwy/highway.h>

#include <cstdio>
#include <ctime>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "base/core/clock.h"
#include "base/core/rng.h"
#include "base/exec/thread_pool.h"
#include "engine/graph/model.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/machine_limits.h"
#include "engine/kv/kv_sequence.h"
#include "engine/model_files/gguf.h"
#include "engine/packed_weights.h"

namespace {

constexpr std::uint32_t kRowsMax = 512;
constexpr std::uint32_t kBatchMax = 64;
constexpr std::uint32_t kContextTokens = 2048;

double cpu_seconds() {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Times {
    double wall_s = 0, cpu_s = 0;
};

class Steps {
public:
    static base::Result<std::unique_ptr<Steps>> open(const std::string& path, std::size_t threads) {
        auto steps = std::unique_ptr<Steps>(new Steps(threads));
        const double begin = cpu_seconds();
        steps->file_ = DG_TRY(engine::GgufFile::open(path));
        steps->model_ = DG_TRY(engine::load_model(*steps->file_, {kContextTokens, kRowsMax}));
        if (steps->model_.decoder == nullptr) {
            return base::fail(base::Code::unimplemented, "{} is no decoder", path);
        }
        const auto matrices = steps->model_.decoder->products();
        steps->packed_ = DG_TRY(engine::PackedWeights::in_memory(steps->pool_, matrices));
        const engine::ExpertsConfig& experts = steps->model_.decoder->config().experts;
        for (const engine::TensorView* w : matrices) {
            const bool some = w->name.find("_exps.") != std::string::npos;
            steps->token_bytes_ += some ? w->bytes() * experts.used / experts.count : w->bytes();
        }
        steps->load_cpu_s_ = cpu_seconds() - begin;
        const engine::KvGeometry geometry = steps->model_.decoder->kv_geometry();
        steps->kv_ = std::make_unique<engine::KvPool>(
            geometry, kBatchMax * geometry.pages_for(kContextTokens / 4));
        return steps;
    }

    base::Result<Times> prefill(std::uint32_t tokens) {
        engine::KvSequence sequence = DG_TRY(start(tokens));
        const Times begin = now();
        for (std::uint32_t at = 0; at < tokens; at += kRowsMax) {
            std::vector<engine::BatchRow> rows;
            for (std::uint32_t p = at; p < std::min(tokens, at + kRowsMax); ++p) {
                rows.push_back({random_token(), &sequence, p, p + 1 == tokens});
            }
            model_.decoder->logits(pool_, rows);
        }
        return since(begin);
    }

    base::Result<Times> decode(std::uint32_t batch, std::uint32_t count) {
        std::vector<engine::KvSequence> sequences;
        for (std::uint32_t s = 0; s < batch; ++s) sequences.push_back(DG_TRY(start(count)));
        const Times begin = now();
        for (std::uint32_t p = 0; p < count; ++p) {
            std::vector<engine::BatchRow> rows;
            for (const auto& sequence : sequences) {
                rows.push_back({random_token(), &sequence, p, true});
            }
            model_.decoder->logits(pool_, rows);
        }
        return since(begin);
    }

    double read_bytes_per_second() {
        return engine::measure_machine_limits(pool_, clock_).read_bytes_per_second;
    }
    /// Of weights, read for one token alone: all of them, but only some experts.
    std::uint64_t token_bytes() const { return token_bytes_; }
    double load_cpu_s() const { return load_cpu_s_; }

private:
    explicit Steps(std::size_t threads) : pool_(threads) {}

    base::Result<engine::KvSequence> start(std::uint32_t tokens) {
        engine::KvSequence sequence = kv_->sequence();
        DG_TRY(sequence.grow_to(tokens));
        return sequence;
    }
    std::int32_t random_token() {
        return static_cast<std::int32_t>(rng_.below(model_.decoder->config().vocab_size));
    }
    Times now() const { return {base::to_seconds(clock_.now() - base::Instant()), cpu_seconds()}; }
    Times since(const Times& begin) const {
        const Times end = now();
        return {end.wall_s - begin.wall_s, end.cpu_s - begin.cpu_s};
    }

    base::SystemClock clock_;
    base::Rng rng_{1};
    base::ThreadPool pool_;
    std::optional<engine::GgufFile> file_;
    std::unique_ptr<engine::PackedWeights> packed_;
    engine::Model model_;
    std::unique_ptr<engine::KvPool> kv_;
    std::uint64_t token_bytes_ = 0;
    double load_cpu_s_ = 0;
};

base::Result<std::string> answer(Steps& steps, const std::string& line) {
    std::istringstream words(line);
    std::string command;
    std::uint32_t first = 0, second = 0;
    words >> command >> first >> second;
    if (command == "limits") {
        return fmt::format("{{\"read_bytes_per_s\": {:.0f}}}", steps.read_bytes_per_second());
    }
    Times times;
    if (command == "prefill" && first > 0 && first <= kContextTokens) {
        times = DG_TRY(steps.prefill(first));
    } else if (command == "decode" && first > 0 && first <= kBatchMax && second > 0) {
        times = DG_TRY(steps.decode(first, second));
    } else {
        return base::fail(base::Code::invalid_argument, "no such command: {}", line);
    }
    return fmt::format("{{\"wall_s\": {:.6f}, \"cpu_s\": {:.6f}}}", times.wall_s, times.cpu_s);
}

}  // namespace

int main(int argc, char** argv) {
    const std::size_t threads = argc >= 3 ? std::strtoul(argv[2], nullptr, 10) : 0;
    const std::string isa = argc == 4 ? argv[3] : "";
    if (threads == 0 || argc > 4 || (!isa.empty() && isa != "avx2")) {
        fmt::print(stderr, "usage: bench_engine_steps MODEL THREADS [avx2]\n");
        return 64;
    }
    if (!isa.empty()) hwy::SetSupportedTargetsForTest(HWY_AVX2);
    const auto steps = Steps::open(argv[1], threads);
    if (!steps) {
        fmt::print(stderr, "{}\n", steps.error().message);
        return 1;
    }
    fmt::print(
        "{{\"engine\": \"dougong\", \"target\": \"{}\", \"load_cpu_s\": {:.3f}, "
        "\"token_bytes\": {}}}\n",
        engine::kernel_target_name(), (*steps)->load_cpu_s(), (*steps)->token_bytes());
    std::fflush(stdout);
    for (std::string line; std::getline(std::cin, line);) {
        const auto result = answer(**steps, line);
        fmt::print("{}\n", result ? *result : "{\"error\": \"" + result.error().message + "\"}");
        std::fflush(stdout);
    }
    return 0;
}
