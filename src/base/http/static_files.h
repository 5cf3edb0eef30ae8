#pragma once
// Serves files embedded in the program: cache headers, gzip, ETag, one page for every unknown path.

#include <span>
#include <string_view>

#include "base/http/message.h"
#include "base/http/router.h"

namespace base::http {

/// One embedded file. The views point into the program and live as long as it does.
struct StaticFile {
    std::string_view path;  ///< "/assets/index-3f2a.js"
    std::string_view mime;  ///< "text/javascript; charset=utf-8"
    std::string_view bytes;
    std::string_view gzip_bytes;  ///< empty: not compressed
    std::string_view etag;        ///< without quotes; empty: none
};

struct StaticFilesOptions {
    /// Sent for GET paths without a file when the client accepts HTML; empty: 404 instead.
    std::string_view spa_index = "/index.html";
    /// Files below this have a content hash in their name and may be cached for a year.
    std::string_view immutable_prefix = "/assets/";
    /// Unknown paths below these are never answered with the page: an API typo must be a 404.
    std::span<const std::string_view> api_prefixes;
};

class StaticFiles {
public:
    /// `files` must outlive this object. Pre: paths are unique and start with '/'.
    explicit StaticFiles(std::span<const StaticFile> files, StaticFilesOptions options = {});

    /// 200, 304 or 404; 405 for other methods than GET and HEAD.
    Response respond(const Request& request) const;
    /// For Router::set_fallback. Copies the (small) view of the table.
    Handler handler() const;

private:
    const StaticFile* find(std::string_view path) const;

    std::span<const StaticFile> files_;
    StaticFilesOptions options_;
};

/// Headers every page of ours carries: a content policy without other hosts, no framing, no
/// sniffing.
Headers security_headers();

}  // namespace base::http
