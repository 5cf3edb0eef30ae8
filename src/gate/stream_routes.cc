// Answers that outlive their connection: streams that are read again, responses that are asked for
// later.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <unordered_map>

#include "gate/gateway_impl.h"
#include "gate/generation.h"

namespace gate {
namespace {

namespace json = base::json;
using base::Code;
using base::http::Request;
using base::http::ResponderPtr;
using base::http::text_response;

ApiError missing(std::string_view what, std::string_view id) {
    return {404,
            fmt::format("{} '{}' is not here: it never was, or it is too long over", what,
                        id.substr(0, 128)),
            "invalid_request_error",
            "id",
            "not_found",
            0};
}

ApiError wrong_number(std::string_view name) {
    return request_error({Code::invalid_argument,
                          fmt::format("'{}' must be the number of an event", name),
                          std::string(name)});
}

/// Clients may choose ids: one tenant's must not get in another's way. Tenants hold no line ends.
std::string stream_key(std::string_view tenant, std::string_view id) {
    return fmt::format("{}\n{}", tenant, id);
}

/// The first event to send: the one after `text`; 0 when it is empty.
std::optional<std::uint64_t> event_after(std::string_view text) {
    if (text.empty()) return 0;
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number + 1;
}

}  // namespace

void Gateway::Impl::attach_stream(const std::shared_ptr<Generation>& generation,
                                  const ResponderPtr& responder, std::string_view after,
                                  std::string_view name) {
    const auto from = event_after(after);
    if (!from) return responder->send(render(wrong_number(name)));
    const auto attached = generation->attach(responder, *from);
    if (attached) return;
    ApiError error = request_error(attached.error());
    error.param = name;
    error.code = "invalid_value";
    if (attached.error().code == Code::not_found) {
        error.status = 410;
        error.code = "events_dropped";
    }
    responder->send(render(error));
}

/// An error when too many are running, or too many of the tenant's. One that is over makes room:
/// one of the tenant that holds the most.
std::optional<ApiError> Gateway::Impl::keep_stream(const std::shared_ptr<Generation>& generation) {
    const std::string key = stream_key(generation->tenant(), generation->id());
    std::shared_ptr<Generation> leaving;  // dies after the lock
    const std::lock_guard lock(mutex);
    const auto over = [](const auto& entry) { return entry.second->finished(); };
    auto place = streams.find(key);
    if (place != streams.end() && !over(*place)) {
        return request_error(
            {Code::invalid_argument,
             fmt::format("'{}' is still running; choose another X-Request-Id", generation->id()),
             "X-Request-Id"});
    }
    struct Held {
        std::size_t running = 0, over = 0;
    };
    std::unordered_map<std::string, Held> held;
    for (const auto& entry : streams) {
        Held& tenants = held[entry.second->tenant()];
        ++(over(entry) ? tenants.over : tenants.running);
    }
    const auto full = [](std::size_t running, std::string_view whose) {
        return backend_error({Code::resource_exhausted,
                              fmt::format("{} kept streams{} are running, which is the limit; try "
                                          "again later",
                                          running, whose),
                              {}});
    };
    // A quarter of the places is for others.
    const std::size_t own_max = options.streams_max - options.streams_max / 4;
    if (const std::size_t own = held[generation->tenant()].running; own >= own_max) {
        return full(own, " of this tenant");
    }
    if (place == streams.end() && streams.size() >= options.streams_max) {
        std::size_t most = 0;
        for (auto at = streams.begin(); at != streams.end(); ++at) {
            if (!over(*at)) continue;
            const Held& tenants = held[at->second->tenant()];
            if (tenants.running + tenants.over <= most) continue;
            most = tenants.running + tenants.over;
            place = at;
        }
        if (place == streams.end()) return full(options.streams_max, "");
    }
    if (place != streams.end()) {
        leaving = std::move(place->second);
        streams.erase(place);
    }
    streams.emplace(key, generation);
    return std::nullopt;
}

std::shared_ptr<Generation> Gateway::Impl::find_stream(std::string_view tenant,
                                                       std::string_view id) const {
    const std::lock_guard lock(mutex);
    const auto found = streams.find(stream_key(tenant, id));
    return found == streams.end() ? nullptr : found->second;
}

std::size_t Gateway::Impl::kept_streams() const {
    const std::lock_guard lock(mutex);
    return streams.size();
}

void Gateway::Impl::forget_stream(const Generation& generation) {
    const std::lock_guard lock(mutex);
    const auto found = streams.find(stream_key(generation.tenant(), generation.id()));
    // Another one may have taken its place.
    if (found != streams.end() && found->second.get() == &generation) streams.erase(found);
}

/// Streams that nobody reads are cancelled after a while, and forgotten a while after their end.
void Gateway::Impl::sweep_streams() {
    const base::Instant then{deps.clock.now().ns - base::Duration(options.stream_keep).count()};
    std::vector<std::shared_ptr<Generation>> unread;
    {
        const std::lock_guard lock(mutex);
        for (auto at = streams.begin(); at != streams.end();) {
            if (!at->second->idle_since(then)) {
                ++at;
            } else if (at->second->finished()) {
                unread.push_back(at->second);  // destroyed outside the lock
                at = streams.erase(at);
            } else {
                if (!at->second->background()) unread.push_back(at->second);
                ++at;
            }
        }
    }
    for (const auto& generation : unread) generation->cancel();
}

void Gateway::Impl::register_stream_routes(base::http::Router& router) {
    router.add("GET", "/v1/streams/{id}",
               [this](const Request& request, const ResponderPtr& responder) {
                   Call call;
                   if (const auto fault = read_caller(request, call)) {
                       return responder->send(render(*fault));
                   }
                   const auto stream = find_stream(call.tenant, request.param("id"));
                   if (stream == nullptr || !stream->resumable()) {
                       return responder->send(render(missing("stream", request.param("id"))));
                   }
                   const auto after = request.query_param("after");
                   attach_stream(stream, responder,
                                 after ? *after : request.headers.get("Last-Event-ID"), "after");
               });
    router.add("DELETE", "/v1/streams/{id}",
               [this](const Request& request, const ResponderPtr& responder) {
                   Call call;
                   if (const auto fault = read_caller(request, call)) {
                       return responder->send(render(*fault));
                   }
                   const auto stream = find_stream(call.tenant, request.param("id"));
                   if (stream == nullptr) {
                       return responder->send(render(missing("stream", request.param("id"))));
                   }
                   forget_stream(*stream);
                   stream->cancel();
                   responder->send(text_response(
                       200, "application/json",
                       base::to_text(json::object{
                           {"id", stream->id()}, {"object", "stream"}, {"deleted", true}})));
               });
}

}  // namespace gate
