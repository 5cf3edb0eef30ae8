// What of a generation goes into the request log.
#include <algorithm>

#include "gate/generation.h"

namespace gate {
namespace {

std::string_view finish_name(const GenerationEnd& end) {
    switch (end.finish) {
        case Finish::cancelled:
            return "cancelled";
        case Finish::deadline:
            return "deadline";
        default:
            return finish_reason(end.finish);
    }
}

void add_span(RequestRecord& record, std::string_view name, std::optional<double>& duration_ms,
              base::Instant origin, base::Instant from, base::Instant to) {
    if (from.ns == 0 || to.ns == 0 || to < from) return;
    duration_ms = base::to_millis(to - from);
    record.spans.push_back({name, base::to_millis(from - origin), base::to_millis(to - origin)});
}

}  // namespace

void Generation::fill_record_locked(RequestRecord& record) const {
    const GenerationEnd& first = choices_.front().output.end;
    base::Instant finished = first.finished;
    for (const Choice& choice : choices_) finished = std::max(finished, choice.output.end.finished);
    const UsageTotals usage = usage_locked();
    record.prompt_tokens = usage.prompt_tokens;
    record.cached_tokens = usage.cached_tokens;
    record.completion_tokens = usage.completion_tokens;
    record.context_dropped_tokens = first.context_dropped_tokens;
    record.finish = finish_name(first);
    if (cancelled_) record.finish = "cancelled";
    if (const auto error = first_error_locked()) {
        record.error_code = base::code_name(error->code);
        record.error_message = error->message.substr(0, 500);
    }
    const base::Instant origin = call_->arrived;
    add_span(record, "template", record.template_ms, origin, first.received, first.templated);
    add_span(record, "queue", record.queue_ms, origin, first.templated, first.started);
    add_span(record, "prefill", record.prefill_ms, origin, first.started, first.first_token);
    add_span(record, "decode", record.decode_ms, origin, first.first_token, finished);
    add_span(record, "stream", record.stream_ms, origin, stream_started_, stream_ended_);
    if (first.first_token.ns != 0) record.ttft_ms = base::to_millis(first.first_token - origin);
    if (record.decode_ms && *record.decode_ms > 0 && usage.completion_tokens > 1) {
        record.tokens_per_s =
            static_cast<double>(usage.completion_tokens - 1) * 1000 / *record.decode_ms;
    }
    if (record.decode_ms && first.completion_tokens > 1) {
        record.itl_ms =
            base::to_millis(first.finished - first.first_token) / (first.completion_tokens - 1);
    }
}

}  // namespace gate
