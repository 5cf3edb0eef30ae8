#pragma once
// Which requests a web page made the browser send that should not have. A server on loopback has no
// password, yet every page the user opens can reach it: by a simple cross-site POST, which a
// browser sends without asking, and by DNS rebinding, where a name of the page's own suddenly means
// 127.0.0.1. Pure: no sockets, so that tests ask it directly.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/message.h"

namespace base::http {

struct SitePolicy {
    /// Refuse names nobody expects in `Host`. For servers that only this machine can reach: there a
    /// strange name means rebinding. Elsewhere clients use names that the server cannot know.
    bool check_host = false;
    /// Names allowed in `Host` beside IP addresses and localhost; "*" = any.
    std::vector<std::string> hosts;
    /// Origins whose pages may send requests that change or compute something; "*" = any.
    std::vector<std::string> origins;
};

/// Why the request must be answered 403, with what to configure; nothing when it may go on.
/// Programs that are no browser send neither Origin nor Sec-Fetch-Site and are never affected by
/// the cross-site rule. GET and HEAD pass it: what they answer a foreign page cannot read, but for
/// a WebSocket, which any page could.
std::optional<std::string> refuse_foreign_site(const Request& request, const SitePolicy& policy);

/// "127.0.0.1", "::1" and the rest of 127.0.0.0/8, or localhost.
bool is_loopback(std::string_view address);

}  // namespace base::http
