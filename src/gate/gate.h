#pragma once
// The front door: OpenAI-compatible API, health, metrics and the admin API over one ModelBackend.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/core/clock.h"
#include "base/json/json.h"
#include "gate/model_backend.h"

namespace base::http {
class Server;
}
namespace base::log {
class Logger;
}
namespace base::metrics {
class Registry;
}
namespace base::trace {
class SpanSink;
}

namespace gate {

struct GatewayOptions {
    /// Shown by /admin/v1/system and /openapi.json; `config` must hold no secrets.
    std::string version = "0.0.0", commit, kernel_target, cpu;
    std::uint32_t threads = 0;
    base::json::object config;
    /// For /openapi.json: the paths of routes that others add to the same server. Their errors are
    /// "#/components/schemas/Error".
    base::json::object more_paths;

    std::uint32_t n_max = 8;                ///< choices per request
    std::uint32_t prompts_max = 64;         ///< prompts per /v1/completions request
    std::uint32_t embed_inputs_max = 2048;  ///< texts per /v1/embeddings request
    std::uint32_t embed_queue_max = 64;     ///< embeddings requests waiting; then 429
    std::uint32_t embed_threads = 1;        ///< embeddings computed at once
    std::uint32_t prompt_threads = 1;       ///< render and tokenize prompts
    std::uint32_t prompt_queue_max = 256;   ///< prompts waiting for them; then 429
    std::uint32_t request_log_rows = 1000;
    std::chrono::milliseconds request_deadline{600'000};  ///< per generation; 0 = none

    std::uint32_t streams_max = 256;  ///< resumable streams and background responses; then 429
    std::size_t stream_log_bytes_max = 4 * 1024 * 1024;  ///< of one resumable stream's events
    /// A resumable stream without a reader goes on for so long, and is kept so long after its end.
    std::chrono::milliseconds stream_keep{60'000};
    std::size_t responses_max = 4096;  ///< stored responses; older ones are dropped
    std::size_t responses_bytes_max = 64 * 1024 * 1024;
};

/// What the gateway is given; all outlive it. `spans` may be null.
struct GatewayDeps {
    ModelBackend& backend;
    const base::Clock& clock;
    const base::log::Logger& logger;
    base::metrics::Registry& metrics;
    base::trace::SpanSink* spans = nullptr;
};

/// Lifetime: construct, register_routes(server), server.start(), ..., server.stop(), stop().
/// The server keeps references into the gateway, so it is stopped first.
class Gateway {
public:
    Gateway(GatewayDeps deps, GatewayOptions options);
    ~Gateway();  ///< stop()
    Gateway(const Gateway&) = delete;
    Gateway& operator=(const Gateway&) = delete;

    /// Adds every route. Once, before server.start(); the server must outlive the gateway's use.
    void register_routes(base::http::Server& server);

    /// From now on /readyz answers 503, so that load balancers move away, and new work is refused
    /// with 503 while running streams go on. Call before Server::stop for a graceful end.
    void begin_drain();
    /// Cancels what still runs and joins the worker and sampler threads. Idempotent.
    void stop();

    struct Impl;  ///< internal to gate

private:
    std::unique_ptr<Impl> impl_;
};

}  // namespace gate
