#pragma once
// One HTTP request to a program in a box, and its answer streamed back. Blocks its thread.

#include <chrono>

#include "base/files/unique_fd.h"
#include "base/http/request_body.h"
#include "base/http/server.h"

namespace sphere {

struct PortRequest {
    std::string target;  ///< "/a?b"
    std::uint16_t port = 0;
    std::chrono::milliseconds silence_max{0};
};

/// The headers that the program shall see; those of one connection are not among them.
base::http::Headers port_request_headers(const base::http::Request& request);

/// Sends `request` over `socket` and answers `responder` with what comes back. A client that leaves
/// ends it. With `body` the request's bytes are passed on as they come; a program may answer
/// before it has all of them. Errors, before anything was answered: unavailable,
/// invalid_argument, the body's.
base::Result<void> exchange_with_port(base::UniqueFd socket, const PortRequest& where,
                                      const base::http::Request& request,
                                      const base::http::RequestBodyPtr& body,
                                      const base::http::ResponderPtr& responder);

}  // namespace sphere
