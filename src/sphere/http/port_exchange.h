#pragma once
// One HTTP request to a program in a box, and its answer streamed back. Blocks its thread.

#include <chrono>

#include "base/files/unique_fd.h"
#include "base/http/server.h"

namespace sphere {

struct PortRequest {
    std::string target;  ///< "/a?b"
    std::uint16_t port = 0;
    std::chrono::milliseconds silence_max{0};
};

/// Sends `request` over `socket` and answers `responder` with what comes back. A client that leaves
/// ends it. Errors, before anything was answered: unavailable, invalid_argument.
base::Result<void> exchange_with_port(base::UniqueFd socket, const PortRequest& where,
                                      const base::http::Request& request,
                                      const base::http::ResponderPtr& responder);

}  // namespace sphere
