#pragma once
// Tools that agents have wherever they run: arithmetic, the time, and what documents say.

#include <memory>

#include "app/flow/tool_sources.h"
#include "base/core/clock.h"
#include "memory/memory.h"

namespace app {

/// calculator and clock. The clock outlives it.
std::unique_ptr<ToolCaller> agent_tools(const base::Clock& clock);
/// knowledge_search: passages of the tenant's documents that are for everybody, each with what to
/// cite it by. Null: there are none here, which a call is told.
std::unique_ptr<ToolCaller> knowledge_tools(memory::MemoryStore* store);

}  // namespace app
