#pragma once
// HTTP requests and responses as plain values, for server handlers. No sockets and no Boost here.

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/clock.h"
#include "base/core/result.h"

namespace base::http {

/// Header fields in the order they came. Names compare without case.
class Headers {
public:
    using Field = std::pair<std::string, std::string>;

    Headers() = default;
    Headers(std::initializer_list<Field> fields) : fields_(fields) {}

    /// The first field of that name, or an empty view: HTTP gives "absent" no other meaning here.
    std::string_view get(std::string_view name) const;
    bool has(std::string_view name) const;
    void add(std::string name, std::string value);
    /// Replaces every field of that name.
    void set(std::string_view name, std::string value);
    const std::vector<Field>& fields() const { return fields_; }

private:
    std::vector<Field> fields_;
};

struct Request {
    std::string method;  ///< "GET", upper case
    std::string path;    ///< percent-decoded, starts with '/'
    std::string query;   ///< raw text after '?'
    Headers headers;
    std::string body;
    std::vector<std::pair<std::string, std::string>> params;  ///< from the route's pattern
    std::string peer;                                         ///< "127.0.0.1:50312"
    std::string route;  ///< the matched pattern, for metrics; empty when none matched
    base::Instant arrived;

    /// A route parameter, decoded; empty when the pattern has none of that name.
    std::string_view param(std::string_view name) const;
    /// A query parameter, decoded; nothing when absent.
    std::optional<std::string> query_param(std::string_view name) const;
};

struct Response {
    int status = 200;
    Headers headers;  ///< Content-Length, Date and Connection are added by the server
    std::string body;
    /// Sent after `headers` without a copy when set; must outlive the program's server.
    std::optional<std::string_view> static_body;
};

Response text_response(int status, std::string_view content_type, std::string body);

/// "Not Found" for 404; "Unknown" for a status the table lacks.
std::string_view status_text(int status);

/// Errors: invalid_argument ('%' without two hex digits, or a NUL byte).
Result<std::string> percent_decode(std::string_view text, bool plus_is_space = false);

/// ASCII, without case.
bool equal_no_case(std::string_view a, std::string_view b);

/// True when a comma separated list (Accept-Encoding, Connection) holds `token` and its q is not 0.
bool list_has_token(std::string_view list, std::string_view token);

}  // namespace base::http
