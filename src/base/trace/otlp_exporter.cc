#include "base/trace/otlp_exporter.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <thread>

#include "base/json/json.h"

namespace base::trace {
namespace {

json::object key_value(std::string_view key, json::object value) {
    return {{"key", key}, {"value", std::move(value)}};
}

json::object any_value(const Attribute& attribute) {
    return std::visit(
        [](const auto& held) -> json::object {
            using T = std::decay_t<decltype(held)>;
            if constexpr (std::is_same_v<T, std::string>) return {{"stringValue", held}};
            if constexpr (std::is_same_v<T, bool>) return {{"boolValue", held}};
            if constexpr (std::is_same_v<T, double>) return {{"doubleValue", held}};
            if constexpr (std::is_same_v<T, std::int64_t>) {
                return {{"intValue", std::to_string(held)}};
            }
        },
        attribute.second);
}

json::object span_json(const Span& span) {
    json::array attributes;
    for (const Attribute& attribute : span.attributes) {
        attributes.push_back(key_value(attribute.first, any_value(attribute)));
    }
    json::object out{{"traceId", to_hex(span.trace_id)},
                     {"spanId", to_hex(span.span_id)},
                     {"name", span.name},
                     {"kind", span.server ? 2 : 1},
                     {"startTimeUnixNano", std::to_string(span.start_unix_ns)},
                     {"endTimeUnixNano", std::to_string(span.end_unix_ns)},
                     {"attributes", std::move(attributes)},
                     {"status", json::object{{"code", span.failed ? 2 : 0}}}};
    if (span.parent_id != SpanId{}) out["parentSpanId"] = to_hex(span.parent_id);
    if (!span.tracestate.empty()) out["traceState"] = span.tracestate;
    return out;
}

bool worth_retrying(Code code) {
    return code == Code::unavailable || code == Code::deadline_exceeded ||
           code == Code::resource_exhausted;
}

}  // namespace

std::string otlp_json(std::span<const Span> spans, const OtlpOptions& options) {
    json::array list;
    for (const Span& span : spans) list.push_back(span_json(span));
    json::array resource;
    resource.push_back(key_value("service.name", {{"stringValue", options.service_name}}));
    if (!options.service_version.empty()) {
        resource.push_back(
            key_value("service.version", {{"stringValue", options.service_version}}));
    }
    json::object scope_spans{{"scope", json::object{{"name", options.service_name}}},
                             {"spans", std::move(list)}};
    json::object resource_spans{{"resource", json::object{{"attributes", std::move(resource)}}},
                                {"scopeSpans", json::array{std::move(scope_spans)}}};
    return base::to_text(json::object{{"resourceSpans", json::array{std::move(resource_spans)}}});
}

struct OtlpExporter::Impl {
    Impl(OtlpOptions opts, OtlpTransport& port) : options(std::move(opts)), transport(port) {}

    void run();
    std::vector<Span> next_batch();
    void deliver(const std::vector<Span>& batch);

    const OtlpOptions options;
    OtlpTransport& transport;
    mutable std::mutex mutex;  // guards what follows; not held while posting
    std::condition_variable wake;
    std::deque<Span> queue;
    OtlpStats stats;
    bool stopping = false;
    std::thread thread;
};

/// Waits for a full batch, the flush interval or the stop. Empty only when stopping with no rest.
std::vector<Span> OtlpExporter::Impl::next_batch() {
    std::unique_lock lock(mutex);
    wake.wait(lock, [&] { return stopping || !queue.empty(); });
    wake.wait_for(lock, options.flush_interval,
                  [&] { return stopping || queue.size() >= options.batch_spans_max; });
    const auto count = static_cast<std::ptrdiff_t>(std::min(queue.size(), options.batch_spans_max));
    std::vector<Span> batch(std::make_move_iterator(queue.begin()),
                            std::make_move_iterator(queue.begin() + count));
    queue.erase(queue.begin(), queue.begin() + count);
    return batch;
}

void OtlpExporter::Impl::deliver(const std::vector<Span>& batch) {
    const std::string body = otlp_json(batch, options);
    auto pause = options.retry_pause;
    for (std::uint32_t attempt = 1;; ++attempt, pause *= 2) {
        const Result<void> sent = transport.post(body);
        std::unique_lock lock(mutex);
        if (sent) {
            stats.exported += batch.size();
            return;
        }
        stats.last_error = sent.error().message;
        if (!worth_retrying(sent.error().code) || attempt >= options.attempts_max || stopping) {
            ++stats.failed_batches;
            stats.dropped += batch.size();
            if (stopping) {  // a dead collector must not hold up the end, batch after batch
                stats.dropped += queue.size();
                queue.clear();
            }
            return;
        }
        wake.wait_for(lock, pause, [&] { return stopping; });
    }
}

void OtlpExporter::Impl::run() {
    for (;;) {
        const std::vector<Span> batch = next_batch();
        if (batch.empty()) return;
        deliver(batch);
    }
}

OtlpExporter::OtlpExporter(OtlpOptions options, OtlpTransport& transport)
    : impl_(std::make_unique<Impl>(std::move(options), transport)) {
    impl_->thread = std::thread([this] { impl_->run(); });
}

OtlpExporter::~OtlpExporter() {
    stop();
}

void OtlpExporter::record(Span span) {
    {
        const std::lock_guard lock(impl_->mutex);
        if (impl_->stopping || impl_->queue.size() >= impl_->options.queue_spans_max) {
            ++impl_->stats.dropped;
            return;
        }
        impl_->queue.push_back(std::move(span));
        // One wake-up starts the flush interval, one more ends it early when a batch is full.
        const std::size_t size = impl_->queue.size();
        if (size != 1 && size != impl_->options.batch_spans_max) return;
    }
    impl_->wake.notify_all();
}

void OtlpExporter::stop() {
    {
        const std::lock_guard lock(impl_->mutex);
        impl_->stopping = true;
    }
    impl_->wake.notify_all();
    if (impl_->thread.joinable()) impl_->thread.join();
}

OtlpStats OtlpExporter::stats() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->stats;
}

}  // namespace base::trace
