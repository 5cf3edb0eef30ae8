#pragma once
// Carries span batches to an OpenTelemetry collector over our HTTP client.

#include <string>

#include "base/http/client.h"
#include "base/trace/otlp_exporter.h"

namespace app {

class OtlpHttp final : public base::trace::OtlpTransport {
public:
    /// `endpoint`: the full URL, usually http://host:4318/v1/traces.
    explicit OtlpHttp(std::string endpoint) : endpoint_(std::move(endpoint)) {}
    base::Result<void> post(std::string_view body) override;

private:
    std::string endpoint_;
    base::HttpClient client_;
};

}  // namespace app
