#pragma once
// Long tasks over HTTP: /v1/tasks.

#include <vector>

#include "base/http/message.h"
#include "base/json/json.h"
#include "memory/memory.h"

namespace memory {

base::json::object to_json(const tasks::Checkpoint& checkpoint);
base::json::object to_json(const tasks::TaskSummary& summary);

/// Handlers of the task routes; MemoryApi has them in its table.
class TaskCalls {
public:
    explicit TaskCalls(MemoryStore& store) : store_(store) {}

    base::Result<base::http::Response> list(const base::http::Request& request);
    base::Result<base::http::Response> save(const base::http::Request& request);
    base::Result<base::http::Response> checkpoints(const base::http::Request& request);
    base::Result<base::http::Response> resume(const base::http::Request& request);
    base::Result<base::http::Response> summary(const base::http::Request& request);
    base::Result<base::http::Response> remove(const base::http::Request& request);

private:
    MemoryStore& store_;
};

}  // namespace memory
