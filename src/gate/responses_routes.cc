// /v1/responses/{id}: what was stored, is still being made, or shall be neither.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "gate/body_reader.h"
#include "gate/gateway_impl.h"
#include "gate/generation.h"

namespace gate {
namespace {

namespace json = base::json;
using base::Code;
using base::http::Request;
using base::http::ResponderPtr;
using base::http::text_response;

ApiError missing(std::string_view id) {
    return {404,
            fmt::format("response '{}' is not stored here: it never was, its 'store' was false, or "
                        "newer ones took its place",
                        id.substr(0, 128)),
            "invalid_request_error",
            "id",
            "not_found",
            0};
}

void send_json(const ResponderPtr& responder, std::string body) {
    responder->send(text_response(200, "application/json", std::move(body)));
}

/// One page of input items, in OpenAI's list shape.
base::Result<json::object> page_of(json::array items, const Request& request) {
    std::size_t limit = 20;
    if (const auto text = request.query_param("limit")) {
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), limit);
        if (error != std::errc() || end != text->data() + text->size() || limit < 1 ||
            limit > 100) {
            return base::fail_on("limit", Code::invalid_argument,
                                 "'limit' must be a number from 1 to 100");
        }
    }
    const std::string order = request.query_param("order").value_or("desc");
    if (order != "asc" && order != "desc") {
        return base::fail_on("order", Code::invalid_argument, "'order' must be asc or desc");
    }
    if (order == "desc") std::ranges::reverse(items);
    const auto id_of = [](const json::value& item) { return view(item.at("id").as_string()); };
    auto from = items.begin();
    if (const auto after = request.query_param("after")) {
        from = std::ranges::find(items, std::string_view(*after), id_of);
        if (from == items.end()) {
            return base::fail_on("after", Code::invalid_argument,
                                 "'after' names no item of this response");
        }
        ++from;
    }
    const auto left = static_cast<std::size_t>(items.end() - from);
    json::array page(from, from + static_cast<std::ptrdiff_t>(std::min(limit, left)));
    json::object out{{"object", "list"}, {"has_more", left > limit}};
    out["first_id"] = page.empty() ? json::value(nullptr) : page.front().at("id");
    out["last_id"] = page.empty() ? json::value(nullptr) : page.back().at("id");
    out["data"] = std::move(page);
    return out;
}

}  // namespace

void Gateway::Impl::get_response(const Request& request, const ResponderPtr& responder,
                                 const std::string& tenant) {
    const std::string id(request.param("id"));
    const auto running = find_stream(tenant, id);
    if (request.query_param("stream").value_or("false") == "true") {
        if (running == nullptr || !running->resumable()) {
            return responder->send(render(request_error(
                {Code::invalid_argument,
                 fmt::format("response '{}' has no stream to read again: create it with \"stream\" "
                             "and \"background\", and come within {} s of its end",
                             id.substr(0, 128), options.stream_keep.count() / 1000),
                 "stream"})));
        }
        return attach_stream(running, responder, request.query_param("starting_after").value_or(""),
                             "starting_after");
    }
    if (running != nullptr && !running->finished()) {
        return send_json(responder, running->response_object());
    }
    if (const auto stored = responses.find(tenant, id)) return send_json(responder, stored->object);
    responder->send(render(missing(id)));
}

void Gateway::Impl::delete_response(const Request& request, const ResponderPtr& responder,
                                    const std::string& tenant) {
    const std::string id(request.param("id"));
    const auto running = find_stream(tenant, id);
    if (running != nullptr) {
        running->forget();
        forget_stream(*running);
    }
    const bool stored = responses.remove(tenant, id);
    if (!stored && running == nullptr) return responder->send(render(missing(id)));
    send_json(responder,
              base::to_text(json::object{{"id", id}, {"object", "response"}, {"deleted", true}}));
}

void Gateway::Impl::cancel_response(const Request& request, const ResponderPtr& responder,
                                    const std::string& tenant) {
    const std::string id(request.param("id"));
    const auto running = find_stream(tenant, id);
    if (running == nullptr || !running->background()) {
        const auto stored = responses.find(tenant, id);
        if (stored == nullptr) return responder->send(render(missing(id)));
        return responder->send(render(request_error(
            {Code::invalid_argument,
             fmt::format("response '{}' is no background response that still runs", id), "id"})));
    }
    running->cancel();
    running->on_finished(
        [running, responder] { send_json(responder, running->response_object()); });
}

void Gateway::Impl::register_responses_routes(base::http::Router& router) {
    const auto route =
        [&](std::string_view method, std::string_view pattern,
            void (Impl::*handler)(const Request&, const ResponderPtr&, const std::string&)) {
            router.add(method, pattern,
                       [this, handler](const Request& request, const ResponderPtr& responder) {
                           Call call;
                           if (const auto fault = read_caller(request, call)) {
                               return responder->send(render(*fault));
                           }
                           (this->*handler)(request, responder, call.tenant);
                       });
        };
    route("GET", "/v1/responses/{id}", &Impl::get_response);
    route("DELETE", "/v1/responses/{id}", &Impl::delete_response);
    route("POST", "/v1/responses/{id}/cancel", &Impl::cancel_response);
    route("GET", "/v1/responses/{id}/input_items", &Impl::list_input_items);
}

void Gateway::Impl::list_input_items(const Request& request, const ResponderPtr& responder,
                                     const std::string& tenant) {
    const auto stored = responses.find(tenant, request.param("id"));
    if (stored == nullptr) return responder->send(render(missing(request.param("id"))));
    auto items = base::parse_json(stored->input_items);
    if (!items) return responder->send(render(backend_error(items.error())));
    auto page = page_of(std::move(items->get_array()), request);
    if (!page) return responder->send(render(request_error(page.error())));
    send_json(responder, base::to_text(*page));
}

}  // namespace gate
