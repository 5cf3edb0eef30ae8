#include "sphere/http/port_routes.h"

#include <fmt/format.h>

#include <charconv>
#include <utility>

#include "base/api/error_answer.h"
#include "base/core/rng.h"
#include "base/json/json.h"
#include "base/json/object_reader.h"
#include "sphere/http/port_exchange.h"
#include "sphere/http/request_parts.h"

namespace sphere {
namespace {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::ObjectReader;
using base::Result;
using base::http::Request;
using base::http::RequestBodyPtr;
using base::http::ResponderPtr;
using base::http::Response;

constexpr std::string_view kTokenHeader = "X-Dougong-Port-Token", kTokenField = "port_token";

std::string make_token() {
    return fmt::format("{:016x}{:016x}", base::entropy64(), base::entropy64());
}

Result<std::uint16_t> port_of(const Request& request) {
    const std::string_view text = request.param("port");
    std::uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error == std::errc() && end == text.data() + text.size() && port != 0) return port;
    return fail_on("port", Code::invalid_argument, "'{}' is not a port from 1 to 65535",
                   text.substr(0, 16));
}

/// The path as the program shall see it: decoded once on the way in, so encoded again.
std::string target_of(const Request& request) {
    std::string target = "/";
    for (const char c : request.param("path")) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') ||
                           std::string_view("-._~/!$&'()*+,;=:@").find(c) != std::string_view::npos;
        if (plain) {
            target += c;
        } else {
            target += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        }
    }
    std::string rest;
    for (std::string_view query = request.query; !query.empty();) {
        const std::size_t end = query.find('&');
        const std::string_view field = query.substr(0, end);
        if (!field.starts_with(fmt::format("{}=", kTokenField))) {
            rest += rest.empty() ? '?' : '&';
            rest += field;
        }
        query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    }
    return target + rest;
}

}  // namespace

PortApi::PortApi(Sphere& sphere, const base::Clock& clock, PortApiOptions options)
    : sphere_(sphere),
      clock_(clock),
      options_(options),
      web_sockets_(std::make_shared<PortWebSockets>(options.web_sockets_max)),
      calls_(options.threads, options.queue_max) {}

void PortApi::stop() {
    calls_.stop();
    web_sockets_->stop();
}

void PortApi::register_routes(base::http::Router& router) {
    calls_.route(router, "POST", "/v1/sandboxes/{id}/ports",
                 [this](const Request& request) { return open_port(request); });
    const auto pass = [this](const Request& request, const ResponderPtr& responder) {
        calls_.post(responder,
                    [this, request, responder] { forward(request, nullptr, responder); });
    };
    const auto pass_body = [this](const Request& request, const RequestBodyPtr& body,
                                  const ResponderPtr& responder) {
        calls_.post(responder,
                    [this, request, body, responder] { forward(request, body, responder); });
    };
    for (const char* pattern :
         {"/v1/sandboxes/{id}/ports/{port}", "/v1/sandboxes/{id}/ports/{port}/",
          "/v1/sandboxes/{id}/ports/{port}/{path...}"}) {
        for (const char* method : {"GET", "HEAD"}) router.add(method, pattern, pass);
        for (const char* method : {"POST", "PUT", "PATCH", "DELETE"}) {
            router.add_upload(method, pattern, options_.upload_bytes_max, pass_body);
        }
    }
}

Result<Response> PortApi::open_port(const Request& request) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    const json::value value = DG_TRY(base::parse_json(request.body));
    if (!value.is_object()) {
        return base::fail(Code::invalid_argument, "the body must be a JSON object");
    }
    Grant grant{info.id, 0, 0};
    std::chrono::milliseconds ttl = options_.ttl_default;
    ObjectReader in(value.get_object());
    in.integer<std::uint16_t>("port", grant.port, 1, 65535);
    in.milliseconds("ttl_ms", ttl, options_.ttl_max);
    if (!in.has("port")) in.fault("port", "is missing");
    DG_TRY(in.done());
    if (info.spec.network.mode == NetworkMode::none) {
        return fail_on("port", Code::failed_precondition,
                       "sandbox {} has no loopback; make it with network.mode loopback", info.id);
    }
    const std::int64_t now = clock_.unix_ns();
    grant.expires_unix_ns = now + std::chrono::nanoseconds(ttl).count();
    const std::string token = make_token();
    {
        const std::lock_guard lock(mutex_);
        std::erase_if(tokens_,
                      [&](const auto& each) { return each.second.expires_unix_ns <= now; });
        if (tokens_.size() >= options_.tokens_max) {
            return base::fail(Code::resource_exhausted,
                              "{} port tokens are valid; wait for some "
                              "to expire",
                              tokens_.size());
        }
        tokens_[token] = grant;
    }
    const std::string_view host = request.headers.get("Host");
    const std::string path = fmt::format("/v1/sandboxes/{}/ports/{}", info.id, grant.port);
    return base::http::text_response(
        201, "application/json",
        base::to_text(
            json::object{{"object", "sandbox.port"},
                         {"sandbox", info.id},
                         {"port", grant.port},
                         {"url", fmt::format("http://{}{}/?{}={}", host, path, kTokenField, token)},
                         {"token", token},
                         {"expires_at", grant.expires_unix_ns / 1'000'000'000}}));
}

Result<PortApi::Grant> PortApi::check_token(const Request& request) {
    const std::uint16_t port = DG_TRY(port_of(request));
    std::string token(request.headers.get(kTokenHeader));
    if (token.empty()) token = request.query_param(kTokenField).value_or("");
    {
        const std::lock_guard lock(mutex_);
        const auto at = tokens_.find(token);
        if (at != tokens_.end() && at->second.port == port &&
            at->second.sandbox == request.param("id") &&
            at->second.expires_unix_ns > clock_.unix_ns()) {
            return at->second;
        }
    }
    return fail_on(std::string(kTokenHeader), Code::permission_denied,
                   "no valid token for port {}: POST /v1/sandboxes/{{id}}/ports gives one; it goes "
                   "into the header {} or the query's {}",
                   port, kTokenHeader, kTokenField);
}

void PortApi::forward(const Request& request, const RequestBodyPtr& body,
                      const ResponderPtr& responder) {
    const auto passed = [&]() -> Result<void> {
        const Grant grant = DG_TRY(check_token(request));
        base::UniqueFd socket(DG_TRY(sphere_.dial(grant.sandbox, grant.port)));
        const PortRequest where{target_of(request), grant.port, options_.silence_max};
        if (!wants_web_socket(request)) {
            return exchange_with_port(std::move(socket), where, request, body, responder);
        }
        return web_sockets_->relay(std::move(socket), where, request, responder);
    }();
    if (!passed) responder->send(base::api::error_response(passed.error()));
}

}  // namespace sphere
