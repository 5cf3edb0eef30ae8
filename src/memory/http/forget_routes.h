#pragma once
// Forgetting over HTTP: POST /v1/memories/forget, and its receipts.

#include "base/http/message.h"
#include "base/json/json.h"
#include "memory/memory.h"

namespace memory {

/// Handlers of the forget routes; MemoryApi has them in its table.
class ForgetCalls {
public:
    explicit ForgetCalls(MemoryStore& store) : store_(store) {}

    /// With "dry_run": what would go. Else 202 with a receipt, or 200 with "wait" once it is done.
    base::Result<base::http::Response> forget(const base::http::Request& request);
    base::Result<base::http::Response> list(const base::http::Request& request);
    base::Result<base::http::Response> show(const base::http::Request& request);

private:
    MemoryStore& store_;
};

}  // namespace memory
