#pragma once
// Fetches one file over HTTP in parallel ranges, so that a cut connection or a killed process costs
// at most the bytes in flight. Beside the target lie `<target>.part`, the bytes, and
// `<target>.part.json`, how far each range has come; both go when the file is complete.

#include <cstdint>
#include <functional>
#include <string>

#include "base/core/result.h"
#include "base/http/client.h"

namespace engine {

struct DownloadRequest {
    std::string url;
    base::HttpClient::Headers headers;
    std::string target;       ///< path of the finished file
    std::uint64_t bytes = 0;  ///< size the server announced; 0: unknown, then one stream, no resume
    std::string identity;     ///< ETag or checksum: parts of another identity are not continued
    std::string sha256;       ///< expected; empty: only computed

    std::uint32_t ranges_parallel = 4;
    std::uint64_t range_bytes = 16u << 20;
    std::uint32_t attempts_max = 6;
    std::uint32_t backoff_first_ms = 500;
};

struct DownloadProgress {
    bool verifying = false;
    std::uint64_t bytes_done = 0, bytes_total = 0;
    double bytes_per_second = 0;
};
/// On the caller's thread. False stops.
using DownloadProgressFn = std::function<bool(const DownloadProgress&)>;

struct DownloadResult {
    std::string sha256;
    std::uint64_t bytes = 0;
    std::uint64_t bytes_fetched = 0;  ///< in this run
};

/// Errors: not_found, permission_denied, unavailable, data_loss (checksum: both sums; the parts are
/// removed), resource_exhausted (disk), cancelled (parts stay), failed_precondition (another
/// process is fetching the same target).
base::Result<DownloadResult> download(const base::HttpClient& client,
                                      const DownloadRequest& request,
                                      const DownloadProgressFn& progress);

}  // namespace engine
