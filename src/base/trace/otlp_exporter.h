#pragma once
// Sends spans to an OpenTelemetry collector as OTLP/HTTP JSON, in batches from its own thread.

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/trace/trace.h"

namespace base::trace {

/// How a batch reaches the collector. Port of base/trace; app gives it the HTTP client.
class OtlpTransport {
public:
    virtual ~OtlpTransport() = default;
    /// POSTs `body` (application/json) to the collector's /v1/traces. Blocks; has its own timeout.
    /// unavailable, deadline_exceeded and resource_exhausted are tried again, others are not.
    virtual Result<void> post(std::string_view body) = 0;
};

struct OtlpOptions {
    std::string service_name = "dougong";
    std::string service_version;
    std::size_t queue_spans_max = 4096;  ///< more are dropped and counted
    std::size_t batch_spans_max = 512;
    std::chrono::milliseconds flush_interval{2'000};
    std::uint32_t attempts_max = 3;  ///< per batch, with doubling pauses
    std::chrono::milliseconds retry_pause{250};
};

struct OtlpStats {
    std::uint64_t exported = 0, dropped = 0, failed_batches = 0;
    std::string last_error;
};

class OtlpExporter final : public SpanSink {
public:
    /// `transport` must outlive the exporter. Starts its thread.
    OtlpExporter(OtlpOptions options, OtlpTransport& transport);
    ~OtlpExporter() override;  ///< stop()

    void record(Span span) override;
    /// Sends what is queued (one attempt per batch) and joins the thread. Idempotent.
    void stop();
    OtlpStats stats() const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// The request body for these spans: ExportTraceServiceRequest in OTLP's JSON mapping (ids in hex,
/// 64-bit integers as strings).
std::string otlp_json(std::span<const Span> spans, const OtlpOptions& options);

}  // namespace base::trace
