// What is served and how it is: /v1/models, /healthz, /readyz, /metrics, /openapi.json.

#include <fmt/format.h>

#include "gate/gateway_impl.h"
#include "gate/openapi.h"

namespace gate {
namespace {

namespace json = base::json;
using base::http::Request;
using base::http::ResponderPtr;
using base::http::text_response;

json::object public_card(const ModelCard& card) {
    return {{"id", card.id},
            {"object", "model"},
            {"created", card.created_unix_s},
            {"owned_by", card.owned_by},
            {"context_tokens", card.context_tokens},
            {"state", state_name(card.state)}};
}

void send_json(const ResponderPtr& responder, const json::value& value) {
    responder->send(text_response(200, "application/json", base::to_text(value)));
}

/// Engine figures live in the backend; they are asked at scrape time.
void write_backend_metrics(const ModelBackend& backend, base::metrics::Writer& out) {
    using base::metrics::Kind;
    const BackendStats stats = backend.stats();
    const auto gauge = [&](std::string_view name, std::string_view help, double value) {
        out.sample(Kind::gauge, name, help, {}, value);
    };
    const auto counter = [&](std::string_view name, std::string_view help, double value) {
        out.sample(Kind::counter, name, help, {}, value);
    };
    gauge("dougong_engine_requests_queued", "Requests waiting for a place in the batch.",
          stats.queued);
    gauge("dougong_engine_requests_running", "Requests in the batch.", stats.running);
    gauge("dougong_engine_kv_pages_used", "KV pages in use.", stats.kv_pages_used);
    gauge("dougong_engine_kv_pages_total", "KV pages there are.", stats.kv_pages_total);
    gauge("dougong_engine_kv_pages_cached", "KV pages held by the prefix cache alone.",
          stats.kv_pages_cached);
    gauge("dougong_engine_batch_requests_max", "Places in the batch.", stats.running_max);
    gauge("dougong_engine_batch_rows", "Rows computed in the last step.", stats.batch_rows_last);
    gauge("dougong_engine_batch_rows_max", "Rows that one step may compute.", stats.batch_rows_max);
    gauge("dougong_engine_token_gap_p50_seconds", "Time between tokens, last minute, median.",
          stats.gap_p50_ms / 1000);
    gauge("dougong_engine_token_gap_p99_seconds",
          "Time between tokens, last minute, 99th percentile.", stats.gap_p99_ms / 1000);
    gauge("dougong_engine_token_gap_max_seconds", "Time between tokens, last minute, longest.",
          stats.gap_max_ms / 1000);
    gauge("dougong_engine_weights_bytes", "Bytes of model weights.",
          static_cast<double>(stats.weights_bytes));
    gauge("dougong_engine_kv_bytes", "Bytes of KV pages.", static_cast<double>(stats.kv_bytes));
    counter("dougong_engine_prompt_tokens_total", "Prompt tokens computed.",
            static_cast<double>(stats.prompt_tokens_total));
    counter("dougong_engine_completion_tokens_total", "Tokens generated.",
            static_cast<double>(stats.completion_tokens_total));
    counter("dougong_engine_requests_total", "Requests taken.",
            static_cast<double>(stats.requests_total));
    counter("dougong_engine_prefill_seconds_total", "Time spent on prompts.",
            stats.prefill_seconds_total);
    counter("dougong_engine_decode_seconds_total", "Time spent on generated tokens.",
            stats.decode_seconds_total);
    counter("dougong_engine_cached_tokens_total", "Prompt tokens found in the prefix cache.",
            static_cast<double>(stats.cached_tokens_total));
    counter("dougong_engine_prefix_hits_total", "Prompts whose beginning was cached.",
            static_cast<double>(stats.prefix_hits_total));
    counter("dougong_engine_prefix_misses_total", "Prompts of which nothing was cached.",
            static_cast<double>(stats.prefix_misses_total));
    counter("dougong_engine_pages_evicted_total", "KV pages that the cache gave up.",
            static_cast<double>(stats.pages_evicted_total));
    counter("dougong_engine_preempted_total", "Requests set aside for others.",
            static_cast<double>(stats.preempted_total));
    counter("dougong_engine_swapped_out_bytes_total", "KV bytes moved out for preemption.",
            static_cast<double>(stats.swapped_out_bytes_total));
    counter("dougong_engine_forced_tokens_total", "Tokens a grammar left no choice about.",
            static_cast<double>(stats.forced_tokens_total));
}

/// The same engines one by one.
void write_model_metrics(const ModelBackend& backend, base::metrics::Writer& out) {
    using base::metrics::Kind;
    const auto all = backend.stats_by_model();
    const auto family = [&](Kind kind, std::string_view name, std::string_view help, auto value) {
        for (const auto& [model, stats] : all) {
            out.sample(kind, name, help, {{"model", model}}, static_cast<double>(value(stats)));
        }
    };
    family(Kind::gauge, "dougong_engine_model_requests_running", "Requests in the model's batch.",
           [](const BackendStats& s) { return s.running; });
    family(Kind::gauge, "dougong_engine_model_requests_queued", "Requests waiting for the model.",
           [](const BackendStats& s) { return s.queued; });
    family(Kind::gauge, "dougong_engine_model_kv_pages_used", "KV pages the model uses.",
           [](const BackendStats& s) { return s.kv_pages_used; });
    family(Kind::gauge, "dougong_engine_model_kv_pages_total", "KV pages the model has.",
           [](const BackendStats& s) { return s.kv_pages_total; });
    family(Kind::counter, "dougong_engine_model_prompt_tokens_total", "Prompt tokens computed.",
           [](const BackendStats& s) { return s.prompt_tokens_total; });
    family(Kind::counter, "dougong_engine_model_completion_tokens_total", "Tokens generated.",
           [](const BackendStats& s) { return s.completion_tokens_total; });
    family(Kind::counter, "dougong_engine_model_cached_tokens_total",
           "Prompt tokens found in the model's prefix cache.",
           [](const BackendStats& s) { return s.cached_tokens_total; });
}

}  // namespace

void Gateway::Impl::register_info_routes(base::http::Router& router) {
    router.add("GET", "/v1/models", [this](const Request&, const ResponderPtr& responder) {
        json::array cards;
        for (const ModelCard& card : deps.backend.models()) cards.push_back(public_card(card));
        send_json(responder, json::object{{"object", "list"}, {"data", std::move(cards)}});
    });
    // Ids such as "owner/name" have slashes, so the rest of the path is the id.
    router.add("GET", "/v1/models/{id...}",
               [this](const Request& request, const ResponderPtr& responder) {
                   const auto model =
                       choose_model(deps.backend.models(), request.param("id"), Task::tokenize);
                   if (!model) return responder->send(render(model_error(model.error())));
                   send_json(responder, public_card(*model));
               });
    router.add("GET", "/healthz", [](const Request&, const ResponderPtr& responder) {
        responder->send(text_response(200, "text/plain; charset=utf-8", "ok\n"));
    });
    router.add("GET", "/readyz", [this](const Request&, const ResponderPtr& responder) {
        if (const auto refused = refusal()) return responder->send(render(*refused));
        responder->send(text_response(200, "text/plain; charset=utf-8", "ready\n"));
    });
    deps.metrics.add_collector([this](base::metrics::Writer& out) {
        write_backend_metrics(deps.backend, out);
        write_model_metrics(deps.backend, out);
        const base::http::ServerStats stats = server->stats();
        using base::metrics::Kind;
        out.sample(Kind::gauge, "dougong_gate_kept_streams",
                   "Resumable streams and background responses, running or over.", {},
                   static_cast<double>(kept_streams()));
        out.sample(Kind::gauge, "dougong_gate_stored_responses", "Responses in the store.", {},
                   static_cast<double>(responses.count()));
        out.sample(Kind::gauge, "dougong_gate_stored_responses_bytes", "Bytes they take.", {},
                   static_cast<double>(responses.bytes()));
        out.sample(Kind::gauge, "dougong_gate_connections", "Open connections.", {},
                   stats.connections);
        out.sample(Kind::counter, "dougong_gate_connections_total", "Connections accepted.", {},
                   static_cast<double>(stats.connections_total));
        out.sample(Kind::counter, "dougong_gate_connections_refused_total",
                   "Connections over the limit.", {},
                   static_cast<double>(stats.connections_refused_total));
        const ProcessUsage usage = process_usage();
        out.sample(Kind::gauge, "process_resident_memory_bytes", "Resident memory.", {},
                   static_cast<double>(usage.rss_bytes));
        out.sample(Kind::counter, "process_cpu_seconds_total", "CPU time used.", {},
                   usage.cpu_seconds_total);
    });
    router.add("GET", "/metrics", [this](const Request&, const ResponderPtr& responder) {
        responder->send(
            text_response(200, base::metrics::Registry::kContentType, deps.metrics.exposition()));
    });
    router.add(
        "GET", "/openapi.json",
        [document = openapi_json(options.version)](const Request&, const ResponderPtr& responder) {
            responder->send(text_response(200, "application/json", document));
        });
}

}  // namespace gate
