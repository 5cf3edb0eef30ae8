#pragma once
// The engines' figures on /metrics: of all models together, and of each.

#include "base/metrics/metrics.h"
#include "gate/model_backend.h"

namespace gate {

/// They live in the backend and are asked for at scrape time.
void write_engine_metrics(const ModelBackend& backend, base::metrics::Writer& out);

}  // namespace gate
