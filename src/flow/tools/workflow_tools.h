#pragma once
// What an agent does with workflows, as tools: names, descriptions and JSON schemas of their
// arguments as MCP and function calling want them, and one way to call them. Whose workflows they
// are is never an argument: the caller says it.

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "base/json/json.h"
#include "flow/flow.h"
#include "flow/store/definition_store.h"

namespace flow::tools {

struct ToolInfo {
    std::string_view name, description;
    base::json::object (*arguments)();  ///< a JSON schema
    bool reads_only = false;
    bool destroys = false;  ///< what it does is not undone by calling another tool
};

/// Thread-safe. A call takes as long as it is asked to wait.
class WorkflowTools {
public:
    /// A call waits in slices of so much, to see that nobody wants its answer any more.
    static constexpr std::chrono::milliseconds kSlice{100};

    /// All outlive it.
    WorkflowTools(Runtime& runtime, RunLog& log, DefinitionStore& definitions)
        : runtime_(runtime), log_(log), definitions_(definitions) {}

    static std::span<const ToolInfo> all();
    /// {"tools": [{"name", "description", "inputSchema", "annotations"}]}, as MCP's tools/list.
    static base::json::object listing();

    /// `cancelled`: the caller went away; what was begun goes on.
    /// Errors: not_found (no such tool, workflow or run of this tenant), invalid_argument naming
    /// the argument, the runtime's.
    base::Result<base::json::object> call(const std::string& tenant, std::string_view name,
                                          const base::json::object& arguments,
                                          const std::function<bool()>& cancelled = {});

private:
    struct Call {
        const std::string& tenant;
        const base::json::object& arguments;
        const std::function<bool()>& cancelled;
    };
    base::Result<base::json::object> list(const Call& call);
    base::Result<base::json::object> run(const Call& call);
    base::Result<base::json::object> status(const Call& call);
    base::Result<base::json::object> answer(const Call& call);
    base::Result<base::json::object> signal(const Call& call);
    base::Result<base::json::object> cancel(const Call& call);

    base::Result<RunId> own_run(const Call& call, const std::string& text);
    base::Result<base::json::object> outcome(const Call& call, RunId run,
                                             std::chrono::milliseconds patience);

    Runtime& runtime_;
    RunLog& log_;
    DefinitionStore& definitions_;
};

}  // namespace flow::tools
