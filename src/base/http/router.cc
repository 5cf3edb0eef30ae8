#include "base/http/router.h"

#include <algorithm>
#include <ranges>

#include "base/core/check.h"

namespace base::http {
namespace {

std::vector<std::string_view> split_path(std::string_view path) {
    std::vector<std::string_view> segments;
    path.remove_prefix(path.starts_with('/') ? 1 : 0);
    for (;;) {
        const std::size_t slash = path.find('/');
        segments.push_back(path.substr(0, slash));
        if (slash == std::string_view::npos) return segments;
        path.remove_prefix(slash + 1);
    }
}

bool is_parameter(std::string_view segment) {
    return segment.size() > 2 && segment.front() == '{' && segment.back() == '}';
}
bool is_rest(std::string_view segment) {
    return is_parameter(segment) && segment.ends_with("...}");
}

/// Literals first, so that "/models/mine" wins over "/models/{id}": 0 literal, 1 parameter, 2 rest.
int openness(std::string_view segment) {
    return is_rest(segment) ? 2 : is_parameter(segment) ? 1 : 0;
}

using Params = std::vector<std::pair<std::string, std::string>>;

bool fits(const std::vector<std::string>& pattern, const std::vector<std::string_view>& path,
          Params& params) {
    params.clear();
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const std::string_view want = pattern[i];
        if (i >= path.size()) return false;
        if (is_rest(want)) {
            const std::size_t after = pattern.size() - i - 1;
            if (path.size() < i + 1 + after) return false;
            if (!std::ranges::equal(pattern | std::views::drop(i + 1),
                                    path | std::views::drop(path.size() - after))) {
                return false;
            }
            const std::string_view last = path[path.size() - after - 1];
            std::string rest(path[i].data(), last.data() + last.size());
            if (rest.empty()) return false;
            params.emplace_back(std::string(want.substr(1, want.size() - 5)), std::move(rest));
            return true;
        }
        if (is_parameter(want)) {
            if (path[i].empty()) return false;
            params.emplace_back(std::string(want.substr(1, want.size() - 2)), std::string(path[i]));
        } else if (want != path[i]) {
            return false;
        }
    }
    return pattern.size() == path.size();
}

}  // namespace

Router::Route& Router::route_of(std::string_view method, std::string_view pattern) {
    DG_CHECK(pattern.starts_with('/'), pattern);
    auto at = std::ranges::find(routes_, pattern, &Route::pattern);
    if (at == routes_.end()) {
        Route route{std::string(pattern), {}, {}, {}};
        for (const std::string_view segment : split_path(pattern)) {
            route.segments.emplace_back(segment);
        }
        const auto more_literal = [](const Route& a, const Route& b) {
            return std::ranges::lexicographical_compare(a.segments, b.segments, {}, openness,
                                                        openness);
        };
        at = routes_.insert(std::ranges::upper_bound(routes_, route, more_literal),
                            std::move(route));
    }
    for (const auto& [existing, unused] : at->methods) DG_CHECK(existing != method, pattern);
    for (const auto& [existing, unused] : at->uploads) DG_CHECK(existing != method, pattern);
    return *at;
}

void Router::add(std::string_view method, std::string_view pattern, Handler handler) {
    route_of(method, pattern).methods.emplace_back(std::string(method), std::move(handler));
}

void Router::add_upload(std::string_view method, std::string_view pattern, std::uint64_t bytes_max,
                        UploadHandler handler) {
    route_of(method, pattern)
        .uploads.emplace_back(std::string(method),
                              std::make_unique<Upload>(std::move(handler), bytes_max));
}

Router::Match Router::match(std::string_view method, std::string_view path) const {
    Match match;
    const std::vector<std::string_view> segments = split_path(path);
    for (const Route& route : routes_) {
        if (!fits(route.segments, segments, match.params)) continue;
        match.route = route.pattern;
        const auto serves = [&](std::string_view wanted) {
            const auto found = std::ranges::find(route.methods, wanted,
                                                 [](const auto& entry) { return entry.first; });
            return found == route.methods.end() ? nullptr : &found->second;
        };
        match.handler = serves(method);
        if (match.handler == nullptr && method == "HEAD") match.handler = serves("GET");
        for (const auto& [wanted, upload] : route.uploads) {
            if (wanted == method) match.upload = upload.get();
        }
        if (match.handler == nullptr && match.upload == nullptr) {
            for (const auto& [allowed, unused] : route.methods) match.allowed += allowed + ", ";
            for (const auto& [allowed, unused] : route.uploads) match.allowed += allowed + ", ";
            if (serves("GET") != nullptr && serves("HEAD") == nullptr) match.allowed += "HEAD, ";
            match.allowed += "OPTIONS";
        }
        return match;
    }
    match.params.clear();
    return match;
}

std::vector<std::pair<std::string, std::string>> Router::routes() const {
    std::vector<std::pair<std::string, std::string>> all;
    for (const Route& route : routes_) {
        for (const auto& [method, unused] : route.methods) all.emplace_back(method, route.pattern);
        for (const auto& [method, unused] : route.uploads) all.emplace_back(method, route.pattern);
    }
    return all;
}

}  // namespace base::http
