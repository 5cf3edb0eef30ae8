#pragma once
// Internal to gate: what its routes share. One file per group of routes implements the methods.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "base/core/result.h"
#include "base/http/server.h"
#include "base/log/log.h"
#include "base/metrics/metrics.h"
#include "base/trace/trace.h"
#include "gate/api_error.h"
#include "gate/gate.h"
#include "gate/live_stats.h"
#include "gate/model_choice.h"
#include "gate/request_log.h"
#include "gate/request_parser.h"
#include "gate/worker.h"

namespace gate {

class Generation;

/// One API request from arrival to its row in the request log.
struct Call {
    RequestRecord record;
    base::Instant arrived;
    std::int64_t arrived_unix_ns = 0;
    base::trace::Context trace;         ///< ours; sent back
    base::trace::SpanId parent_span{};  ///< the caller's; zero when none
    std::string route;
    base::http::ResponderPtr responder;
};
using CallPtr = std::shared_ptr<Call>;

struct Gateway::Impl {
    Impl(GatewayDeps d, GatewayOptions o);

    void register_routes(base::http::Server& server);
    void begin_drain();
    void stop();

    // gate.cc: the life of a call
    CallPtr begin_call(const base::http::Request& request,
                       const base::http::ResponderPtr& responder);
    void answer(const CallPtr& call, base::http::Response response);
    void fail(const CallPtr& call, const ApiError& error);
    /// Writes the request log, metrics, log line and spans. Once per call.
    void finish_call(Call& call);
    /// An error when no work is taken now.
    std::optional<ApiError> refusal() const;

    // generation.cc
    void handle_generation(const base::http::Request& request,
                           const base::http::ResponderPtr& responder, bool chat);
    void accept_generation(const CallPtr& call, std::string_view body, bool chat);
    ApiError prompts_full() const;
    void track(const std::shared_ptr<Generation>& generation);
    void untrack(const std::shared_ptr<Generation>& generation);
    // embedding_routes.cc
    void handle_embeddings(const base::http::Request&, const base::http::ResponderPtr&);
    void handle_tokenize(const base::http::Request&, const base::http::ResponderPtr&);
    void handle_detokenize(const base::http::Request&, const base::http::ResponderPtr&);
    // info_routes.cc
    void register_info_routes(base::http::Router& router);
    // admin_routes.cc
    void register_admin_routes(base::http::Router& router);
    void change_model(const base::http::Request&, const base::http::ResponderPtr&,
                      base::Result<void> (ModelBackend::*change)(std::string_view));
    ApiError slow_full() const;
    LiveStats::Inputs stats_inputs() const;
    void sample_every_second();

    GatewayDeps deps;
    GatewayOptions options;
    ParseLimits parse_limits;
    std::string system_fingerprint;
    base::http::Server* server = nullptr;
    std::int64_t started_unix_ms = 0;
    std::atomic<bool> draining{false};

    RequestLog request_log;
    LiveStats live_stats;

    struct Metrics {
        base::metrics::Counter &prompt_tokens, &completion_tokens, &cached_tokens, &disconnects;
        base::metrics::Gauge& in_flight;
        base::metrics::Histogram &ttft_seconds, &itl_seconds;
    } metrics;

    mutable std::mutex mutex;  // guards the four below; no calls out under it
    base::Rng rng;
    std::unordered_set<std::shared_ptr<Generation>> generations;
    std::condition_variable idle;  // no generations left
    std::vector<base::http::ResponderPtr> stats_listeners;
    bool stopping = false;

    Worker prompt_worker;  // declared last: their tasks use everything above
    Worker embed_worker;
    Worker slow_worker;  ///< loading models, keeping prefixes: seconds to minutes
    std::condition_variable stop_sampler;
    std::thread sampler;
};

}  // namespace gate
