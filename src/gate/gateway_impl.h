#pragma once
// Internal to gate: what its routes share. One file per group of routes implements the methods.

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/core/result.h"
#include "base/exec/worker.h"
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
#include "gate/response_store.h"

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
    std::string tenant, session;  ///< from headers
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

    /// Tenant and session, from X-Dougong-Tenant and X-Session-Id.
    static std::optional<ApiError> read_caller(const base::http::Request& request, Call& call);

    // generation_routes.cc
    void handle_generation(const base::http::Request& request,
                           const base::http::ResponderPtr& responder, Api api);
    void accept_generation(const CallPtr& call, std::string_view body, Api api);
    std::optional<ApiError> prepare_response(const Call& call, GenerationCall& parsed);
    ApiError prompts_full() const;
    void track(const std::shared_ptr<Generation>& generation);
    void untrack(const std::shared_ptr<Generation>& generation);
    // stream_routes.cc
    std::optional<ApiError> keep_stream(const std::shared_ptr<Generation>& generation);
    std::shared_ptr<Generation> find_stream(std::string_view tenant, std::string_view id) const;
    std::size_t kept_streams() const;
    void forget_stream(const Generation& generation);
    void sweep_streams();
    static void attach_stream(const std::shared_ptr<Generation>& generation,
                              const base::http::ResponderPtr& responder, std::string_view after,
                              std::string_view name);
    void register_stream_routes(base::http::Router& router);
    // responses_routes.cc
    void register_responses_routes(base::http::Router& router);
    void get_response(const base::http::Request&, const base::http::ResponderPtr&,
                      const std::string& tenant);
    void delete_response(const base::http::Request&, const base::http::ResponderPtr&,
                         const std::string& tenant);
    void cancel_response(const base::http::Request&, const base::http::ResponderPtr&,
                         const std::string& tenant);
    void list_input_items(const base::http::Request&, const base::http::ResponderPtr&,
                          const std::string& tenant);
    // rank_routes.cc
    void handle_rank(const base::http::Request&, const base::http::ResponderPtr&, bool rerank);
    // cache_routes.cc
    void create_cache(const base::http::Request&, const base::http::ResponderPtr&);
    void register_cache_routes(base::http::Router& router);
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
    ResponseStore responses;

    struct Metrics {
        base::metrics::Counter &prompt_tokens, &completion_tokens, &cached_tokens, &disconnects;
        base::metrics::Gauge& in_flight;
        base::metrics::Histogram &ttft_seconds, &itl_seconds;
    } metrics;

    mutable std::mutex mutex;  // guards the five below; no calls out under it
    base::Rng rng;
    std::unordered_set<std::shared_ptr<Generation>> generations;
    /// By stream_key; they outlive connections.
    std::unordered_map<std::string, std::shared_ptr<Generation>> streams;
    std::condition_variable idle;  // no generations left
    std::vector<base::http::ResponderPtr> stats_listeners;
    bool stopping = false;

    base::Worker prompt_worker;  // declared last: their tasks use everything above
    base::Worker embed_worker;
    base::Worker slow_worker;  ///< loading models, keeping prefixes: seconds to minutes
    std::condition_variable stop_sampler;
    std::thread sampler;
};

}  // namespace gate
