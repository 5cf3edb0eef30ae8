#pragma once
// Facts over HTTP: /v1/facts.

#include "base/http/message.h"
#include "base/json/json.h"
#include "memory/facts/fact.h"
#include "memory/memory.h"

namespace memory {

/// Handlers of the fact routes; MemoryApi has them in its table.
class FactCalls {
public:
    explicit FactCalls(MemoryStore& store) : store_(store) {}

    base::Result<base::http::Response> add(const base::http::Request& request);
    base::Result<base::http::Response> query(const base::http::Request& request);
    base::Result<base::http::Response> retract(const base::http::Request& request);
    base::Result<base::http::Response> contradictions(const base::http::Request& request);
    base::Result<base::http::Response> neighbours(const base::http::Request& request);
    base::Result<base::http::Response> graph(const base::http::Request& request);
    base::Result<base::http::Response> paths(const base::http::Request& request);
    base::Result<base::http::Response> add_alias(const base::http::Request& request);
    /// What the rules see in a text; nothing is kept.
    base::Result<base::http::Response> extract(const base::http::Request& request);

private:
    MemoryStore& store_;
};

}  // namespace memory
