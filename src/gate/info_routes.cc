// What is served and how it is: /v1/models, /healthz, /readyz, /metrics, /openapi.json.

#include <fmt/format.h>

#include "gate/engine_metrics.h"
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
        write_engine_metrics(deps.backend, out);
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
    router.add("GET", "/openapi.json",
               [document = openapi_json(options.version, options.more_paths)](
                   const Request&, const ResponderPtr& responder) {
                   responder->send(text_response(200, "application/json", document));
               });
}

}  // namespace gate
