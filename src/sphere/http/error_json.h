#pragma once
// Errors of the sandbox API, in the shape of the other APIs of this program.

#include "base/core/error.h"
#include "base/http/message.h"

namespace sphere {

/// {"error": {"message", "type", "param", "code"}} with base::http_status; 429 says when to retry.
base::http::Response error_response(const base::Error& error);

}  // namespace sphere
