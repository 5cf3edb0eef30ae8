#include "app/backend_stats.h"

#include <algorithm>

namespace app {

gate::BackendStats backend_stats(const engine::EngineStats& from) {
    gate::BackendStats to;
    to.queued = from.queued;
    to.running = from.running;
    to.kv_pages_used = from.kv_pages_used;
    to.kv_pages_total = from.kv_pages_total;
    to.running_max = from.running_max;
    to.batch_rows_last = from.batch_rows_last;
    to.batch_rows_max = from.batch_rows_max;
    to.kv_pages_cached = from.kv_pages_cached;
    to.cached_tokens_total = from.cached_tokens_total;
    to.prefix_hits_total = from.prefix_hits_total;
    to.prefix_misses_total = from.prefix_misses_total;
    to.pages_evicted_total = from.pages_evicted_total;
    to.preempted_total = from.preempted_total;
    to.swapped_out_bytes_total = from.swapped_out_bytes_total;
    to.forced_tokens_total = from.forced_tokens_total;
    to.gap_p50_ms = from.gaps.p50_ms;
    to.gap_p99_ms = from.gaps.p99_ms;
    to.gap_max_ms = from.gaps.max_ms;
    to.prompt_tokens_total = from.prompt_tokens_total;
    to.completion_tokens_total = from.completion_tokens_total;
    to.requests_total = from.requests_total;
    to.prefill_seconds_total = from.prefill_seconds_total;
    to.decode_seconds_total = from.decode_seconds_total;
    to.weights_bytes = from.weights_bytes;
    to.kv_bytes = from.kv_bytes;
    return to;
}

void add_to(gate::BackendStats& sum, const gate::BackendStats& one) {
    sum.queued += one.queued;
    sum.running += one.running;
    sum.kv_pages_used += one.kv_pages_used;
    sum.kv_pages_total += one.kv_pages_total;
    sum.running_max += one.running_max;
    sum.batch_rows_last += one.batch_rows_last;
    sum.batch_rows_max += one.batch_rows_max;
    sum.kv_pages_cached += one.kv_pages_cached;
    sum.cached_tokens_total += one.cached_tokens_total;
    sum.prefix_hits_total += one.prefix_hits_total;
    sum.prefix_misses_total += one.prefix_misses_total;
    sum.pages_evicted_total += one.pages_evicted_total;
    sum.preempted_total += one.preempted_total;
    sum.swapped_out_bytes_total += one.swapped_out_bytes_total;
    sum.forced_tokens_total += one.forced_tokens_total;
    sum.gap_p50_ms = std::max(sum.gap_p50_ms, one.gap_p50_ms);
    sum.gap_p99_ms = std::max(sum.gap_p99_ms, one.gap_p99_ms);
    sum.gap_max_ms = std::max(sum.gap_max_ms, one.gap_max_ms);
    sum.prompt_tokens_total += one.prompt_tokens_total;
    sum.completion_tokens_total += one.completion_tokens_total;
    sum.requests_total += one.requests_total;
    sum.prefill_seconds_total += one.prefill_seconds_total;
    sum.decode_seconds_total += one.decode_seconds_total;
    sum.weights_bytes += one.weights_bytes;
    sum.kv_bytes += one.kv_bytes;
}

}  // namespace app
