#pragma once
// Compression over HTTP: POST /v1/memories/compress, what was done, and taking it back.

#include "base/http/message.h"
#include "base/json/json.h"
#include "memory/memory.h"

namespace memory {

/// Handlers of the compression routes; MemoryApi has them in its table.
class CompressCalls {
public:
    explicit CompressCalls(MemoryStore& store) : store_(store) {}

    /// With "dry_run": the plan, with the reason of every decision.
    base::Result<base::http::Response> compress(const base::http::Request& request);
    base::Result<base::http::Response> list(const base::http::Request& request);
    base::Result<base::http::Response> show(const base::http::Request& request);
    base::Result<base::http::Response> undo(const base::http::Request& request);

private:
    MemoryStore& store_;
};

}  // namespace memory
