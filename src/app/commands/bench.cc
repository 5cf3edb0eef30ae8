// dougong bench: how fast a model runs here, and how close that is to what the memory allows.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <thread>

#include "app/build_info.h"
#include "app/commands/commands.h"
#include "app/measure.h"
#include "app/model_store.h"
#include "app/terminal/interrupt.h"
#include "app/terminal/progress_bar.h"
#include "app/terminal/terminal.h"
#include "base/exec/thread_pool.h"
#include "base/json/json.h"
#include "engine/kernels/kernels.h"
#include "engine/kernels/machine_limits.h"

namespace app {
namespace {

using base::Code;
using base::Result;
namespace json = base::json;

constexpr std::uint32_t kDecodePromptTokens = 16;

struct Plan {
    std::vector<std::uint32_t> prompt_tokens;
    std::vector<std::uint32_t> depths;
    std::uint32_t decode_tokens = 64;
    std::uint32_t repeats = 3;
};

struct Samples {
    std::vector<double> load_ms, decode_tokens_per_s, decode_tokens_per_cpu_s, read_bytes_per_s;
    std::map<std::uint32_t, std::vector<double>> prefill_tokens_per_s, prefill_tokens_per_cpu_s;
    std::map<std::uint32_t, std::vector<double>> decode_at_depth, cpu_at_depth;
};

Result<std::vector<std::uint32_t>> counts_of(const Args& args, const std::string& option) {
    std::vector<std::uint32_t> counts;
    for (const std::string& text : args.all(option)) {
        Args one;
        one.add(option, text);
        counts.push_back(*DG_TRY(one.count(option, 1, 1'000'000)));
    }
    return counts;
}

Result<Plan> plan_from(const Args& args) {
    Plan plan;
    plan.decode_tokens = DG_TRY(args.count("--decode-tokens", 2, 100'000)).value_or(64);
    plan.repeats = DG_TRY(args.count("--repeats", 1, 1000)).value_or(3);
    plan.prompt_tokens = DG_TRY(counts_of(args, "--prompt-tokens"));
    plan.depths = DG_TRY(counts_of(args, "--depth"));
    if (plan.prompt_tokens.empty()) plan.prompt_tokens = {32, 128, 512};
    return plan;
}

Result<void> check_fits(const Plan& plan, const engine::ModelInfo& info) {
    const std::uint32_t deepest = plan.depths.empty() ? 0 : *std::ranges::max_element(plan.depths);
    const std::uint32_t longest =
        std::max(*std::ranges::max_element(plan.prompt_tokens) + 1,
                 std::max(kDecodePromptTokens, deepest) + plan.decode_tokens);
    if (longest <= info.context_tokens) return {};
    return base::fail(Code::invalid_argument,
                      "this needs a context of {} tokens and the model is open with {}; give fewer "
                      "--prompt-tokens, --depth or --decode-tokens, or a larger --context",
                      longest, info.context_tokens);
}

/// What one decoded token has to read: every weight but an embedding table that only a row of is
/// looked up in.
std::uint64_t weights_bytes_per_token(const engine::ModelDetails& details) {
    const auto& tensors = details.tensors;
    const bool untied = std::ranges::any_of(
        tensors, [](const auto& tensor) { return tensor.name == "output.weight"; });
    std::uint64_t bytes = 0;
    for (const auto& tensor : tensors) {
        if (!(untied && tensor.name == "token_embd.weight")) bytes += tensor.bytes;
    }
    return bytes;
}

/// One round measures everything once, so that a drift of the machine's speed hits all alike.
Result<void> measure_round(const Plan& plan, const std::string& model, const Program& program,
                           const std::function<bool()>& stop_asked, std::uint64_t seed,
                           Samples& samples) {
    const OpenModel open = DG_TRY(open_model(DG_TRY(locate_model(model, program)), program));
    engine::Engine& engine = *open.engine;
    if (engine.info().kind == engine::ModelKind::encoder) {
        return base::fail(Code::invalid_argument, "{} is an encoder; bench measures generators",
                          open.located.id);
    }
    DG_TRY(check_fits(plan, engine.info()));
    samples.load_ms.push_back(open.load_ms);
    base::Rng rng(seed);
    const auto prompt = [&](std::size_t length) {
        return random_prompt(engine.tokenizer(), length, rng);
    };
    // The first request touches every weight page and is not counted.
    DG_TRY(measure_request(engine, prompt(kDecodePromptTokens), 2, stop_asked));
    for (const std::uint32_t length : plan.prompt_tokens) {
        const PhaseTimes times = DG_TRY(measure_request(engine, prompt(length), 1, stop_asked));
        samples.prefill_tokens_per_s[length].push_back(times.prefill_tokens_per_s());
        samples.prefill_tokens_per_cpu_s[length].push_back(times.prefill_tokens_per_cpu_s());
    }
    const PhaseTimes times = DG_TRY(
        measure_request(engine, prompt(kDecodePromptTokens), plan.decode_tokens, stop_asked));
    samples.decode_tokens_per_s.push_back(times.decode_tokens_per_s());
    samples.decode_tokens_per_cpu_s.push_back(times.decode_tokens_per_cpu_s());
    for (const std::uint32_t depth : plan.depths) {
        const PhaseTimes deep =
            DG_TRY(measure_request(engine, prompt(depth), plan.decode_tokens, stop_asked));
        samples.decode_at_depth[depth].push_back(deep.decode_tokens_per_s());
        samples.cpu_at_depth[depth].push_back(deep.decode_tokens_per_cpu_s());
    }
    return {};
}

std::uint32_t threads_used(const Config& config) {
    return config.engine.threads != 0 ? config.engine.threads
                                      : std::max(1u, std::thread::hardware_concurrency());
}

json::object report_json(const std::string& model, const Plan& plan, const Samples& samples,
                         std::uint64_t bytes_per_token, std::uint32_t threads) {
    json::array prefill;
    for (const auto& [length, values] : samples.prefill_tokens_per_s) {
        prefill.push_back(
            {{"prompt_tokens", length},
             {"tokens_per_s", median(values)},
             {"tokens_per_cpu_s", median(samples.prefill_tokens_per_cpu_s.at(length))}});
    }
    json::array deep;
    for (const auto& [depth, values] : samples.decode_at_depth) {
        deep.push_back({{"depth", depth},
                        {"tokens_per_s", median(values)},
                        {"tokens_per_cpu_s", median(samples.cpu_at_depth.at(depth))}});
    }
    const double decode = median(samples.decode_tokens_per_s);
    const double bandwidth = median(samples.read_bytes_per_s);
    const auto& longest = samples.prefill_tokens_per_s.rbegin()->second;
    return {{"model", model},
            {"version", build_info().version},
            {"commit", build_info().commit},
            {"kernel_target", engine::kernel_target_name()},
            {"threads", threads},
            {"repeats", plan.repeats},
            {"decode_tokens", plan.decode_tokens},
            {"load_ms", median(samples.load_ms)},
            {"prefill", std::move(prefill)},
            {"prefill_tokens_per_s", median(longest)},
            {"prefill_tokens_per_cpu_s", median(samples.prefill_tokens_per_cpu_s.rbegin()->second)},
            {"decode_tokens_per_s", decode},
            {"decode_tokens_per_cpu_s", median(samples.decode_tokens_per_cpu_s)},
            {"decode_at_depth", std::move(deep)},
            {"weights_bytes_per_token", bytes_per_token},
            {"read_bytes_per_s", bandwidth},
            {"bandwidth_share",
             bandwidth > 0 ? decode * static_cast<double>(bytes_per_token) / bandwidth : 0}};
}

void print_report(const Terminal& terminal, const json::object& report) {
    const auto number = [&](std::string_view key) { return report.at(key).to_number<double>(); };
    terminal.out(fmt::format("{} with {} threads, {} kernels, median of {}\n",
                             std::string_view(report.at("model").get_string()), number("threads"),
                             std::string_view(report.at("kernel_target").get_string()),
                             number("repeats")));
    terminal.out(fmt::format("  load             {:9.1f} ms\n", number("load_ms")));
    for (const json::value& row : report.at("prefill").get_array()) {
        terminal.out(fmt::format("  prefill {:>6}   {:9.1f} tokens/s\n",
                                 row.at("prompt_tokens").to_number<std::uint64_t>(),
                                 row.at("tokens_per_s").to_number<double>()));
    }
    terminal.out(fmt::format("  decode  {:>6}   {:9.1f} tokens/s\n", number("decode_tokens"),
                             number("decode_tokens_per_s")));
    for (const json::value& row : report.at("decode_at_depth").get_array()) {
        terminal.out(fmt::format("  after {:>8}   {:9.1f} tokens/s\n",
                                 row.at("depth").to_number<std::uint64_t>(),
                                 row.at("tokens_per_s").to_number<double>()));
    }
    terminal.out(fmt::format("  weights per token {:>8}\n",
                             format_bytes(number("weights_bytes_per_token"))));
    terminal.out(fmt::format("  memory read      {:>9}/s measured; decode reaches {:.0f} % of it\n",
                             format_bytes(number("read_bytes_per_s")),
                             100 * number("bandwidth_share")));
}

Result<int> run(const Args& args, Program& program) {
    const Plan plan = DG_TRY(plan_from(args));
    const std::string model = args.value("MODEL").value_or(program.config().models.model);
    const Interrupt interrupt(Interrupt::Signals::ctrl_c_and_term);
    const LocatedModel located = DG_TRY(locate_model(model, program));
    const auto catalog = DG_TRY(open_catalog(program));
    const std::uint64_t bytes_per_token =
        weights_bytes_per_token(DG_TRY(catalog.inspect(located.path)));
    const std::uint32_t threads = threads_used(program.config());

    base::ThreadPool pool(threads);
    Samples samples;
    for (std::uint32_t round = 0; round < plan.repeats; ++round) {
        DG_TRY(measure_round(
            plan, model, program, [&] { return interrupt.raised(); }, round + 1, samples));
        samples.read_bytes_per_s.push_back(
            engine::measure_machine_limits(pool, program.clock).read_bytes_per_second);
    }
    const json::object report = report_json(located.id, plan, samples, bytes_per_token, threads);
    if (args.has("--json")) {
        program.terminal.out(base::to_text(report) + "\n");
    } else {
        print_report(program.terminal, report);
    }
    return 0;
}

}  // namespace

Command bench_command() {
    return {.name = "bench",
            .summary = "Measure load time, prefill and decode speed of a model",
            .about =
                "Measures how long a model takes to load, how many tokens a second it reads "
                "(prefill) and writes (decode), and what share of this machine's measured memory "
                "bandwidth decoding reaches. Rounds measure everything in turn; medians are "
                "printed.",
            .positionals = {{"MODEL", "as for --model; by default the configured model"}},
            .options = {{"--prompt-tokens", "N",
                         "Prompt length; may be given several times [default "
                         "32, 128 and 512]."},
                        {"--decode-tokens", "N", "Tokens to write [default 64]."},
                        {"--depth", "N",
                         "Also write after a prompt of N tokens; may be given several times."},
                        {"--repeats", "N", "Rounds [default 3]."},
                        {"--json", "", "One JSON object."}},
            .examples = {{"dougong bench", "The default model."},
                         {"dougong bench my.gguf --threads 2 --repeats 5 --json",
                          "A file, for a program to read."}},
            .config_sections = {"models", "engine"},
            .run = run,
            .subcommands = {}};
}

}  // namespace app
