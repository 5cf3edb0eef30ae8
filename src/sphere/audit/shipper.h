#pragma once
// Where copies of the record go. A port: each shipper delivers a batch of lines or says why not.
// Delivery is at least once; a receiver tells repeats by `seq`.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/http/client.h"

namespace sphere::audit {

struct ShippedLine {
    std::uint64_t seq = 0;
    std::string_view text;  ///< without newline; chained as in the log
};

/// Used by one thread at a time.
class Shipper {
public:
    virtual ~Shipper() = default;
    /// Names the resume position's file: [a-z0-9-].
    virtual std::string_view name() const = 0;
    /// All of `lines` or an error; after an error the same lines come again.
    virtual base::Result<void> ship(std::span<const ShippedLine> lines) = 0;
};

/// Appends to a file, made when missing (mode 0600), and fsyncs it. Errors: those of the system.
std::unique_ptr<Shipper> make_file_shipper(std::string name, std::string path);

/// One datagram a line to a syslog socket, RFC 3164 with facility authpriv (10), severity notice.
/// A line that the socket refuses as too long goes with its middle left out: sequence number and
/// hash stay. Waits for a full socket at most a second, then the batch comes again.
std::unique_ptr<Shipper> make_syslog_shipper(std::string name, std::string socket = "/dev/log");

struct HttpShipperOptions {
    std::string url;
    base::HttpClient::Headers headers;  ///< such as authorization
    std::chrono::milliseconds timeout{30'000};
    base::HttpClient::Options client = {};
};
/// POSTs a batch as application/x-ndjson; any 2xx is an acknowledgement. Everything else is an
/// error and the batch comes again: nothing is dropped because a receiver refuses it.
std::unique_ptr<Shipper> make_http_shipper(std::string name, HttpShipperOptions options);

}  // namespace sphere::audit
