// /admin/v1: what the console reads. Field names: docs/design/admin-api.md.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "gate/gateway_impl.h"

namespace gate {
namespace {

namespace json = base::json;
using base::Code;
using base::http::Request;
using base::http::ResponderPtr;
using base::http::text_response;

void send_json(const ResponderPtr& responder, const json::value& value) {
    responder->send(text_response(200, "application/json", base::to_text(value)));
}

void send_fault(const ResponderPtr& responder, base::Error error, int status = 400) {
    ApiError fault = request_error(error);
    fault.status = status;
    responder->send(render(fault));
}

json::object admin_card(const ModelCard& card) {
    return {{"id", card.id},
            {"object", "model"},
            {"created", card.created_unix_s},
            {"owned_by", card.owned_by},
            {"generates", card.generates},
            {"embeds", card.embeds},
            {"context_tokens", card.context_tokens},
            {"embedding_dim", card.embedding_dim},
            {"state", state_name(card.state)},
            {"state_text", card.state_text},
            {"memory_bytes", card.memory_bytes},
            {"requests_running", card.requests_running},
            {"details", card.details}};
}

json::object stats_json(const BackendStats& stats) {
    return {{"running", stats.running},
            {"queued", stats.queued},
            {"running_max", stats.running_max},
            {"batch_rows_last", stats.batch_rows_last},
            {"batch_rows_max", stats.batch_rows_max},
            {"kv_pages_used", stats.kv_pages_used},
            {"kv_pages_cached", stats.kv_pages_cached},
            {"kv_pages_total", stats.kv_pages_total},
            {"prompt_tokens_total", stats.prompt_tokens_total},
            {"completion_tokens_total", stats.completion_tokens_total},
            {"requests_total", stats.requests_total},
            {"cached_tokens_total", stats.cached_tokens_total},
            {"prefix_hits_total", stats.prefix_hits_total},
            {"prefix_misses_total", stats.prefix_misses_total},
            {"pages_evicted_total", stats.pages_evicted_total},
            {"preempted_total", stats.preempted_total},
            {"swapped_out_bytes_total", stats.swapped_out_bytes_total},
            {"forced_tokens_total", stats.forced_tokens_total},
            {"prefill_seconds_total", stats.prefill_seconds_total},
            {"decode_seconds_total", stats.decode_seconds_total},
            {"weights_bytes", stats.weights_bytes},
            {"kv_bytes", stats.kv_bytes},
            {"gap_ms",
             json::object{
                 {"p50", stats.gap_p50_ms}, {"p99", stats.gap_p99_ms}, {"max", stats.gap_max_ms}}}};
}

/// Every model with its place in memory; those in memory with their figures.
json::array engines_json(const ModelBackend& backend) {
    const auto all = backend.stats_by_model();
    json::array engines;
    for (const ModelCard& card : backend.models()) {
        const auto found = std::ranges::find(all, card.id, &ModelBackend::ModelStats::model);
        json::object engine = admin_card(card);
        engine.erase("details");
        engine["stats"] =
            found == all.end() ? json::value(nullptr) : json::value(stats_json(found->stats));
        engines.push_back(std::move(engine));
    }
    return engines;
}

base::Result<std::size_t> page_limit(const Request& request, std::size_t rows_max) {
    const auto text = request.query_param("limit");
    if (!text) return std::size_t{100};
    std::size_t limit = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
    if (error != std::errc() || end != text->data() + text->size() || limit < 1 ||
        limit > rows_max) {
        return base::fail_on("limit", Code::invalid_argument,
                             "'limit' must be a number from 1 to {}", rows_max);
    }
    return limit;
}

}  // namespace

LiveStats::Inputs Gateway::Impl::stats_inputs() const {
    LiveStats::Inputs inputs;
    inputs.now = deps.clock.now();
    inputs.unix_ms = deps.clock.unix_ns() / 1'000'000;
    inputs.backend = deps.backend.stats();
    inputs.process = process_usage();
    inputs.open_connections = server != nullptr ? server->stats().connections : 0;
    return inputs;
}

void Gateway::Impl::sample_every_second() {
    for (;;) {
        std::vector<ResponderPtr> listeners;
        {
            std::unique_lock lock(mutex);
            if (stop_sampler.wait_for(lock, std::chrono::seconds(1), [&] { return stopping; })) {
                return;
            }
            std::erase_if(stats_listeners, [](const ResponderPtr& to) { return to->closed(); });
            listeners = stats_listeners;
        }
        sweep_streams();
        live_stats.tick(stats_inputs());
        const std::string event = fmt::format("data: {}\n\n", live_stats.latest());
        for (const ResponderPtr& listener : listeners) listener->write(event);
    }
}

/// Loading reads gigabytes and unloading waits for requests, so a worker does it and the answer,
/// the model's card, comes when it is done.
void Gateway::Impl::change_model(const Request& request, const ResponderPtr& responder,
                                 base::Result<void> (ModelBackend::*change)(std::string_view)) {
    const bool queued = slow_worker.post([this, responder, change,
                                          id = std::string(request.param("id"))] {
        const auto changed = (deps.backend.*change)(id);
        if (!changed) {
            ApiError error = backend_error(changed.error());
            // What does not fit is no full queue: coming back in a second does not help.
            if (changed.error().code == Code::resource_exhausted) {
                error.status = 409;
                error.code = "insufficient_memory";
                error.type = "invalid_request_error";
                error.retry_after_s = 0;
            }
            return responder->send(render(error));
        }
        for (const ModelCard& card : deps.backend.models()) {
            if (card.id == id) return send_json(responder, admin_card(card));
        }
        send_fault(responder, {Code::not_found, fmt::format("model '{}' is gone", id), "id"}, 404);
    });
    if (!queued) responder->send(render(slow_full()));
}

ApiError Gateway::Impl::slow_full() const {
    return backend_error({base::Code::resource_exhausted,
                          "too many slow tasks (loading, unloading, keeping prefixes) are waiting; "
                          "try again when one has ended",
                          {}});
}

void Gateway::Impl::register_admin_routes(base::http::Router& router) {
    router.add("GET", "/admin/v1/stats", [this](const Request&, const ResponderPtr& responder) {
        responder->send(text_response(200, "application/json", live_stats.sample(stats_inputs())));
    });
    router.add("GET", "/admin/v1/stats/history",
               [this](const Request&, const ResponderPtr& responder) {
                   responder->send(text_response(
                       200, "application/json",
                       fmt::format(R"({{"samples":[{}]}})", fmt::join(live_stats.history(), ","))));
               });
    router.add(
        "GET", "/admin/v1/stats/stream", [this](const Request&, const ResponderPtr& responder) {
            responder->begin_stream(200, {{"Content-Type", "text/event-stream; charset=utf-8"},
                                          {"Cache-Control", "no-cache"}});
            // The first sample at once: a chart should not start with a second of nothing.
            responder->write(fmt::format("data: {}\n\n", live_stats.sample(stats_inputs())));
            const std::lock_guard lock(mutex);
            if (draining) return responder->end();
            stats_listeners.push_back(responder);
        });
    router.add(
        "GET", "/admin/v1/requests", [this](const Request& request, const ResponderPtr& responder) {
            const auto limit = page_limit(request, options.request_log_rows);
            if (!limit) return send_fault(responder, limit.error());
            const auto page = request_log.page(*limit, request.query_param("before").value_or(""));
            if (!page) {
                return send_fault(responder, {Code::invalid_argument,
                                              "'before' names a request that is not kept any more; "
                                              "start again without it",
                                              "before"});
            }
            json::array rows;
            for (const auto& record : page->records) rows.push_back(to_json(*record, false));
            send_json(responder,
                      json::object{{"requests", std::move(rows)},
                                   {"next_before", page->next_before.empty()
                                                       ? json::value(nullptr)
                                                       : json::value(page->next_before)}});
        });
    router.add("GET", "/admin/v1/requests/{id}",
               [this](const Request& request, const ResponderPtr& responder) {
                   const auto record = request_log.find(request.param("id"));
                   if (record != nullptr) return send_json(responder, to_json(*record, true));
                   send_fault(
                       responder,
                       {Code::invalid_argument,
                        fmt::format("request '{}' is not among the last {}",
                                    request.param("id").substr(0, 128), options.request_log_rows),
                        "id"},
                       404);
               });
    router.add("GET", "/admin/v1/models", [this](const Request&, const ResponderPtr& responder) {
        json::array cards;
        for (const ModelCard& card : deps.backend.models()) cards.push_back(admin_card(card));
        send_json(responder, json::object{{"models", std::move(cards)}});
    });
    router.add("GET", "/admin/v1/engine", [this](const Request&, const ResponderPtr& responder) {
        send_json(responder, json::object{{"models", engines_json(deps.backend)},
                                          {"total", stats_json(deps.backend.stats())}});
    });
    router.add("POST", "/admin/v1/models/{id...}/load",
               [this](const Request& request, const ResponderPtr& responder) {
                   change_model(request, responder, &ModelBackend::load);
               });
    router.add("POST", "/admin/v1/models/{id...}/unload",
               [this](const Request& request, const ResponderPtr& responder) {
                   change_model(request, responder, &ModelBackend::unload);
               });
    router.add("GET", "/admin/v1/system", [this](const Request&, const ResponderPtr& responder) {
        send_json(responder, json::object{{"version", options.version},
                                          {"commit", options.commit},
                                          {"kernel_target", options.kernel_target},
                                          {"cpu", options.cpu},
                                          {"threads", options.threads},
                                          {"started_unix_ms", started_unix_ms},
                                          {"config", options.config}});
    });
}

}  // namespace gate
