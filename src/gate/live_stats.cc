#include "gate/live_stats.h"

#include <fmt/format.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

namespace gate {
namespace {

constexpr std::size_t kHistorySamples = 15 * 60;
constexpr std::size_t kObservationsMax = 8192;  // per series; oldest go first
constexpr auto kWindow = std::chrono::seconds(60);
constexpr std::size_t kWindowTicks = 61;

/// Nearest rank. Pre: sorted, not empty.
double percentile(const std::vector<double>& sorted, double share) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
    return sorted[std::max<std::size_t>(rank, 1) - 1];
}

}  // namespace

ProcessUsage process_usage() {
    ProcessUsage usage;
    std::ifstream statm("/proc/self/statm");
    std::uint64_t pages_total = 0, pages_resident = 0;
    if (statm >> pages_total >> pages_resident) {
        usage.rss_bytes = pages_resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
    }
    timespec cpu{};
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0) {
        usage.cpu_seconds_total =
            static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) * 1e-9;
    }
    return usage;
}

void LiveStats::record(base::Instant now, const Latencies& latencies) {
    const std::lock_guard lock(mutex_);
    ++requests_total_;
    if (latencies.failed) ++errors_total_;
    const std::array values = {latencies.ttft_ms, latencies.itl_ms, latencies.e2e_ms};
    for (std::size_t series = 0; series < kSeriesCount; ++series) {
        if (!values[series]) continue;
        auto& list = observations_[series];
        list.push_back({now, *values[series]});
        while (list.size() > kObservationsMax || list.front().at + kWindow < now) list.pop_front();
    }
}

void LiveStats::tick(const Inputs& inputs) {
    const std::lock_guard lock(mutex_);
    if (last_tick_ && inputs.now > last_tick_->now) {
        const double seconds = base::to_seconds(inputs.now - last_tick_->now);
        const auto rate = [&](std::uint64_t now, std::uint64_t before) {
            return now > before ? static_cast<double>(now - before) / seconds : 0.0;
        };
        const BackendStats& before = last_tick_->backend;
        rates_.prefill_tokens_per_s =
            rate(inputs.backend.prompt_tokens_total, before.prompt_tokens_total);
        rates_.decode_tokens_per_s =
            rate(inputs.backend.completion_tokens_total, before.completion_tokens_total);
        rates_.requests_per_s = rate(requests_total_, requests_at_last_tick_);
    }
    prompt_totals_.push_back(
        {inputs.backend.prompt_tokens_total, inputs.backend.cached_tokens_total});
    if (prompt_totals_.size() > kWindowTicks) prompt_totals_.pop_front();
    last_tick_ = inputs;
    requests_at_last_tick_ = requests_total_;
    history_.push_back(sample_locked(inputs));
    if (history_.size() > kHistorySamples) history_.pop_front();
}

std::string LiveStats::sample(const Inputs& inputs) const {
    const std::lock_guard lock(mutex_);
    return sample_locked(inputs);
}

std::string LiveStats::latest() const {
    const std::lock_guard lock(mutex_);
    return history_.empty() ? std::string() : history_.back();
}

std::vector<std::string> LiveStats::history() const {
    const std::lock_guard lock(mutex_);
    return {history_.begin(), history_.end()};
}

std::uint64_t LiveStats::requests_total() const {
    const std::lock_guard lock(mutex_);
    return requests_total_;
}

std::uint64_t LiveStats::errors_total() const {
    const std::lock_guard lock(mutex_);
    return errors_total_;
}

void LiveStats::append_percentiles(std::string& out, Series series, base::Instant now) const {
    std::vector<double> values;
    for (const Observation& seen : observations_[series]) {
        if (seen.at + kWindow >= now) values.push_back(seen.value);
    }
    if (values.empty()) {
        out += R"({"p50":null,"p95":null})";
        return;
    }
    std::ranges::sort(values);
    fmt::format_to(std::back_inserter(out), R"({{"p50":{:.3f},"p95":{:.3f}}})",
                   percentile(values, 0.50), percentile(values, 0.95));
}

std::string LiveStats::sample_locked(const Inputs& in) const {
    std::string out;
    fmt::format_to(
        std::back_inserter(out),
        R"({{"unix_ms":{},"uptime_s":{:.3f},"running":{},"queued":{},"kv_pages_used":{},)"
        R"("kv_pages_total":{},"prompt_tokens_total":{},"completion_tokens_total":{},)"
        R"("requests_total":{},"errors_total":{},"prefill_tokens_per_s":{:.2f},)"
        R"("decode_tokens_per_s":{:.2f},"requests_per_s":{:.2f},"ttft_ms":)",
        in.unix_ms, base::to_seconds(in.now - started_), in.backend.running, in.backend.queued,
        in.backend.kv_pages_used, in.backend.kv_pages_total, in.backend.prompt_tokens_total,
        in.backend.completion_tokens_total, requests_total_, errors_total_,
        rates_.prefill_tokens_per_s, rates_.decode_tokens_per_s, rates_.requests_per_s);
    append_percentiles(out, kTtft, in.now);
    out += R"(,"itl_ms":)";
    append_percentiles(out, kItl, in.now);
    out += R"(,"e2e_ms":)";
    append_percentiles(out, kE2e, in.now);
    fmt::format_to(std::back_inserter(out),
                   R"(,"rss_bytes":{},"cpu_seconds_total":{:.3f},"open_connections":{})",
                   in.process.rss_bytes, in.process.cpu_seconds_total, in.open_connections);
    append_engine(out, in.backend);
    out += '}';
    return out;
}

/// What the console's engine screen draws: the batch, the pages, the prefix cache, token gaps.
void LiveStats::append_engine(std::string& out, const BackendStats& backend) const {
    fmt::format_to(
        std::back_inserter(out),
        R"(,"running_max":{},"batch_rows_last":{},"batch_rows_max":{},"kv_pages_cached":{},)"
        R"("cached_tokens_total":{},"prefix_hits_total":{},"prefix_misses_total":{},)"
        R"("pages_evicted_total":{},"preempted_total":{},"swapped_out_bytes_total":{},)"
        R"("forced_tokens_total":{},"weights_bytes":{},"kv_bytes":{},)"
        R"("gap_ms":{{"p50":{:.3f},"p99":{:.3f},"max":{:.3f}}},"prefix_hit_rate":)",
        backend.running_max, backend.batch_rows_last, backend.batch_rows_max,
        backend.kv_pages_cached, backend.cached_tokens_total, backend.prefix_hits_total,
        backend.prefix_misses_total, backend.pages_evicted_total, backend.preempted_total,
        backend.swapped_out_bytes_total, backend.forced_tokens_total, backend.weights_bytes,
        backend.kv_bytes, backend.gap_p50_ms, backend.gap_p99_ms, backend.gap_max_ms);
    const PromptTotals before = prompt_totals_.empty() ? PromptTotals{} : prompt_totals_.front();
    const auto since = [](std::uint64_t now, std::uint64_t then) {
        return now > then ? static_cast<double>(now - then) : 0.0;
    };
    const double cached = since(backend.cached_tokens_total, before.cached_tokens);
    const double computed = since(backend.prompt_tokens_total, before.prompt_tokens);
    if (cached + computed == 0) {
        out += "null";
        return;
    }
    fmt::format_to(std::back_inserter(out), "{:.4f}", cached / (cached + computed));
}

}  // namespace gate
