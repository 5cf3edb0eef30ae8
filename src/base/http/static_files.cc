#include "base/http/static_files.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/http/server.h"

namespace base::http {
namespace {

bool wants_page(const Request& request, const StaticFilesOptions& options) {
    const bool api = std::ranges::any_of(options.api_prefixes, [&](std::string_view prefix) {
        return request.path.starts_with(prefix);
    });
    return !api && !options.spa_index.empty() &&
           request.headers.get("Accept").find("text/html") != std::string_view::npos;
}

/// If-None-Match holds this tag, weakly compared (RFC 9110 section 13.1.2).
bool has_etag(std::string_view list, std::string_view etag) {
    if (list == "*") return true;
    return !etag.empty() && list.find(fmt::format("\"{}\"", etag)) != std::string_view::npos;
}

}  // namespace

Headers security_headers() {
    return Headers{{"Content-Security-Policy",
                    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
                    "form-action 'none'; frame-ancestors 'none'"},
                   {"X-Content-Type-Options", "nosniff"},
                   {"X-Frame-Options", "DENY"},
                   {"Referrer-Policy", "no-referrer"},
                   {"Cross-Origin-Opener-Policy", "same-origin"},
                   {"Cross-Origin-Resource-Policy", "same-origin"},
                   {"Permissions-Policy", "camera=(), geolocation=(), microphone=()"}};
}

StaticFiles::StaticFiles(std::span<const StaticFile> files, StaticFilesOptions options)
    : files_(files), options_(options) {}

const StaticFile* StaticFiles::find(std::string_view path) const {
    // The table holds tens of files; a scan of their names is shorter than hashing one.
    const auto found = std::ranges::find(files_, path, &StaticFile::path);
    return found == files_.end() ? nullptr : &*found;
}

Response StaticFiles::respond(const Request& request) const {
    if (request.method != "GET" && request.method != "HEAD") {
        Response response = text_response(405, "text/plain; charset=utf-8", "use GET\n");
        response.headers.add("Allow", "GET, HEAD, OPTIONS");
        return response;
    }
    const StaticFile* file = find(request.path);
    if (file == nullptr && request.path.ends_with('/')) file = find(request.path + "index.html");
    if (file == nullptr && wants_page(request, options_)) file = find(options_.spa_index);
    if (file == nullptr) return text_response(404, "text/plain; charset=utf-8", "no such page\n");

    Response response;
    response.headers = security_headers();
    const bool immutable =
        !options_.immutable_prefix.empty() && file->path.starts_with(options_.immutable_prefix);
    response.headers.add("Cache-Control",
                         immutable ? "public, max-age=31536000, immutable" : "no-cache");
    if (!file->etag.empty()) response.headers.add("ETag", fmt::format("\"{}\"", file->etag));
    if (!file->gzip_bytes.empty()) response.headers.add("Vary", "Accept-Encoding");
    if (has_etag(request.headers.get("If-None-Match"), file->etag)) {
        response.status = 304;
        return response;
    }
    response.headers.add("Content-Type", std::string(file->mime));
    response.static_body = file->bytes;
    if (!file->gzip_bytes.empty() &&
        list_has_token(request.headers.get("Accept-Encoding"), "gzip")) {
        response.headers.add("Content-Encoding", "gzip");
        response.static_body = file->gzip_bytes;
    }
    return response;
}

Handler StaticFiles::handler() const {
    return [files = *this](const Request& request, const ResponderPtr& responder) {
        responder->send(files.respond(request));
    };
}

}  // namespace base::http
