#pragma once
// What `tool` steps call. Sources of tools stand behind one port, so that more of them can come.

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/tool.h"
#include "app/flow/step_adapters.h"
#include "memory/memory.h"

namespace sphere::tools {
class SandboxTools;
}

namespace app {

/// Thread-safe; a call takes as long as what it does.
class ToolCaller {
public:
    virtual ~ToolCaller() = default;
    virtual std::vector<std::string> names() const = 0;
    /// Those that agents may be offered, with what a model needs to know of them.
    virtual std::vector<agent::Tool> offered() const { return {}; }
    /// Pre: the name is one of names(). Errors: the tool's, by what they mean for trying again.
    virtual base::Result<base::json::value> call(const std::string& name,
                                                 const base::json::object& arguments,
                                                 const StepCall& step) = 0;
};

/// Tools over memories; an entry that is written twice is merged with its equal. Null: there are
/// none here, which a call is told.
std::unique_ptr<ToolCaller> memory_tools(memory::MemoryStore* store);
/// Tools over a sandbox, one for each run, under the policy of agent "flow". Null: as above.
std::unique_ptr<ToolCaller> sandbox_tools(sphere::tools::SandboxTools* tools);

/// Several sources as one.
class ToolSet final : public ToolCaller {
public:
    explicit ToolSet(std::vector<std::unique_ptr<ToolCaller>> sources)
        : sources_(std::move(sources)) {}
    std::vector<std::string> names() const override;
    std::vector<agent::Tool> offered() const override;
    /// Errors: not_found, too, with what was meant.
    base::Result<base::json::value> call(const std::string& name,
                                         const base::json::object& arguments,
                                         const StepCall& step) override;

private:
    const std::vector<std::unique_ptr<ToolCaller>> sources_;
};

}  // namespace app
