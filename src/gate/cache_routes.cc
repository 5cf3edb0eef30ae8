// /v1/caches: prefixes that are computed once and kept by name.

#include <fmt/format.h>

#include "gate/gateway_impl.h"

namespace gate {
namespace {

namespace json = base::json;
using base::http::Request;
using base::http::ResponderPtr;
using base::http::text_response;

json::object cache_json(const ModelBackend::KeptPrefix& kept) {
    return {{"id", kept.id},
            {"object", "cache"},
            {"model", kept.model},
            {"tokens", kept.tokens},
            {"expires_at", kept.expires_unix_s}};
}

}  // namespace

void Gateway::Impl::create_cache(const Request& request, const ResponderPtr& responder) {
    const CallPtr call = begin_call(request, responder);
    if (const auto fault = read_caller(request, *call)) return fail(call, *fault);
    auto parsed = parse_cache_request(request.body);
    if (!parsed) return fail(call, request_error(parsed.error()));
    if (const auto refused = refusal()) return fail(call, *refused);
    auto model = choose_model(deps.backend.models(), parsed->model, Task::generate);
    if (!model) return fail(call, model_error(model.error()));
    call->record.model = parsed->model = model->id;
    const bool queued = slow_worker.post([this, call, work = std::move(*parsed)] {
        const std::string_view field = work.prompt.messages ? "messages"
                                       : work.prompt.text   ? "prompt"
                                                            : "tokens";
        const auto kept =
            deps.backend.keep_prefix(work.model, call->tenant, work.prompt, work.time_to_live);
        if (!kept) return fail(call, backend_error(kept.error(), field));
        call->record.prompt_tokens = kept->tokens;
        answer(call, text_response(200, "application/json", base::to_text(cache_json(*kept))));
    });
    if (!queued) fail(call, slow_full());
}

void Gateway::Impl::register_cache_routes(base::http::Router& router) {
    router.add("POST", "/v1/caches", [this](const Request& request, const ResponderPtr& responder) {
        create_cache(request, responder);
    });
    router.add("GET", "/v1/caches", [this](const Request& request, const ResponderPtr& responder) {
        Call call;
        if (const auto fault = read_caller(request, call)) return responder->send(render(*fault));
        json::array list;
        for (const auto& kept : deps.backend.kept_prefixes(call.tenant)) {
            list.push_back(cache_json(kept));
        }
        responder->send(text_response(
            200, "application/json",
            base::to_text(json::object{{"object", "list"}, {"data", std::move(list)}})));
    });
    router.add("DELETE", "/v1/caches/{id}",
               [this](const Request& request, const ResponderPtr& responder) {
                   Call call;
                   if (const auto fault = read_caller(request, call)) {
                       return responder->send(render(*fault));
                   }
                   const auto dropped = deps.backend.drop_prefix(call.tenant, request.param("id"));
                   if (!dropped) {
                       ApiError error = backend_error(dropped.error());
                       if (dropped.error().code == base::Code::not_found) {
                           error.code = "not_found";
                           error.param = "id";
                       }
                       return responder->send(render(error));
                   }
                   responder->send(text_response(
                       200, "application/json",
                       base::to_text(json::object{
                           {"id", request.param("id")}, {"object", "cache"}, {"deleted", true}})));
               });
}

}  // namespace gate
