#include "gate/engine_metrics.h"

#include <fmt/format.h>

#include <array>
#include <string_view>

namespace gate {
namespace {

using base::metrics::Kind;

struct Figure {
    Kind kind;
    std::string_view name;  ///< behind dougong_engine_ and dougong_engine_model_
    std::string_view help;
    double (*of)(const BackendStats& stats);
};

template <auto kMember>
double value(const BackendStats& stats) {
    return static_cast<double>(stats.*kMember);
}
template <auto kMember>
double seconds_of_ms(const BackendStats& stats) {
    return stats.*kMember / 1000;
}

using S = BackendStats;
constexpr std::array kFigures = {
    Figure{Kind::gauge, "requests_queued", "Requests waiting for a place in the batch.",
           value<&S::queued>},
    Figure{Kind::gauge, "requests_running", "Requests in the batch.", value<&S::running>},
    Figure{Kind::gauge, "kv_pages_used", "KV pages in use.", value<&S::kv_pages_used>},
    Figure{Kind::gauge, "kv_pages_total", "KV pages there are.", value<&S::kv_pages_total>},
    Figure{Kind::gauge, "kv_pages_cached", "KV pages held by the prefix cache alone.",
           value<&S::kv_pages_cached>},
    Figure{Kind::gauge, "batch_requests_max", "Places in the batch.", value<&S::running_max>},
    Figure{Kind::gauge, "batch_rows", "Rows computed in the last step.",
           value<&S::batch_rows_last>},
    Figure{Kind::gauge, "batch_rows_max", "Rows that one step may compute.",
           value<&S::batch_rows_max>},
    Figure{Kind::gauge, "token_gap_p50_seconds", "Time between tokens, last minute, median.",
           seconds_of_ms<&S::gap_p50_ms>},
    Figure{Kind::gauge, "token_gap_p99_seconds",
           "Time between tokens, last minute, 99th percentile.", seconds_of_ms<&S::gap_p99_ms>},
    Figure{Kind::gauge, "token_gap_max_seconds", "Time between tokens, last minute, longest.",
           seconds_of_ms<&S::gap_max_ms>},
    Figure{Kind::gauge, "weights_bytes", "Bytes of model weights.", value<&S::weights_bytes>},
    Figure{Kind::gauge, "kv_bytes", "Bytes of KV pages.", value<&S::kv_bytes>},
    Figure{Kind::counter, "prompt_tokens_total", "Prompt tokens computed.",
           value<&S::prompt_tokens_total>},
    Figure{Kind::counter, "completion_tokens_total", "Tokens generated.",
           value<&S::completion_tokens_total>},
    Figure{Kind::counter, "requests_total", "Requests taken.", value<&S::requests_total>},
    Figure{Kind::counter, "prefill_seconds_total", "Time spent on prompts.",
           value<&S::prefill_seconds_total>},
    Figure{Kind::counter, "decode_seconds_total", "Time spent on generated tokens.",
           value<&S::decode_seconds_total>},
    Figure{Kind::counter, "cached_tokens_total", "Prompt tokens found in the prefix cache.",
           value<&S::cached_tokens_total>},
    Figure{Kind::counter, "prefix_hits_total", "Prompts whose beginning was cached.",
           value<&S::prefix_hits_total>},
    Figure{Kind::counter, "prefix_misses_total", "Prompts of which nothing was cached.",
           value<&S::prefix_misses_total>},
    Figure{Kind::counter, "pages_evicted_total", "KV pages that the cache gave up.",
           value<&S::pages_evicted_total>},
    Figure{Kind::counter, "preempted_total", "Requests set aside for others.",
           value<&S::preempted_total>},
    Figure{Kind::counter, "swapped_out_bytes_total", "KV bytes moved out for preemption.",
           value<&S::swapped_out_bytes_total>},
    Figure{Kind::counter, "forced_tokens_total", "Tokens a grammar left no choice about.",
           value<&S::forced_tokens_total>},
};

}  // namespace

void write_engine_metrics(const ModelBackend& backend, base::metrics::Writer& out) {
    const BackendStats all = backend.stats();
    const auto models = backend.stats_by_model();
    for (const Figure& figure : kFigures) {
        out.sample(figure.kind, fmt::format("dougong_engine_{}", figure.name), figure.help, {},
                   figure.of(all));
    }
    for (const Figure& figure : kFigures) {
        const std::string name = fmt::format("dougong_engine_model_{}", figure.name);
        for (const auto& [model, stats] : models) {
            out.sample(figure.kind, name, figure.help, {{"model", model}}, figure.of(stats));
        }
    }
}

}  // namespace gate
