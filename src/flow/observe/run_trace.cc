#include "flow/observe/run_trace.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "base/trace/otlp_exporter.h"

namespace flow {
namespace {

constexpr std::uint32_t kPage = 1'000;

}  // namespace

base::Result<RunTrace> read_trace(RunLog& log, DefinitionSource& definitions, RunId run,
                                  std::size_t spans_max) {
    const RunHead head = DG_TRY(log.load_head(run));
    RunSpans spans(run, DG_TRY(definitions.by_hash(head.hash)));
    RunTrace out;
    const auto keep = [&](std::vector<RunSpan> some, std::size_t most) {
        const std::size_t room = most - std::min(most, out.spans.size());
        out.truncated = out.truncated || some.size() > room;
        std::move(some.begin(),
                  some.begin() + static_cast<std::ptrdiff_t>(std::min(room, some.size())),
                  std::back_inserter(out.spans));
    };
    std::vector<RunSpan> ended;
    for (std::uint64_t next = 0;;) {
        const auto page = DG_TRY(log.history(run, next, kPage));
        for (const Event& event : page) spans.add(event);
        ended = spans.take_ended();
        if (page.size() < kPage) break;
        keep(std::move(ended), spans_max - spans_max / 4);
        next += page.size();
    }
    // The outermost end last: room was kept for them.
    std::ranges::reverse(ended);
    keep(spans.open(), spans_max);
    keep(std::move(ended), spans_max);
    std::ranges::stable_sort(out.spans, {}, [](const RunSpan& span) {
        return std::tuple(span.start_ms, span.path.size(),
                          span.what == "attempt" || span.what == "backoff");
    });
    out.trace = spans.trace();
    out.totals = spans.totals();
    return out;
}

base::json::object to_json(const RunTrace& trace) {
    base::json::array spans;
    for (const RunSpan& span : trace.spans) spans.push_back(to_json(span));
    return {{"object", "trace"},
            {"trace_id", base::trace::to_hex(trace.trace.trace_id)},
            {"spans", std::move(spans)},
            {"truncated", trace.truncated},
            {"totals", to_json(trace.totals)}};
}

std::string to_otlp(const RunTrace& trace) {
    std::vector<base::trace::Span> spans;
    for (const RunSpan& span : trace.spans) {
        if (span.end_ms != 0) spans.push_back(to_span(span, trace.trace));
    }
    return base::trace::otlp_json(spans, {});
}

}  // namespace flow
