#include "gate/request_log.h"

#include <algorithm>
#include <cmath>

namespace gate {
namespace {

namespace json = base::json;

json::value optional_number(std::optional<double> value) {
    if (!value || !std::isfinite(*value)) return nullptr;
    return std::round(*value * 1000) / 1000;
}

}  // namespace

json::object to_json(const RequestRecord& r, bool with_spans) {
    json::value error = nullptr;
    if (!r.error_code.empty()) {
        error = json::object{{"code", r.error_code}, {"message", r.error_message}};
    }
    json::object out{{"id", r.id},
                     {"trace_id", r.trace_id},
                     {"unix_ms", r.unix_ms},
                     {"method", r.method},
                     {"path", r.path},
                     {"model", r.model},
                     {"stream", r.stream},
                     {"status", r.status},
                     {"finish", r.finish.empty() ? json::value(nullptr) : json::value(r.finish)},
                     {"error", std::move(error)},
                     {"prompt_tokens", r.prompt_tokens},
                     {"cached_tokens", r.cached_tokens},
                     {"completion_tokens", r.completion_tokens},
                     {"context_dropped_tokens", r.context_dropped_tokens},
                     {"queue_ms", optional_number(r.queue_ms)},
                     {"template_ms", optional_number(r.template_ms)},
                     {"prefill_ms", optional_number(r.prefill_ms)},
                     {"decode_ms", optional_number(r.decode_ms)},
                     {"stream_ms", optional_number(r.stream_ms)},
                     {"ttft_ms", optional_number(r.ttft_ms)},
                     {"total_ms", optional_number(r.total_ms)},
                     {"tokens_per_s", optional_number(r.tokens_per_s)},
                     {"client", r.client},
                     {"user_agent", r.user_agent}};
    if (with_spans) {
        json::array spans;
        for (const RequestSpan& span : r.spans) {
            spans.push_back(json::object{{"name", span.name},
                                         {"start_ms", optional_number(span.start_ms)},
                                         {"end_ms", optional_number(span.end_ms)}});
        }
        out["spans"] = std::move(spans);
    }
    return out;
}

void RequestLog::add(RequestRecord record) {
    auto row = std::make_shared<const RequestRecord>(std::move(record));
    const std::lock_guard lock(mutex_);
    rows_.push_back(std::move(row));
    if (rows_.size() > rows_max_) rows_.pop_front();
}

std::shared_ptr<const RequestRecord> RequestLog::find(std::string_view id) const {
    const std::lock_guard lock(mutex_);
    const auto row = std::ranges::find_if(rows_, [&](const auto& r) { return r->id == id; });
    return row == rows_.end() ? nullptr : *row;
}

std::optional<RequestLog::Page> RequestLog::page(std::size_t limit, std::string_view before) const {
    const std::lock_guard lock(mutex_);
    auto end = rows_.end();
    if (!before.empty()) {
        end = std::ranges::find_if(rows_, [&](const auto& r) { return r->id == before; });
        if (end == rows_.end()) return std::nullopt;
    }
    Page page;
    while (end != rows_.begin() && page.records.size() < limit) page.records.push_back(*--end);
    if (end != rows_.begin() && !page.records.empty()) page.next_before = page.records.back()->id;
    return page;
}

}  // namespace gate
