#pragma once
// What an agent does with its memories, as tools: names, descriptions and JSON schemas of their
// arguments as MCP and function calling want them, and one way to call them. Whose memories they
// are is never an argument: the caller says it.

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/core/result.h"
#include "base/json/json.h"
#include "memory/facts/fact_graph.h"
#include "memory/memory.h"

namespace memory {

struct ToolInfo {
    std::string_view name, description;
    base::json::object (*arguments)();  ///< a JSON schema
    bool reads_only = false;
    bool destroys = false;  ///< what it does is not undone by calling another tool
};

class MemoryTools {
public:
    /// `store` outlives it. Entries are written into `scope`; those of its tenant and user are
    /// found, as far as `labels`, the caller's, allow.
    MemoryTools(MemoryStore& store, Scope scope, std::vector<std::string> labels = {})
        : store_(store), scope_(std::move(scope)), labels_(std::move(labels)) {}

    static std::span<const ToolInfo> all();
    /// {"tools": [{"name", "description", "inputSchema", "annotations"}]}, as MCP's tools/list.
    static base::json::object listing();

    /// Errors: not_found (no such tool), invalid_argument naming the argument, the store's.
    base::Result<base::json::object> call(std::string_view name,
                                          const base::json::object& arguments);

private:
    base::Result<base::json::object> add(const base::json::object& arguments);
    base::Result<base::json::object> search(const base::json::object& arguments);
    base::Result<base::json::object> update(const base::json::object& arguments);
    base::Result<base::json::object> remove(const base::json::object& arguments);
    base::Result<base::json::object> facts(const base::json::object& arguments);
    base::Result<base::json::object> graph(const base::json::object& arguments);
    base::Result<base::json::object> checkpoint(const base::json::object& arguments);
    base::Result<base::json::object> resume(const base::json::object& arguments);

    Filter reachable() const;
    base::Result<bool> reachable(const facts::Path& path);
    /// Errors: not_found, also for what is there but not reachable.
    base::Result<Entry> reach(const MemoryId& id);

    MemoryStore& store_;
    const Scope scope_;
    const std::vector<std::string> labels_;
};

}  // namespace memory
