#pragma once
// A request's body that a handler takes piece by piece while it comes, instead of whole: uploads
// larger than anybody wants in memory. A client that sends faster than the pieces are taken waits.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/core/result.h"

namespace base::http {

class Responder;
struct Request;

class RequestBody {
public:
    /// Dropped before the end, the rest is not read and the connection closes after the answer.
    virtual ~RequestBody() = default;
    /// The next piece; empty once all came. Waits for the client, so never on a network thread.
    /// Errors: cancelled (the client left or was too slow), payload_too_large (over the route's
    /// limit), invalid_argument (the framing is wrong). After one, the same again.
    virtual Result<std::string> next() = 0;
};
using RequestBodyPtr = std::shared_ptr<RequestBody>;

/// As a Handler, called once the head is here; Request::body stays empty.
using UploadHandler =
    std::function<void(const Request&, const RequestBodyPtr&, const std::shared_ptr<Responder>&)>;

}  // namespace base::http
