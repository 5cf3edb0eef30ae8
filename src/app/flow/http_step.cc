// A request to another server. Its idempotency key goes along, so that a server which knows such
// keys does nothing twice when the step is tried again.

#include <algorithm>

#include "app/flow/step_adapters.h"
#include "app/server_client.h"
#include "base/json/object_reader.h"

namespace app {

using base::Code;
using base::Result;
namespace json = base::json;

namespace {

std::string text_of(const json::value& value) {
    return value.is_string() ? std::string(value.get_string()) : base::to_text(value);
}

void add_query(std::string& url, const json::value* query) {
    if (query == nullptr || !query->is_object()) return;
    for (const auto& [name, value] : query->get_object()) {
        url += url.find('?') == std::string::npos ? '?' : '&';
        url += url_escape(name) + "=" + url_escape(text_of(value));
    }
}

/// What a status that is not wanted means for trying again.
Code code_of(int status) {
    switch (status) {
        case 400:
        case 422:
            return Code::invalid_argument;
        case 401:
            return Code::unauthenticated;
        case 403:
            return Code::permission_denied;
        case 404:
        case 410:
            return Code::not_found;
        case 409:
            return Code::already_exists;
        case 413:
            return Code::payload_too_large;
        case 408:
        case 504:
            return Code::deadline_exceeded;
        case 429:
            return Code::resource_exhausted;
        default:
            return status >= 500 ? Code::unavailable : Code::failed_precondition;
    }
}

}  // namespace

Result<flow::StepOutput> run_http(const base::HttpClient& client, const flow::HttpAction& action,
                                  const StepCall& step) {
    const json::object* asked = step.call.request.if_object();
    if (asked == nullptr) return base::fail(Code::invalid_argument, "'http' needs an object");
    base::HttpClient::Request request;
    request.timeout = step.time_left;
    request.cancelled = [cancelled = step.cancelled] { return cancelled->load(); };
    base::ObjectReader in(*asked, "http");
    in.text("method", request.method, 16);
    in.text("url", request.url, 8'192);
    const json::value* headers = in.value("headers");
    const json::value* query = in.value("query");
    const json::value* body_json = in.value("json");
    const json::value* body = in.value("body");
    DG_TRY(in.done());
    add_query(request.url, query);
    bool has_type = false, has_key = false, has_trace = false;
    if (headers != nullptr && headers->is_object()) {
        for (const auto& [name, value] : headers->get_object()) {
            request.headers.emplace_back(std::string(name), text_of(value));
            std::string lower(name);
            std::ranges::transform(lower, lower.begin(),
                                   [](unsigned char c) { return std::tolower(c); });
            has_type = has_type || lower == "content-type";
            has_key = has_key || lower == "idempotency-key";
            has_trace = has_trace || lower == "traceparent";
        }
    }
    if (body_json != nullptr) {
        request.body = base::to_text(*body_json);
        if (!has_type) request.headers.emplace_back("Content-Type", "application/json");
    } else if (body != nullptr) {
        request.body = text_of(*body);
    }
    if (!has_key) request.headers.emplace_back("Idempotency-Key", step.call.idempotency_key);
    if (!has_trace) {
        request.headers.emplace_back("traceparent",
                                     base::trace::format_traceparent(step.call.trace));
    }
    const auto response = DG_TRY(client.send(request));
    const bool good =
        action.ok_status.empty()
            ? response.status >= 200 && response.status < 300
            : std::ranges::find(action.ok_status, response.status) != action.ok_status.end();
    if (!good) {
        return base::fail(code_of(response.status), "{} {} answered {}: {}", request.method,
                          request.url.substr(0, request.url.find('?')), response.status,
                          response.body.substr(0, 300));
    }
    json::object out{{"status", response.status}};
    json::object given;
    for (const auto& [name, value] : response.headers) given[name] = value;
    out["headers"] = std::move(given);
    const auto type = response.header("Content-Type");
    out["body"] = response.body;
    if (type && type->find("json") != std::string_view::npos) {
        if (auto parsed = base::parse_json(response.body, {.depth_max = 128})) {
            out["body"] = *std::move(parsed);
        }
    }
    return flow::StepOutput{std::move(out), 0, 0};
}

}  // namespace app
