#pragma once
// Profile blocks over HTTP: /v1/profiles.

#include "base/http/message.h"
#include "base/json/json.h"
#include "memory/memory.h"

namespace memory {

/// Handlers of the profile routes; MemoryApi has them in its table. Whose: query parameters user
/// and agent.
class ProfileCalls {
public:
    explicit ProfileCalls(MemoryStore& store) : store_(store) {}

    /// Blocks, and the text of them that goes into a prompt.
    base::Result<base::http::Response> list(const base::http::Request& request);
    base::Result<base::http::Response> show(const base::http::Request& request);
    base::Result<base::http::Response> put(const base::http::Request& request);
    base::Result<base::http::Response> append(const base::http::Request& request);
    base::Result<base::http::Response> replace(const base::http::Request& request);
    base::Result<base::http::Response> history(const base::http::Request& request);
    base::Result<base::http::Response> restore(const base::http::Request& request);
    base::Result<base::http::Response> remove(const base::http::Request& request);

private:
    MemoryStore& store_;
};

}  // namespace memory
