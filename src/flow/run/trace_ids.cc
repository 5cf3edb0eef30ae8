#include "flow/run/trace_ids.h"

namespace flow {
namespace {

std::uint64_t mixed(std::uint64_t hash) {
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93ull;
    hash ^= hash >> 32;
    hash *= 0xd6e8feb86659fd93ull;
    return hash ^ (hash >> 32);
}

template <std::size_t N>
void put(std::uint64_t word, std::array<std::uint8_t, N>& bytes, std::size_t from) {
    for (std::size_t i = 8; i-- > 0; word >>= 8) {
        bytes[from + i] = static_cast<std::uint8_t>(word & 0xff);
    }
}

}  // namespace

base::trace::Context run_trace(RunId run, std::string_view traceparent) {
    if (!traceparent.empty()) {
        if (auto given = base::trace::parse_traceparent(traceparent)) return *std::move(given);
    }
    base::trace::Context own;
    put(run.high, own.trace_id, 0);
    put(run.low, own.trace_id, 8);
    return own;
}

base::trace::SpanId span_id(RunId run, std::string_view path, std::uint32_t attempt,
                            std::int64_t began_ms) {
    std::uint64_t hash = mixed(run.low ^ mixed(run.high ^ attempt));
    for (const char c : path) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001b3ull;
    hash = mixed(hash ^ static_cast<std::uint64_t>(began_ms));
    base::trace::SpanId id{};
    put(hash == 0 ? 1 : hash, id, 0);
    return id;
}

std::string child_traceparent(RunState& parent, std::string_view path) {
    base::trace::Context trace = run_trace(parent.id, parent.traceparent);
    const auto step = find_step(parent, path);
    trace.span_id = span_id(parent.id, path, 0, step ? step->state->started_ms : 0);
    return base::trace::format_traceparent(trace);
}

}  // namespace flow
