#pragma once
// Memories over HTTP: /v1/memories, /v1/tasks, /v1/facts, /v1/profiles and /v1/knowledge. A tenant
// (header X-Dougong-Tenant, "default" without it) sees its own only. The same calls without a
// server, for the command line.

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "base/api/call_pool.h"
#include "base/http/router.h"
#include "memory/http/compress_routes.h"
#include "memory/http/fact_routes.h"
#include "memory/http/forget_routes.h"
#include "memory/http/knowledge_routes.h"
#include "memory/http/memory_metrics.h"
#include "memory/http/profile_routes.h"
#include "memory/http/task_routes.h"
#include "memory/memory.h"

namespace memory {

struct MemoryApiOptions {
    std::size_t threads = 4;      ///< calls wait for the disk and for embeddings
    std::size_t queue_max = 256;  ///< waiting for them; then 429
    std::size_t parsers = 2;      ///< documents read at a time; others wait, 16 at most
    /// Where dougong_memory_* are shown; null: nowhere. Outlives the API.
    base::metrics::Registry* metrics = nullptr;
};

/// Routes over one store, which outlives them. Stop the server first, then stop().
class MemoryApi {
public:
    MemoryApi(MemoryStore& store, MemoryApiOptions options);

    void register_routes(base::http::Router& router);
    /// One call on this thread: errors are answers, too. 404 and 405 as the server gives them.
    base::http::Response call(base::http::Request request);
    /// Finishes what the workers hold. Idempotent.
    void stop() {
        documents_.stop();
        calls_.stop();
    }

private:
    using Call = base::Result<base::http::Response> (*)(MemoryApi&, const base::http::Request&);
    struct Route {
        std::string_view method, pattern;
        Call call;
        bool slow = false;  ///< reads a document: not in the way of others
    };
    static const std::vector<Route>& routes();

    base::Result<base::http::Response> add(const base::http::Request& request);
    base::Result<base::http::Response> list(const base::http::Request& request);
    base::Result<base::http::Response> search(const base::http::Request& request);
    base::Result<base::http::Response> stats(const base::http::Request& request);
    base::Result<base::http::Response> check(const base::http::Request& request);
    base::Result<base::http::Response> tools(const base::http::Request& request);
    base::Result<base::http::Response> call_tool(const base::http::Request& request);
    base::Result<base::http::Response> touch(const base::http::Request& request);
    base::Result<base::http::Response> show(const base::http::Request& request);
    base::Result<base::http::Response> update(const base::http::Request& request);
    base::Result<base::http::Response> remove(const base::http::Request& request);
    base::Result<base::http::Response> history(const base::http::Request& request);
    base::Result<base::http::Response> restore(const base::http::Request& request);

    MemoryStore& store_;
    TaskCalls tasks_;
    FactCalls facts_;
    KnowledgeCalls knowledge_;
    ForgetCalls forgets_;
    CompressCalls compressions_;
    ProfileCalls profiles_;
    std::unique_ptr<MemoryMetrics> metrics_;  // null: none wanted
    base::api::CallPool calls_, documents_;
};

}  // namespace memory
