#include "flow/http/history_routes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/api/request_parts.h"

namespace flow {

namespace json = base::json;
using base::Code;
using base::Result;
using base::api::query_flag;
using base::api::query_number;

namespace {

constexpr std::int64_t kPlaceMax = 1ll << 50;

/// A value that is kept beside the log says where it is got.
void link(RunId run, json::value& value) {
    json::object* object = value.if_object();
    const json::value* hash = object != nullptr ? object->if_contains("$blob") : nullptr;
    if (hash == nullptr || !hash->is_string()) return;
    (*object)["url"] =
        fmt::format("/v1/runs/{}/blobs/{}", to_text(run), std::string_view(hash->get_string()));
}

void link_all(RunId run, Event& event) {
    link(run, event.value);
    if (event.kind != EventKind::run_started || !event.value.is_object()) return;
    for (auto&& member : event.value.get_object()) link(run, member.value());
}

std::optional<std::uint64_t> number_of(std::string_view text) {
    std::uint64_t out = 0;
    const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (text.empty() || wrong != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return out;
}

}  // namespace

Result<std::optional<std::pair<std::uint64_t, std::uint64_t>>> byte_range(std::string_view text,
                                                                          std::uint64_t size) {
    using Range = std::pair<std::uint64_t, std::uint64_t>;
    constexpr std::string_view kUnit = "bytes=";
    if (!text.starts_with(kUnit) || text.find(',') != std::string_view::npos) {
        return std::optional<Range>();
    }
    text.remove_prefix(kUnit.size());
    const std::size_t dash = text.find('-');
    if (dash == std::string_view::npos) return std::optional<Range>();
    const auto from = number_of(text.substr(0, dash)), to = number_of(text.substr(dash + 1));
    // What is no number and not empty says nothing that is known here.
    if ((!from && dash != 0) || (!to && dash + 1 != text.size()) || (!from && !to) ||
        (from && to && *to < *from)) {
        return std::optional<Range>();
    }
    const std::uint64_t first = from ? *from : size - std::min(*to, size);
    if (first >= size) {
        return base::fail_on("Range", Code::invalid_argument,
                             "'Range' begins at byte {}; the value has {}", first, size);
    }
    return std::optional(Range{first, from && to ? std::min(*to, size - 1) : size - 1});
}

void HistoryRoutes::register_routes(base::http::Router& router, base::api::CallPool& pool) {
    pool.route(router, "GET", "/v1/runs/{id}/events",
               [this](const Request& request) { return events(request); });
    pool.route(router, "GET", "/v1/runs/{id}/blobs/{hash}",
               [this](const Request& request) { return blob(request); });
}

Result<base::http::Response> HistoryRoutes::events(const Request& request) {
    const RunId id = DG_TRY(run_of_(request));
    const auto limit =
        static_cast<std::uint64_t>(DG_TRY(query_number(request, "limit", 1, 1'000, 200)));
    const bool newest = DG_TRY(query_flag(request, "newest"));
    const auto before = DG_TRY(query_number(request, "before", 1, kPlaceMax, 0));
    const std::string values = request.query_param("values").value_or("whole");
    if (values != "whole" && values != "link") {
        return base::fail_on("values", Code::invalid_argument,
                             "'values' must be whole, or link: large ones by their address");
    }
    const int ways = static_cast<int>(newest) + static_cast<int>(before != 0) +
                     static_cast<int>(request.query_param("after").has_value());
    if (ways > 1) {
        return base::fail_on("after", Code::invalid_argument,
                             "say one of 'after', 'before' and 'newest'");
    }
    const std::uint64_t total = DG_TRY(log_.length(id));
    auto skip = static_cast<std::uint64_t>(DG_TRY(query_number(request, "after", 0, kPlaceMax, 0)));
    std::uint64_t count = limit;
    if (newest || before != 0) {  // places count from 1
        const std::uint64_t end =
            newest ? total : std::min(total, static_cast<std::uint64_t>(before) - 1);
        skip = end - std::min(end, limit);
        count = end - skip;
    }
    std::vector<Event> found;
    if (count != 0) {
        const auto most = static_cast<std::uint32_t>(count);
        found = DG_TRY(values == "link" ? log_.linked_history(id, skip, most)
                                        : log_.history(id, skip, most));
    }
    json::array data;
    std::uint64_t place = skip;
    for (Event& event : found) {
        if (values == "link") link_all(id, event);
        json::object one = to_json(event);
        one["place"] = ++place;
        data.push_back(std::move(one));
    }
    // `has_more`: in the direction that was asked for.
    const bool backwards = newest || before != 0;
    return base::api::json_answer(
        200, {{"object", "list"},
              {"data", std::move(data)},
              {"has_more", backwards ? skip != 0 && !found.empty() : found.size() == limit},
              {"total", total}});
}

Result<base::http::Response> HistoryRoutes::blob(const Request& request) {
    const RunId id = DG_TRY(run_of_(request));
    const std::string hash(request.param("hash"));
    base::http::Response response;
    response.body = DG_TRY(log_.blob(id, hash));
    response.headers.add("Content-Type", "application/json");
    response.headers.add("ETag", "\"" + hash + "\"");
    response.headers.add("Cache-Control", "private, max-age=31536000, immutable");
    response.headers.add("Accept-Ranges", "bytes");
    // What steps gave is nobody's web page: the console has the same origin.
    response.headers.add("X-Content-Type-Options", "nosniff");
    response.headers.add("Content-Security-Policy", "sandbox; default-src 'none'");
    const std::uint64_t size = response.body.size();
    if (const auto range = DG_TRY(byte_range(request.headers.get("Range"), size))) {
        const auto [first, last] = *range;
        response.status = 206;
        response.body = response.body.substr(first, last - first + 1);
        response.headers.add("Content-Range", fmt::format("bytes {}-{}/{}", first, last, size));
    }
    return response;
}

}  // namespace flow
