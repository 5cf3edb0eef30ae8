#pragma once
// How every API of this program tells an error.

#include "base/core/error.h"
#include "base/http/message.h"

namespace base::api {

/// {"error": {"message", "type", "param", "code"}} with base::http_status; 429 says when to retry.
base::http::Response error_response(const base::Error& error);

}  // namespace base::api
